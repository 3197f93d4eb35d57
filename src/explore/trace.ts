/** A schedule step by step, with all that can be said about each: what pictures are made from. */
import { lookAtEnd } from "./ends.js";
import { Machine } from "./machine.js";
import { type MachineOptions, nothingWatched } from "./machine-options.js";
import type { Finding, Operation } from "./model.js";
import { isPreemption, previousThread } from "./preemptions.js";
import { raceAhead } from "./races-ahead.js";
import { FLAG_PARKED } from "./region.js";
import { replayScheduler } from "./schedulers/replay.js";

/** One step. */
export interface TraceStep {
  /** Column: the thread whose step it is, or whose delayed store reaches memory. */
  readonly thread: number;
  /** What it does, and what that gave. */
  readonly says: string;
  /** What the thread said or did together with it: claims, notes, retries. */
  readonly remarks: readonly string[];
  /** Words that it changed. */
  readonly changes: readonly { readonly word: string; readonly before: string; readonly after: string }[];
  /** All words behind it. */
  readonly words: readonly string[];
  /** What it shows to be wrong. */
  readonly findings: readonly Finding[];
}

/** A schedule carried out. */
export interface Trace {
  readonly threads: readonly string[];
  /** Names of the words, and behind them of store buffers and the frames in use. */
  readonly words: readonly string[];
  readonly wordsAtStart: readonly string[];
  readonly steps: readonly TraceStep[];
  /** What is wrong at the start, before any step, or at the end. */
  readonly atStart: readonly Finding[];
  readonly atEnd: readonly Finding[];
  /** Switches away from a thread that could have gone on. */
  readonly preemptions: number;
}

/** Carries a schedule out. Throws ReplayError if it does not fit. */
export function traceOf(options: Omit<MachineOptions, "hasClocks" | "watched">, choices: readonly number[]): Trace {
  const wordCount = options.create().words.length;
  const machine = new Machine({ ...options, hasClocks: true, watched: nothingWatched(wordCount) });
  const atStart = [...machine.found];
  const recorder = new Recorder(machine);
  const wordsAtStart = recorder.words();
  const scheduler = replayScheduler(choices);
  let atEnd: Finding[] = [];
  let preemptions = 0;
  const finish = (): Trace => ({ threads: machine.threadNames, words: recorder.names, wordsAtStart, steps: recorder.steps, atStart, atEnd, preemptions });
  for (let made = 0; made < choices.length; made++) {
    if (machine.enabled === 0) {
      // A thread that stood still for its retries, and goes on alone.
      if (!machine.hasFlag(choices[made]!, FLAG_PARKED)) scheduler.choose(0, machine);
      recorder.follow(() => machine.probe(choices[made]!));
      return finish();
    }
    const process = scheduler.choose(machine.enabled, machine)!;
    if (isPreemption(machine, previousThread(machine), process)) preemptions++;
    machine.step(process);
    machine.askInvariant();
    recorder.record();
  }
  if (machine.enabled === 0) {
    lookAtEnd(machine);
    atEnd = [...machine.found];
  } else if (recorder.steps.every(({ findings }) => findings.length === 0)) {
    // A search stops at two accesses that are about to race, which by clocks are none before they were made.
    machine.found.length = 0;
    raceAhead(machine);
    // Two plain accesses race with each other both ways.
    atEnd = [...new Map(machine.found.map((finding) => [finding.says, finding])).values()];
  }
  return finish();
}

/** A list in words; "none" if it is empty. */
function listText(count: number, item: (at: number) => string): string {
  return count === 0 ? "none" : Array.from({ length: count }, (_, at) => item(at)).join(",");
}

class Recorder {
  readonly steps: TraceStep[] = [];
  readonly #machine: Machine;
  #remarks: string[] = [];

  constructor(machine: Machine) {
    this.#machine = machine;
    machine.onLocal = (thread, operation) => this.#remark(thread, operation);
  }

