/**
 * Threads that run one at a time, in an order that a seed decides: before each shared access the one that runs may have to hand the
 * baton on. So a schedule can be drawn at random by the thousand, a failing one can be run again, and a wait that nobody can end is
 * seen at once instead of hanging.
 *
 * Words of the baton, all accessed by the real Atomics: which threads have finished (bits), how often the baton was handed on by
 * sleepers since anybody did anything else, the state of the random numbers, how many hand-overs there were, a verdict, whether the
 * round is over; and a word a thread: whether it is its turn.
 */
import { FRAMES_BASE } from "../../abi/layout.js";
import type { Interposer, SharedView } from "./paused-atomics.raw.js";

const FINISHED = 1;
const IDLE_PASSES = 2;
const RANDOM = 3;
const STEPS = 4;
const VERDICT = 5;
const IS_OVER = 6;
/** The first thread's word, a cache line for each. */
const TURNS = 16;
const TURN_STRIDE = 16;
const THREADS_MAX = 16;

const SPINS_BEFORE_SLEEP = 200;
/** Word index of the first frame of a host memory (abi/layout.ts). */
const FRAMES_WORD = FRAMES_BASE >>> 2;
/** A round with more accesses than this goes round in circles. */
const STEPS_MAX = 400_000;
/** So many looks at one word in a row are a spin: somebody else has to run. */
const SPIN_LOOKS = 4;

/** How a round ended: well, with all threads asleep, or not at all. */
export type BatonVerdict = "done" | "deadlock" | "livelock";
const VERDICTS: readonly BatonVerdict[] = ["done", "deadlock", "livelock"];

/** Thrown into threads whose round was given up. */
export class RoundGivenUp extends Error {
  override readonly name = "RoundGivenUp";
}

/** Makes the shared words of a baton. */
export function createBaton(): SharedArrayBuffer {
  return new SharedArrayBuffer((TURNS + THREADS_MAX * TURN_STRIDE) * 4);
}

/** The side of whoever starts rounds and waits for their ends. */
export class BatonRounds {
  readonly #words: Int32Array;
  readonly #threadCount: number;

  constructor(baton: SharedArrayBuffer, threadCount: number) {
    this.#words = new Int32Array(baton);
    this.#threadCount = threadCount;
  }

