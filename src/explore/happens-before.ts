/**
 * Which steps of the present path come before which, by vector clocks: a step comes behind its process's step before it, and behind
 * those that touched the same cell, unless both only read. Steps that are not ordered can change places without any difference.
 *
 * One region of numbers a depth: for each process its clock (1 + the last step of each process that comes before its next one), for each
 * cell the last step that wrote it and each process's last step that read it since, plus 1; 0 = none.
 */
import { cells } from "./effects.js";
import type { Footprint, Machine } from "./machine.js";

const DEPTH_START = 64;

/** Whether two footprints have a cell in common that one of them writes. */
export function areDependent(one: Footprint, other: Footprint, ordersReadsAndWrites = true): boolean {
  for (const mark of one) {
    for (const otherMark of other) {
      if (mark >> 1 !== otherMark >> 1) continue;
      if (ordersReadsAndWrites ? ((mark | otherMark) & 1) !== 0 : (mark & otherMark & 1) !== 0) return true;
    }
  }
  return false;
}

/** The order of the steps of a machine's path. */
export class HappensBefore {
  readonly #machine: Machine;
  readonly #processes: number;
  readonly #length: number;
  #slab: Int32Array;

  constructor(machine: Machine) {
    this.#machine = machine;
    this.#processes = machine.processCount;
    this.#length = this.#processes * this.#processes + cells.count(machine) * (1 + this.#processes);
    this.#slab = new Int32Array(this.#length * DEPTH_START);
  }

  /** Whether step `early` of the path comes before what the process does behind the first `depth` steps. */
  isBefore(early: number, depth: number, process: number): boolean {
    return this.#slab[depth * this.#length + process * this.#processes + this.#machine.choiceAt(early)]! > early;
  }

  /** Whether step `early` comes before step `late` of the path. */
  isStepBefore(early: number, late: number): boolean {
    return this.isBefore(early, late + 1, this.#machine.choiceAt(late));
  }

  /** Last step before `depth`, as far as step `late` comes behind it, of a process; -1 = none. */
  lastBefore(late: number, process: number): number {
    return this.#slab[(late + 1) * this.#length + this.#machine.choiceAt(late) * this.#processes + process]! - 1;
  }

  /**
   * Steps of the path that race with a step with this footprint, which the process makes behind the first `depth` steps: they touch the
   * same cell, nothing orders them by itself, and no step comes between.
   */
  racesOf(footprint: Footprint, depth: number, process: number): number[] {
    const { checks: { ordersReadsAndWrites }, layout, drainedEvent } = this.#machine;
    const candidates: number[] = [];
    // A store reaches memory behind the step that made it.
    const madeBy = process >= layout.threadCount ? drainedEvent : -1;
    const consider = (step: number): void => {
      if (step < 0 || this.isBefore(step, depth, process) || candidates.includes(step)) return;
      if (madeBy < 0 || !this.isStepBefore(step, madeBy)) candidates.push(step);
    };
    for (const mark of footprint) {
      const at = this.#cell(depth, mark >> 1);
      if ((mark & 1) !== 0 || ordersReadsAndWrites) consider(this.#slab[at]! - 1);
      if ((mark & 1) === 0 || !ordersReadsAndWrites) continue;
      for (let reader = 0; reader < this.#processes; reader++) consider(this.#slab[at + 1 + reader]! - 1);
    }
    return candidates.filter((step) => !candidates.some((other) => other > step && this.isStepBefore(step, other)));
  }

  /** The machine has made a step: takes its order down. */
  noteStep(): void {
    const machine = this.#machine;
    const step = machine.depth - 1;
    const process = machine.choiceAt(step);
    if ((step + 2) * this.#length > this.#slab.length) this.#grow();
    const from = step * this.#length;
    const to = from + this.#length;
    this.#slab.copyWithin(to, from, to);
    const clock = to + process * this.#processes;
    if (process >= machine.layout.threadCount) this.#joinStep(clock, machine.drainedEvent);
    else if (machine.layout.isTso) this.#joinRoom(clock, process);
    for (const mark of machine.footprint) {
      const at = this.#cell(step, mark >> 1);
      this.#joinStep(clock, this.#slab[at]! - 1);
      if ((mark & 1) === 0) continue;
      for (let reader = 0; reader < this.#processes; reader++) this.#joinStep(clock, this.#slab[at + 1 + reader]! - 1);
    }
    this.#slab[clock + process] = step + 1;
    for (const mark of machine.footprint) this.#noteAccess(mark, process, step);
  }

  #noteAccess(mark: number, process: number, step: number): void {
    const at = this.#cell(step + 1, mark >> 1);
    if ((mark & 1) === 0) {
      this.#slab[at + 1 + process] = step + 1;
      return;
    }
    this.#slab[at] = step + 1;
    this.#slab.fill(0, at + 1, at + 1 + this.#processes);
  }

  /** A store that had to wait for room in its buffer comes behind the step that made room. */
  #joinRoom(clock: number, thread: number): void {
    const { slab, base, layout } = this.#machine;
    const made = slab[base - layout.length + layout.roomMadeBy(thread)]!;
    if (made > 0 && slab[base + layout.roomMadeBy(thread)] === 0) this.#joinStep(clock, made - 1);
  }

  /** What comes before a step of the path comes before the one whose clock this is. */
  #joinStep(clock: number, step: number): void {
    if (step < 0) return;
    const other = (step + 1) * this.#length + this.#machine.choiceAt(step) * this.#processes;
    for (let process = 0; process < this.#processes; process++) {
      if (this.#slab[other + process]! > this.#slab[clock + process]!) this.#slab[clock + process] = this.#slab[other + process]!;
    }
  }

  #cell(depth: number, cell: number): number {
    return depth * this.#length + this.#processes * this.#processes + cell * (1 + this.#processes);
  }

  #grow(): void {
    const slab = new Int32Array(this.#slab.length * 2);
    slab.set(this.#slab);
    this.#slab = slab;
  }
}