  /** Names of what is shown: the words; what is delayed in each store buffer; frames. */
  get names(): string[] {
    const { wordNames, threadNames, layout } = this.#machine;
    return [...wordNames, ...(layout.isTso ? threadNames.map((name) => `${name}'s stores`) : []), "frames"];
  }

  words(): string[] {
    return this.#wordsAt(this.#machine.depth);
  }

  /** Takes down the step that the machine has just made. */
  record(): void {
    const machine = this.#machine;
    const { threadCount } = machine.layout;
    const depth = machine.depth - 1;
    const process = machine.choiceAt(depth);
    const thread = process % threadCount;
    const changes = this.#changes(depth);
    const says = process >= threadCount ? "(delayed store)" : this.#says(machine.pendingAt(depth, thread)!, machine.resultAt(depth));
    this.steps.push({ thread, says, remarks: this.#remarks, changes, words: this.words(), findings: [...machine.found] });
    this.#remarks = [];
  }

  /** Takes down all steps that `walk` makes. */
  follow(walk: () => void): void {
    const machine = this.#machine;
    const from = machine.depth;
    walk();
    const to = machine.depth;
    const findings = [...machine.found];
    machine.onLocal = undefined;
    for (let depth = from; depth < to; depth++) {
      const process = machine.choiceAt(depth);
      const { threadCount } = machine.layout;
      const says = process >= threadCount ? "(delayed store)" : this.#says(machine.pendingAt(depth, process)!, machine.resultAt(depth));
      const words = this.#wordsAt(depth + 1);
      this.steps.push({ thread: process % threadCount, says, remarks: [], changes: this.#changes(depth), words, findings: depth === to - 1 ? findings : [] });
    }
  }

  #changes(depth: number): TraceStep["changes"] {
    const [before, after] = [this.#wordsAt(depth), this.#wordsAt(depth + 1)];
    return this.names.flatMap((word, at) => (before[at] === after[at] ? [] : [{ word, before: before[at]!, after: after[at]! }]));
  }

  #wordsAt(depth: number): string[] {
    const { slab, layout, wordNames, threadNames } = this.#machine;
    const base = depth * layout.length;
    const delayed = (_: string, thread: number): string => {
      const buffer = base + layout.buffer(thread);
      return listText(slab[buffer]!, (at) => `${wordNames[slab[buffer + 1 + 2 * at]!]}=${slab[buffer + 2 + 2 * at]}`);
    };
    const frames = Array.from({ length: 32 }, (_, frame) => frame).filter((frame) => ((slab[base + layout.framesAllocated]! >>> frame) & 1) !== 0);
    return [
      ...wordNames.map((_, cell) => String(slab[base + cell])), ...(layout.isTso ? threadNames.map(delayed) : []), listText(frames.length, (at) => String(frames[at])),
    ];
  }

  #says(operation: Operation, result: number): string {
    const name = "cell" in operation ? this.#machine.wordNames[operation.cell]! : "";
    switch (operation.kind) {
      case "load": case "plain-load": return `${operation.kind} ${name}: ${result}`;
      case "store": case "plain-store": return `${operation.kind} ${name} = ${operation.value}`;
      case "update": return `update ${name}: was ${result}`;
      case "await": return `await ${name}: ${result}`;
      case "try-lock": return `try-lock ${name}: ${result === 1 ? "taken" : "not free"}`;
      case "allocate": return `allocate: frame ${result}`;
      case "free": case "use": case "use-write": return `${operation.kind} frame ${operation.frame}`;
      case "write-lock": return result === result ? `write-lock ${name}` : `write-lock ${name}: queues`;
      case "retry": return "goes on, alone";
      default: return this.#machine.describe(operation);
    }
  }

  #remark(thread: number, operation: Operation): void {
    const name = this.#machine.threadNames[thread]!;
    if (operation.kind === "claim") this.#remarks.push(`${operation.holds ? "holds" : "does not hold"}: ${operation.says}`);
    else if (operation.kind === "retry") this.#remarks.push(`${name} retries: ${operation.why}`);
    else if (operation.kind === "no-sleep") this.#remarks.push(operation.begins ? "may not sleep from here" : "may sleep again");
  }
}