  /** Runs one round: every thread's `runRound` from its start to its end. Sleeps meanwhile. */
  run(seed: number): BatonVerdict {
    const words = this.#words;
    Atomics.store(words, FINISHED, 0);
    Atomics.store(words, IDLE_PASSES, 0);
    Atomics.store(words, STEPS, 0);
    Atomics.store(words, VERDICT, 0);
    Atomics.store(words, RANDOM, Math.imul(seed + 1, 0x9e37_79b9) | 1);
    Atomics.store(words, IS_OVER, 0);
    post(words, turnOf(draw(words) % this.#threadCount));
    take(words, IS_OVER);
    return VERDICTS[Atomics.load(words, VERDICT)]!;
  }
}

/** One thread's hold on the baton; also its interposer. */
export class BatonHolder implements Interposer {
  readonly #words: Int32Array;
  readonly #self: number;
  readonly #threadCount: number;
  #isRunning = false;
  #stepsLeft = 0;
  #lastView: SharedView | undefined;
  #lastIndex = -1;
  #looks = 0;

  constructor(baton: SharedArrayBuffer, self: number, threadCount: number) {
    this.#words = new Int32Array(baton);
    this.#self = self;
    this.#threadCount = threadCount;
  }

  /** Waits for this thread's first turn of a round, runs `body` in turns with the others, and hands on for good. */
  runRound(body: () => void): void {
    this.#waitForTurn();
    this.#isRunning = true;
    try {
      body();
    } finally {
      this.#isRunning = false;
      Atomics.or(this.#words, FINISHED, 1 << this.#self);
      Atomics.store(this.#words, IDLE_PASSES, 0);
      this.#handOn();
    }
  }

  beforeAccess(view: SharedView, index: number): void {
    if (!this.#isRunning || isBulk(view, index)) return;
    if (view === this.#lastView && index === this.#lastIndex) this.#looks++;
    else this.#looks = 0;
    this.#lastView = view;
    this.#lastIndex = index;
    if (--this.#stepsLeft > 0 && this.#looks < SPIN_LOOKS) return;
    this.#looks = 0;
    if (Atomics.add(this.#words, STEPS, 1) > STEPS_MAX) this.#giveUp("livelock");
    Atomics.store(this.#words, IDLE_PASSES, 0);
    if (this.#handOn()) this.#waitForTurn();
    else this.#drawSteps();
  }

  wait(view: Int32Array, index: number, expected: number, timeoutMs: number): "ok" | "not-equal" | "timed-out" {
    if (!this.#isRunning) return Atomics.wait(view, index, expected, timeoutMs);
    if (Atomics.load(view, index) !== expected) return "not-equal";
    while (Atomics.load(view, index) === expected) {
      const passes = Atomics.add(this.#words, IDLE_PASSES, 1);
      if (passes > 4 * this.#threadCount) {
        if (timeoutMs !== Infinity) return this.#endWait("timed-out");
        if (passes > 40 * this.#threadCount) this.#giveUp("deadlock");
      }
      if (this.#handOn()) this.#waitForTurn();
    }
    return this.#endWait("ok");
  }

  #endWait<T>(result: T): T {
    Atomics.store(this.#words, IDLE_PASSES, 0);
    return result;
  }

  /** Gives the baton to some other thread that has not finished; false = there is none, and this one keeps it. */
  #handOn(): boolean {
    const words = this.#words;
    const finished = Atomics.load(words, FINISHED);
    const others: number[] = [];
    for (let thread = 0; thread < this.#threadCount; thread++) {
      if (thread !== this.#self && (finished & (1 << thread)) === 0) others.push(thread);
    }
    const isLast = others.length === 0 && (finished & (1 << this.#self)) !== 0;
    if (others.length === 0 && !isLast) return false;
    post(words, isLast ? IS_OVER : turnOf(others[draw(words) % others.length]!));
    return true;
  }

  #waitForTurn(): void {
    take(this.#words, turnOf(this.#self));
    if (Atomics.load(this.#words, VERDICT) !== 0) {
      this.#isRunning = false;
      throw new RoundGivenUp("the round was given up");
    }
    this.#drawSteps();
  }

  /** Short runs mostly, long ones sometimes: bugs hide behind both. */
  #drawSteps(): void {
    const kind = draw(this.#words) % 10;
    const most = kind < 4 ? 3 : kind < 8 ? 16 : 90;
    this.#stepsLeft = 1 + (draw(this.#words) % most);
  }

  #giveUp(verdict: BatonVerdict): never {
    this.#isRunning = false;
    Atomics.store(this.#words, VERDICT, VERDICTS.indexOf(verdict));
    throw new RoundGivenUp(verdict);
  }
}

/** Most words of frames are only copied and compared, by those who have the frame to themselves: a hand-over at each would take long. */
function isBulk(view: SharedView, index: number): boolean {
  return view instanceof Int32Array && index >= FRAMES_WORD && (index & 1023) >= 8;
}

function draw(words: Int32Array): number {
  let state = Atomics.load(words, RANDOM);
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  Atomics.store(words, RANDOM, state);
  return state >>> 3;
}

function turnOf(thread: number): number {
  return TURNS + thread * TURN_STRIDE;
}

/** Sets a word to 1 for the one who takes it. */
function post(words: Int32Array, index: number): void {
  Atomics.store(words, index, 1);
  Atomics.notify(words, index);
}

/** Waits until a word is 1 and sets it back. */
function take(words: Int32Array, index: number): void {
  for (let spin = 0; spin < SPINS_BEFORE_SLEEP && Atomics.load(words, index) === 0; spin++);
  while (Atomics.load(words, index) === 0) Atomics.wait(words, index, 0);
  Atomics.store(words, index, 0);
}
