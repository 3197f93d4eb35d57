/** Rounds: every machine once, in turn, so that what else the host does falls on all of them alike. */

/**
 * @typedef {object} BenchContext
 * @property {string} folder scratch, removed at the end
 * @property {number} runs rounds
 * @property {number} memoryBytes of each guest
 * @property {string | undefined} qemuVersion undefined: ours alone
 * @property {boolean} isSmoke small sizes, to see that everything works
 * @property {(progress: string) => void} say
 */

/**
 * @template Sample
 * @param {readonly import("./machines.mjs").Machine[]} machines
 * @param {BenchContext} context
 * @param {(machine: import("./machines.mjs").Machine) => Promise<Sample>} takeSample
 * @returns {Promise<Record<string, Sample[]>>} samples by the machine's name, in the order of the rounds
 */
export async function runInTurn(machines, { runs, say }, takeSample) {
  /** @type {Record<string, Sample[]>} */
  const samples = Object.fromEntries(machines.map(({ name }) => [name, []]));
  for (let round = 0; round < runs; round++) {
    for (const machine of machines) {
      say(`${machine.name}, run ${round + 1} of ${runs}`);
      samples[machine.name].push(await takeSample(machine));
    }
  }
  return samples;
}
