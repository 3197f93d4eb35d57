/**
 * The shortest schedule with a finding of a kind: fewest preemptions first, then fewest steps. Depth first, all that there is with no
 * preemption, then with one, and so on; behind a finding only shorter paths are followed. Depth first, because generators cannot
 * be copied: to go on where the search stands costs a step, to go on elsewhere all steps on the way to it.
 */
import { Exploration, type SearchLimits } from "./exploration.js";
import type { MachineOptions } from "./machine-options.js";
import type { Finding } from "./model.js";
import { isPreemption, previousThread } from "./preemptions.js";
import { raceAhead } from "./races-ahead.js";
import { StateSet } from "./state-set.js";

/** States after which the search for a shorter schedule is given up. */
const STATES_MAX = 300_000;

/** Steps of a path weigh less than one preemption up to so many. */
const STEPS_LIMIT = 0x1_0000;

/** The shortest such schedule; undefined: not found, or not known to be the shortest, within the first 300 000 states. */
export function shortestSchedule(machineOptions: MachineOptions, kind: Finding["kind"]): readonly number[] | undefined {
  let statesLeft = STATES_MAX;
  for (let preemptions = 0; ; preemptions++) {
    const search = new LevelSearch(machineOptions, kind, { preemptions, statesLeft });
    search.run();
    statesLeft -= search.states;
    if (statesLeft <= 0) return undefined;
    if (search.best !== undefined || !search.hasLeftOut) return search.best;
  }
}

/** All schedules with at most so many preemptions. */
class LevelSearch {
  readonly #exploration: Exploration;
  readonly #kind: Finding["kind"];
  readonly #preemptionsMax: number;
  readonly #statesMax: number;
  readonly #visited = new StateSet();
  /** By depth: processes that were not tried yet, and preemptions on the way there. */
  readonly #untried: number[] = [];
  readonly #used: number[] = [];
  /** The shortest schedule so far. */
  best: readonly number[] | undefined;
  /** Whether some path needs more preemptions. */
  hasLeftOut = false;
  states = 0;

  constructor(machineOptions: MachineOptions, kind: Finding["kind"], bounds: { readonly preemptions: number; readonly statesLeft: number }) {
    const limits: SearchLimits = { stopsAtFirst: false, isOver: () => false, preemptionsMax: Infinity };
    this.#exploration = new Exploration({ ...machineOptions, hasClocks: false }, limits);
    this.#kind = kind;
    this.#preemptionsMax = bounds.preemptions;
    this.#statesMax = bounds.statesLeft;
  }

  run(): void {
    const { machine } = this.#exploration;
    raceAhead(machine);
    this.#enter(0);
    while (this.states < this.#statesMax) {
      const { depth } = machine;
      const left = this.#untried[depth]!;
      if (left !== 0 && this.#mayGoOn(depth)) {
        this.#untried[depth] = left & (left - 1);
        this.#go(31 - Math.clz32(left & -left), depth);
      } else if (depth === 0) return;
      else machine.backTo(depth - 1);
    }
  }

  /** Whether a step from here can still show something with no more steps than the best. */
  #mayGoOn(depth: number): boolean {
    return this.best === undefined || depth + 1 <= this.best.length;
  }

  #go(process: number, depth: number): void {
    const { machine } = this.#exploration;
    const previous = previousThread(machine);
    const used = this.#used[depth]! + (isPreemption(machine, previous, process) ? 1 : 0);
    if (used > this.#preemptionsMax) {
      this.hasLeftOut = true;
      return;
    }
    machine.perform(process);
    const current = process < machine.layout.threadCount ? process : previous;
    const isNew = this.#visited.add(machine, current, used * STEPS_LIMIT + depth + 1);
    if (isNew) {
      machine.advance();
      machine.askInvariant();
      raceAhead(machine);
    }
    this.#exploration.noteFindings();
    if (!this.#takeFound() && isNew) this.#enter(used);
    else machine.backTo(depth);
  }

  /** Looks at the present state, which is new. Its findings were taken. */
  #enter(used: number): void {
    const { machine } = this.#exploration;
    this.states++;
    this.#exploration.noteFindings();
    const { depth } = machine;
    if (machine.enabled === 0) this.#exploration.endPath();
    const isFound = this.#takeFound();
    this.#untried[depth] = isFound ? 0 : machine.enabled;
    this.#used[depth] = used;
  }

  /** Keeps the schedule of a finding of the kind, if there is a new one. */
  #takeFound(): boolean {
    const { findings } = this.#exploration;
    let isFound = false;
    for (const { kind, choices } of findings.values()) {
      if (kind !== this.#kind) continue;
      isFound = true;
      if (this.best === undefined || isClearer(choices, this.best)) this.best = choices;
    }
    if (isFound) findings.clear();
    return isFound;
  }
}

/** Whether a schedule is shorter, or as long with fewer changes of turn. */
function isClearer(one: readonly number[], other: readonly number[]): boolean {
  return one.length < other.length || (one.length === other.length && turnsOf(one) < turnsOf(other));
}

function turnsOf(choices: readonly number[]): number {
  return choices.filter((process, at) => process !== choices[at - 1]).length;
}
