/**
 * The shortest schedule with a finding of a kind: fewest preemptions first, then fewest steps (Dijkstra over the states, the weight of a step
 * being itself and whether it preempts). States are told apart by whose turn it was, too.
 */
import { Exploration, type SearchLimits } from "./exploration.js";
import type { MachineOptions } from "./machine-options.js";
import type { Finding } from "./model.js";
import { isPreemption, previousThread } from "./preemptions.js";
import { raceAhead } from "./races-ahead.js";
import { processesOf } from "./schedulers/scheduler.js";
import { StateSet } from "./state-set.js";

/** States after which the search for a shorter schedule is given up. */
const STATES_MAX = 300_000;

/** Steps of a path weigh less than one preemption up to so many. */
const STEPS_LIMIT = 0x1_0000;

/** States that were reached, as steps from others: the last step, and the index of the state before it. */
interface Reached {
  readonly before: Int32Array;
  readonly process: Int8Array;
  count: number;
}

/** The shortest such schedule; undefined: not found within the first 300 000 states. */
export function shortestSchedule(machineOptions: MachineOptions, kind: Finding["kind"]): readonly number[] | undefined {
  const limits: SearchLimits = { stopsAtFirst: false, isOver: () => false, preemptionsMax: Infinity };
  const exploration = new Exploration({ ...machineOptions, hasClocks: false }, limits);
  const search = new ShortestSearch(exploration, kind);
  return search.run();
}

class ShortestSearch {
  readonly #exploration: Exploration;
  readonly #kind: Finding["kind"];
  readonly #reached: Reached = { before: new Int32Array(STATES_MAX + 16), process: new Int8Array(STATES_MAX + 16), count: 0 };
  readonly #visited = new StateSet();
  /** Indices of states to go on from: by preemptions, then by steps. */
  readonly #queue: number[][][] = [];

  constructor(exploration: Exploration, kind: Finding["kind"]) {
    this.#exploration = exploration;
    this.#kind = kind;
  }

  run(): readonly number[] | undefined {
    raceAhead(this.#exploration.machine);
    this.#exploration.noteFindings();
    this.#reach(-1, -1, 0, 0);
    for (let preemptions = 0; preemptions < this.#queue.length; preemptions++) {
      for (let steps = 0; steps < (this.#queue[preemptions]?.length ?? 0); steps++) {
        // The list may grow no more: steps lead to longer paths only.
        for (const state of this.#queue[preemptions]![steps] ?? []) {
          const found = this.#goOnFrom(state, preemptions, steps);
          if (found !== undefined) return found;
          if (this.#reached.count >= STATES_MAX) return undefined;
        }
      }
    }
    return undefined;
  }

  #goOnFrom(state: number, preemptions: number, steps: number): readonly number[] | undefined {
    const { machine } = this.#exploration;
    this.#goTo(this.#pathOf(state));
    if (machine.enabled === 0) this.#exploration.endPath();
    const atEnd = this.#found();
    if (atEnd !== undefined) return atEnd;
    const previous = previousThread(machine);
    for (const process of processesOf(machine.enabled)) {
      const used = preemptions + (isPreemption(machine, previous, process) ? 1 : 0);
      machine.perform(process);
      const current = process < machine.layout.threadCount ? process : previous;
      if (this.#visited.add(machine, current, used * STEPS_LIMIT + steps)) {
        machine.advance();
        machine.askInvariant();
        raceAhead(machine);
        this.#reach(state, process, used, steps + 1);
      }
      this.#exploration.noteFindings();
      const found = this.#found();
      if (found !== undefined) return found;
      machine.backTo(steps);
    }
    return undefined;
  }

  #found(): readonly number[] | undefined {
    for (const { kind, choices } of this.#exploration.findings.values()) if (kind === this.#kind) return choices;
    return undefined;
  }

  #reach(before: number, process: number, preemptions: number, steps: number): void {
    const index = this.#reached.count++;
    this.#reached.before[index] = before;
    this.#reached.process[index] = process;
    ((this.#queue[preemptions] ??= [])[steps] ??= []).push(index);
  }

  #pathOf(state: number): number[] {
    const path: number[] = [];
    for (let at = state; this.#reached.before[at]! >= 0; at = this.#reached.before[at]!) path.push(this.#reached.process[at]!);
    return path.reverse();
  }

  /** Walks to a state, from where the present path leaves the way to it. */
  #goTo(path: readonly number[]): void {
    const { machine } = this.#exploration;
    let common = 0;
    while (common < machine.depth && common < path.length && machine.choiceAt(common) === path[common]) common++;
    machine.backTo(common);
    for (let at = common; at < path.length; at++) machine.step(path[at]!);
    machine.found.length = 0;
  }
}
