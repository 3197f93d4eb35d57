/** Small programs by chance, of all kinds of operations: 2 or 3 threads with a few steps on a few words. For comparing searches. */
import type { Operation, Scenario } from "../model.js";
import { Randomness } from "../randomness.js";

/** A step of a generated thread: from what it has seen last, the next operation. */
type Step = (seen: number, frames: readonly number[]) => Operation;

/** What a generated program may contain. */
export interface ProgramOptions {
  readonly stepsMax: number;
  readonly threadsMax: number;
  readonly isTso: boolean;
  readonly hasInvariant: boolean;
}

const DATA_WORDS = 2;
const LOCK = DATA_WORDS;
const READ_WRITE_LOCK = DATA_WORDS + 1;
/** Ghost: the thread that has made a step last, of those that tell. */
const LAST = DATA_WORDS + 2;
const FIRST_RESULT = DATA_WORDS + 3;

/** Makes a program from a seed; each call of the result makes it anew. */
export function makeProgram(seed: number, { stepsMax, threadsMax, isTso, hasInvariant }: ProgramOptions): () => Scenario {
  const random = new Randomness(seed);
  const threadCount = 2 + random.below(threadsMax - 1);
  const threads = Array.from({ length: threadCount }, () => makeSteps(random, 1 + random.below(stepsMax), isTso));
  const limit = 1 + random.below(4);
  const tells = random.below(3) === 0;
  return () => ({
    words: [
      { name: "x", value: 0 }, { name: "y", value: 0 }, { name: "lock", value: 0 }, { name: "rw", value: 0 }, { name: "last", value: 0 },
      ...threads.map((_, thread) => ({ name: `r${thread}`, value: 0 })),
    ],
    threads: threads.map((steps, thread) => ({ name: `t${thread}`, run: () => runSteps(steps, thread, tells) })),
    framesAtStart: 1,
    framesAtEnd: 1,
    ...(hasInvariant ? { invariant: (view) => (view.value(0) - view.value(1) >= limit ? `x is ${view.value(0)}, y is ${view.value(1)}` : undefined) } : {}),
  });
}

function* runSteps(steps: readonly Step[], thread: number, tells: boolean): Generator<Operation, void, number> {
  let seen = 0;
  let digest = 0;
  const frames: number[] = [];
  for (const step of steps) {
    const operation = step(seen, frames);
    seen = yield operation;
    if (operation.kind === "allocate") frames.push(seen);
    digest = (digest * 5 + seen) % 9973;
    yield { kind: "note", cell: FIRST_RESULT + thread, value: digest };
    if (tells) yield { kind: "note", cell: LAST, value: thread };
  }
}

function makeSteps(random: Randomness, count: number, isTso: boolean): readonly Step[] {
  const steps: Step[] = [];
  while (steps.length < count) steps.push(...makeStep(random, isTso));
  return steps;
}

const freeLast: Step = (_, frames) => ({ kind: "free", frame: frames.at(-1) ?? 1 });

/** One step, or a few that belong together. */
function makeStep(random: Randomness, isTso: boolean): Step[] {
  const cell = random.below(DATA_WORDS);
  const value = 1 + random.below(2);
  const inner = (): Step => () => (random.below(1), { kind: "update", cell, by: (old) => (old + value) % 4 });
  const always = (operation: Operation): Step => () => operation;
  switch (random.below(isTso ? 15 : 14)) {
    case 0: case 1: return [always({ kind: "load", cell })];
    case 2: return [always({ kind: "store", cell, value })];
    case 3: return [inner()];
    case 4: return [always({ kind: "plain-load", cell, volatile: random.below(2) === 0 })];
    case 5: return [always({ kind: "plain-store", cell, value, volatile: random.below(2) === 0 })];
    case 6: return [always({ kind: "await", cell, until: (now) => now !== value - 1, sleeps: false })];
    case 7: return [always({ kind: "lock", cell: LOCK, sleeps: true }), inner(), always({ kind: "unlock", cell: LOCK })];
    case 8: return [always({ kind: "lock", cell: LOCK, sleeps: true }), always({ kind: "unlock", cell: LOCK })];
    case 9: return [always({ kind: "read-lock", cell: READ_WRITE_LOCK, sleeps: true, fair: true }), always({ kind: "load", cell }), always({ kind: "read-unlock", cell: READ_WRITE_LOCK })];
    case 10: return [always({ kind: "write-lock", cell: READ_WRITE_LOCK, sleeps: true, fair: random.below(2) === 0 }), inner(), always({ kind: "write-unlock", cell: READ_WRITE_LOCK })];
    case 11:
      if (random.below(3) === 0) return [always({ kind: "free", frame: 1 })];
      return [always({ kind: "allocate" }), freeLast].slice(0, 1 + random.below(2));
    case 12: return [always({ kind: "use", frame: 1 + random.below(2) })];
    // What a thread does may depend on what it saw.
    case 13: return [(seen) => (seen % 2 === 0 ? { kind: "store", cell, value } : { kind: "load", cell: 1 - cell })];
    default: return [always({ kind: "fence" })];
  }
}
