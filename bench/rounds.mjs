/** Rounds: every machine once, in turn, so that what else the host does falls on all of them alike. */

/**
 * @typedef {object} BenchContext
 * @property {string} folder scratch, removed at the end
 * @property {number} runs rounds
 * @property {number} memoryBytes of each guest
 * @property {string | undefined} qemuVersion undefined: not compared with QEMU
 * @property {boolean} isNative compared with the host itself
 * @property {boolean} isWarm compared with ours after an earlier start
 * @property {import("./v86/guest.mjs").V86Guest | undefined} v86 undefined: not compared with v86
 * @property {readonly string[] | undefined} only names of workloads; undefined = all
 * @property {boolean} isSmoke small sizes, to see that everything works
 * @property {(progress: string) => void} say
 */

/**
 * A machine that fails is left out of the rounds that follow; ours is not: then all ends.
 * @template Sample
 * @param {readonly import("./machines.mjs").Machine[]} machines ours first
 * @param {BenchContext} context
 * @param {(machine: import("./machines.mjs").Machine) => Promise<Sample>} takeSample
 * @returns {Promise<{ samples: Record<string, Sample[]>, failures: Record<string, string> }>} by the machine's name, samples in the order of
 *   the rounds
 */
export async function runInTurn(machines, { runs, say }, takeSample) {
  /** @type {Record<string, Sample[]>} */
  const samples = Object.fromEntries(machines.map(({ name }) => [name, []]));
  /** @type {Record<string, string>} */
  const failures = {};
  const begun = performance.now();
  for (let round = 0; round < runs; round++) {
    for (const [place, machine] of machines.entries()) {
      if (machine.name in failures) continue;
      say(`round ${round + 1} of ${runs}, ${machine.name}, ${Math.round((performance.now() - begun) / 1000)} s so far`);
      try {
        samples[machine.name].push(await takeSample(machine));
      } catch (error) {
        if (place === 0) throw error;
        failures[machine.name] = `round ${round + 1}: ${/** @type {Error} */ (error).message}`;
      }
    }
  }
  return { samples, failures };
}

/**
 * @param {Readonly<Record<string, string>>} failures
 * @returns {string[]} a line each
 */
export function describeFailures(failures) {
  return Object.entries(failures).map(([name, message]) => `FAILED: ${name}, ${message}`);
}
