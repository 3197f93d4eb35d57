/** What all searches have in common: what they count, when they stop, what they have found. */
import { lookAtEnd } from "./ends.js";
import { Machine } from "./machine.js";
import type { MachineOptions } from "./machine-options.js";
import type { Finding } from "./model.js";

/** What a search has done. */
export interface Tally {
  /** Paths that were followed to their ends. */
  schedules: number;
  /** Of them: how many ended because a thread had used up its retries or steps. */
  cut: number;
  /** Paths that the reduction left before their ends, because another has the same outcome. */
  pruned: number;
  /** States that were different from all before; 0 where the search does not tell them apart. */
  states: number;
  /** Steps that were made. */
  steps: number;
  depthMax: number;
}

/** A finding and the path that showed it. */
export interface FoundPath extends Finding {
  /** Processes in the order in which they made their steps. */
  readonly choices: readonly number[];
}

/** Limits of a search, apart from those of the scenario's threads. */
export interface SearchLimits {
  /** The first finding ends the search; otherwise paths go on behind their findings. */
  readonly stopsAtFirst: boolean;
  /** Asked now and then; true ends the search. */
  readonly isOver: (tally: Tally) => boolean;
  /** Called at the end of each path that ended by itself or by a deadlock. For tests: outcomes. */
  readonly onEnd?: ((machine: Machine) => void) | undefined;
  /** More switches away from a thread that could have gone on are not tried. */
  readonly preemptionsMax: number;
}

/** Thrown to begin anew when something was learned about the scenario that the search relied on knowing. */
export class LearnedMore extends Error {
  override readonly name = "LearnedMore";
}

const STEPS_BETWEEN_QUESTIONS = 4096;

/** A search in progress. */
export class Exploration {
  readonly machine: Machine;
  readonly limits: SearchLimits;
  readonly tally: Tally = { schedules: 0, cut: 0, pruned: 0, states: 0, steps: 0, depthMax: 0 };
  readonly findings = new Map<string, FoundPath>();
  /** True: the search ends, because something was found or its time is over. */
  isDone = false;
  /** True: not all within the bounds was looked at. */
  isIncomplete = false;
  #askAt = STEPS_BETWEEN_QUESTIONS;

  constructor(machineOptions: MachineOptions, limits: SearchLimits) {
    this.machine = new Machine(machineOptions);
    this.limits = limits;
    this.noteFindings();
  }

  /** Keeps what the last step has shown. Call behind every step. */
  noteFindings(): void {
    const { found } = this.machine;
    if (found.length === 0) return;
    for (const finding of found) {
      const key = `${finding.kind}: ${finding.says}`;
      if (!this.findings.has(key)) this.findings.set(key, { ...finding, choices: this.path() });
    }
    found.length = 0;
    if (this.limits.stopsAtFirst) this.isDone = true;
  }

  /** Throws LearnedMore if the search has to begin anew. */
  checkLearned(): void {
    if (this.machine.hasLearned) throw new LearnedMore();
  }

  /** Whether the search must end. */
  get mustEnd(): boolean {
    const { tally, machine } = this;
    tally.steps = machine.stepCount;
    if (machine.depth > tally.depthMax) tally.depthMax = machine.depth;
    if (this.isDone) return true;
    if (tally.steps < this.#askAt) return false;
    this.#askAt = tally.steps + STEPS_BETWEEN_QUESTIONS;
    if (this.limits.isOver(tally)) this.isDone = this.isIncomplete = true;
    return this.isDone;
  }

  /** Looks at the end of the present path and counts it. */
  endPath(): void {
    const { machine, tally } = this;
    const { depth } = machine;
    tally.schedules++;
    const end = lookAtEnd(machine);
    if (end === "cut") tally.cut++;
    this.noteFindings();
    if (machine.depth !== depth) machine.backTo(depth);
    if (end !== "cut") this.limits.onEnd?.(machine);
  }

  /** Processes of the present path. */
  path(): number[] {
    return Array.from({ length: this.machine.depth }, (_, depth) => this.machine.choiceAt(depth));
  }
}
