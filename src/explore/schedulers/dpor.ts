/**
 * One schedule for each way of ordering the steps that do not commute: dynamic partial-order reduction with source sets and sleep sets
 * (Abdulla, Aronis, Jonsson, Sagonas, "Source Sets: A Foundation for Optimal Dynamic Partial Order Reduction", JACM 2017, algorithm
 * "Source-DPOR"; the idea is Flanagan and Godefroid's, POPL 2005).
 *
 * A path is followed to its end. Each of its steps that races with an earlier one makes a place before the earlier one where another
 * process must be tried, one that can begin what does not come behind the earlier step.
 *
 * - Threads that stand still (lock, await) are looked at as well, where they come to stand and whenever somebody touches what they wait for:
 *   a path on which they never go on would hide their races.
 * - Writes of words that the invariant looks at are all ordered among each other. Which words these are is seen while it is asked; when it
 *   looks at a new one, the search begins anew (LearnedMore).
 * - A path that is cut because a thread has used up its retries goes on with the others, so that their races are seen.
 */
import type { Exploration } from "../exploration.js";
import { areDependent, HappensBefore } from "../happens-before.js";
import type { Footprint, Machine } from "../machine.js";

/** What is known at a depth of the path. Bits are processes. */
interface Place {
  toTry: number;
  tried: number;
  /** Processes whose step from here was covered by another path already. */
  readonly asleep: number;
  /** Footprints of the steps of tried and sleeping processes. */
  readonly footprints: (Footprint | undefined)[];
}

/** Searches from where the machine stands. Throws LearnedMore. */
export function searchPartialOrders(exploration: Exploration): void {
  new PartialOrderSearch(exploration).run();
}

class PartialOrderSearch {
  readonly #exploration: Exploration;
  readonly #machine: Machine;
  readonly #order: HappensBefore;
  readonly #places: Place[] = [];

  constructor(exploration: Exploration) {
    this.#exploration = exploration;
    this.#machine = exploration.machine;
    this.#order = new HappensBefore(exploration.machine);
  }

  run(): void {
    const machine = this.#machine;
    this.#exploration.checkLearned();
    this.#enter({ asleep: 0, footprints: [] });
    while (!this.#exploration.mustEnd) {
      const place = this.#places[machine.depth]!;
      const left = place.toTry & ~place.tried & ~place.asleep;
      if (left !== 0) this.#go(place, 31 - Math.clz32(left & -left));
      else if (machine.depth === 0) return;
      else machine.backTo(machine.depth - 1);
    }
  }

  /** Makes a step of a process and looks at what it means for the places before. */
  #go(place: Place, process: number): void {
    const machine = this.#machine;
    machine.step(process);
    machine.askInvariant();
    this.#exploration.checkLearned();
    const { footprint } = machine;
    this.#exploration.noteFindings();
    const step = machine.depth - 1;
    this.#mark(this.#order.racesOf(footprint, step, process), footprint, process, step);
    this.#order.noteStep();
    this.#lookAtBlocked(footprint, process);
    const candidates = (place.asleep | place.tried) & ~(1 << process);
    place.tried |= 1 << process;
    place.footprints[process] = [...footprint];
    this.#enter(this.#sleepersBehind(place, candidates, footprint));
  }

  /** Those that sleep on behind a step: their own steps do not depend on it. */
  #sleepersBehind({ footprints }: Place, candidates: number, footprint: Footprint): Pick<Place, "asleep" | "footprints"> {
    const { wakesSleepers, ordersReadsAndWrites } = this.#machine.checks;
    const kept: (Footprint | undefined)[] = [];
    let asleep = 0;
    for (let left = candidates; left !== 0; left &= left - 1) {
      const other = 31 - Math.clz32(left & -left);
      if (wakesSleepers && areDependent(footprints[other]!, footprint, ordersReadsAndWrites)) continue;
      asleep |= 1 << other;
      kept[other] = footprints[other];
    }
    return { asleep, footprints: kept };
  }

  /** Arrives at a new place: chooses whom to try first. */
  #enter({ asleep, footprints }: Pick<Place, "asleep" | "footprints">): void {
    const machine = this.#machine;
    const { depth, enabled } = machine;
    const awake = enabled & ~asleep;
    const previous = depth > 0 ? machine.choiceAt(depth - 1) : 0;
    const first = (awake >>> previous) & 1 ? 1 << previous : awake & -awake;
    this.#places[depth] = { toTry: first, tried: 0, asleep, footprints };
    if (enabled === 0) this.#exploration.endPath();
    else if (awake === 0) this.#exploration.tally.pruned++;
  }

  /** Operations of threads that cannot go on, if what they wait for was just touched or they have just come to it. */
  #lookAtBlocked(footprint: Footprint, process: number): void {
    const machine = this.#machine;
    if (!machine.checks.looksAtBlocked) return;
    for (let thread = 0; thread < machine.layout.threadCount; thread++) {
      if ((machine.enabled >>> thread) & 1) continue;
      const wanted = machine.footprintOfWaiting(thread);
      if (wanted.length === 0 || (thread !== process && !areDependent(wanted, footprint))) continue;
      this.#mark(this.#order.racesOf(wanted, machine.depth, thread), wanted, thread, machine.depth);
    }
  }

  /** For each step that races with a step of `process` behind the first `depth` ones: another order must be tried. */
  #mark(races: readonly number[], footprint: Footprint, process: number, depth: number): void {
    for (const early of races) {
      const initials = this.#initials(early, process, depth, footprint);
      const place = this.#places[early]!;
      // Where one of them was tried or sleeps, this order is covered.
      if (initials === 0 || ((place.toTry | place.asleep) & initials) !== 0) continue;
      const preferred = (initials >>> process) & 1 ? 1 << process : initials & -initials;
      place.toTry |= preferred;
    }
  }

  /**
   * Processes that can begin, at the place of step `early`, what does not come behind it, up to and with the racing step. None, if
   * the racing step itself is all there is and cannot be made there: the earlier step is what makes it possible.
   */
  #initials(early: number, process: number, depth: number, footprint: Footprint): number {
    const machine = this.#machine;
    const order = this.#order;
    let initials = 0;
    let seen = 0;
    let isLastInitial = true;
    for (let step = early + 1; step < depth; step++) {
      if (order.isStepBefore(early, step)) continue;
      const other = machine.choiceAt(step);
      // The racing step comes behind this one?
      if (isLastInitial && (other === process || order.isBefore(step, depth, process) || areDependent(machine.footprintAt(step), footprint))) isLastInitial = false;
      if ((seen >>> other) & 1) continue;
      seen |= 1 << other;
      let isInitial = true;
      for (let before = 0; before < machine.processCount && isInitial; before++) {
        if (before !== other && order.lastBefore(step, before) > early) isInitial = false;
      }
      if (isInitial) initials |= 1 << other;
    }
    if (isLastInitial) initials |= 1 << process;
    return initials & machine.enabledAt(early);
  }
}
