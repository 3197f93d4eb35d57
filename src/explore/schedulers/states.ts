/**
 * Every state there is, each once. A state is the words, frames and store buffers, and for each thread what it has seen: what it does
 * next is a function of the results it has got, so a digest of them stands for all of its local state. Two paths that lead to the same
 * state have the same future, and the second one ends there.
 *
 * Sound up to two states with the same 64-bit digest: for n states the probability is below n^2 / 2^65, one in three million for ten
 * million of them. It needs no knowledge about which steps commute, and no order of steps that an invariant can tell apart.
 */
import { type Exploration, LearnedMore } from "../exploration.js";
import type { Machine } from "../machine.js";
import { raceAhead } from "../races-ahead.js";
import { isPreemption, previousThread } from "../preemptions.js";
import { StateSet } from "../state-set.js";

/** A set of states that searches may share. */
export interface Visited {
  /** Adds the present state; false: it was there, at no greater cost. */
  add(machine: Machine, current: number, cost: number): boolean;
}

/** Searches from where the machine stands, leaving out states of `behind` (those behind steps). Throws LearnedMore. */
export function searchStates(exploration: Exploration, behind: Visited = new StateSet()): void {
  new StateSearch(exploration, behind).run();
}

class StateSearch {
  readonly #exploration: Exploration;
  readonly #machine: Machine;
  readonly #isBounded: boolean;
  readonly #knowsNotes: boolean;
  /** States in the middle of a step: what its thread does by itself has not happened yet. */
  readonly #halfway = new StateSet();
  /** States behind steps; kept apart only where what threads do by themselves changes words. */
  readonly #behind: Visited;
  /** By depth: processes that were not tried yet, and preemptions on the way there. */
  readonly #untried: number[] = [];
  readonly #preemptions: number[] = [];

  constructor(exploration: Exploration, behind: Visited) {
    this.#behind = behind;
    this.#exploration = exploration;
    this.#machine = exploration.machine;
    this.#knowsNotes = exploration.machine.hasNotes;
    this.#isBounded = exploration.limits.preemptionsMax !== Infinity;
  }

  run(): void {
    const machine = this.#machine;
    const root = machine.depth;
    this.#behind.add(machine, -1, 0);
    this.#halfway.add(machine, -1, 0);
    this.#enter(0);
    while (!this.#exploration.mustEnd) {
      const { depth } = machine;
      const left = this.#untried[depth]!;
      if (left !== 0) {
        this.#untried[depth] = left & (left - 1);
        this.#go(31 - Math.clz32(left & -left), depth);
      } else if (depth === root) return;
      else machine.backTo(depth - 1);
    }
  }

  /** Makes a step, and stays behind it if the state is new. */
  #go(process: number, depth: number): void {
    const machine = this.#machine;
    const previous = this.#isBounded ? previousThread(machine) : -1;
    const used = this.#preemptions[depth]! + (isPreemption(machine, previous, process) ? 1 : 0);
    if (used > this.#exploration.limits.preemptionsMax) return;
    machine.perform(process);
    const current = process < machine.layout.threadCount ? process : previous;
    // Where threads write words by themselves, whose step it is decides about the state behind it.
    const isNew = this.#halfway.add(machine, this.#isBounded ? current : machine.hasNotes ? process : -1, used);
    this.#exploration.noteFindings();
    if (isNew) {
      machine.advance();
      if (machine.hasNotes !== this.#knowsNotes) throw new LearnedMore();
      if (this.#isBounded || !machine.hasNotes || this.#behind.add(machine, -1, used)) {
        this.#enter(used);
        return;
      }
      this.#exploration.noteFindings();
    }
    machine.backTo(depth);
  }

  /** Looks at the present state, which is new. */
  #enter(preemptions: number): void {
    const machine = this.#machine;
    machine.askInvariant();
    raceAhead(machine);
    this.#exploration.noteFindings();
    this.#exploration.tally.states++;
    this.#untried[machine.depth] = machine.enabled;
    this.#preemptions[machine.depth] = preemptions;
    if (machine.enabled === 0) this.#exploration.endPath();
  }
}
