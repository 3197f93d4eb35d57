/**
 * Threads that run one at a time, in an order that a seed decides: before each shared access the one that runs may have to hand the
 * baton on. So a schedule can be drawn at random by the thousand, a failing one can be run again, and a wait that nobody can end is
 * seen at once instead of hanging.
 *
 * Words of the baton, all accessed by the real Atomics: which threads have finished (bits), which sleep or spin (bits), how often the baton was handed on by
 * sleepers since anybody did anything else, the state of the random numbers, how many hand-overs there were, a verdict, whether the
 * round is over, whether turns are long; and a word a thread: whether it is its turn.
 */
import type { Interposer, SharedView } from "./paused-atomics.raw.js";

const FINISHED = 1;
const IDLE_PASSES = 2;
const RANDOM = 3;
const STEPS = 4;
const VERDICT = 5;
const IS_OVER = 6;
const IDLE = 7;
const ARE_TURNS_LONG = 8;
/** The first thread's word, a cache line for each. */
const TURNS = 16;
const TURN_STRIDE = 16;
const THREADS_MAX = 16;

const SPINS_BEFORE_SLEEP = 200;
/** A round with more hand-overs than this goes round in circles. */
const STEPS_MAX = 30_000;
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
    Atomics.store(words, IDLE, 0);
    Atomics.store(words, IDLE_PASSES, 0);
    Atomics.store(words, STEPS, 0);
    Atomics.store(words, VERDICT, 0);
    Atomics.store(words, RANDOM, Math.imul(seed + 1, 0x9e37_79b9) | 1);
    Atomics.store(words, IS_OVER, 0);
    Atomics.store(words, ARE_TURNS_LONG, draw(words) % 3 === 0 ? 0 : 1);
    post(words, turnOf(draw(words) % this.#threadCount));
    take(words, IS_OVER);
    return VERDICTS[Atomics.load(words, VERDICT)]!;
  }
}

/** Who a holder is. */
export interface HolderParts {
  /** Number of the thread, from 0. */
  readonly self: number;
  readonly threadCount: number;
  /** 32-bit words from this index on are mostly copied and compared in bulk: only the first of each 1024 are places to hand on. */
  readonly bulkFrom: number;
}

/** One thread's hold on the baton; also its interposer. */
export class BatonHolder implements Interposer {
  readonly #words: Int32Array;
  readonly #self: number;
  readonly #threadCount: number;
  readonly #bulkFrom: number;
  #isRunning = false;
  #stepsLeft = 0;
  #lastArray: SharedView | undefined;
  #lastIndex = -1;
  #looks = 0;
  #isIdle = false;

  constructor(baton: SharedArrayBuffer, { self, threadCount, bulkFrom }: HolderParts) {
    this.#words = new Int32Array(baton);
    this.#self = self;
    this.#threadCount = threadCount;
    this.#bulkFrom = bulkFrom;
  }

  /** Waits for this thread's first turn of a round, runs `body` in turns with the others, and hands on for good. */
  runRound(body: () => void): void {
    this.#isIdle = false;
    this.#looks = 0;
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

  beforeAccess(array: SharedView, index: number): void {
    if (!this.#isRunning || this.#isBulk(array, index)) return;
    if (array === this.#lastArray && index === this.#lastIndex) this.#looks++;
    else this.#lookElsewhere();
    this.#lastArray = array;
    this.#lastIndex = index;
    const isSpinning = this.#looks >= SPIN_LOOKS;
    if (--this.#stepsLeft > 0 && !isSpinning) return;
    if (isSpinning) this.#setIdle(true);
    if (Atomics.add(this.#words, STEPS, 1) > STEPS_MAX) this.#giveUp("livelock");
    Atomics.store(this.#words, IDLE_PASSES, 0);
    if (this.#handOn()) this.#waitForTurn();
    else this.#drawSteps();
  }

  wait(view: Int32Array, index: number, expected: number, timeoutMs: number): "ok" | "not-equal" | "timed-out" {
    if (!this.#isRunning) return Atomics.wait(view, index, expected, timeoutMs);
    if (Atomics.load(view, index) !== expected) return "not-equal";
    while (Atomics.load(view, index) === expected) {
      this.#setIdle(true);
      const passes = Atomics.add(this.#words, IDLE_PASSES, 1);
      if (passes > 4 * this.#threadCount) {
        if (timeoutMs !== Infinity) return this.#endWait("timed-out");
        if (passes > 40 * this.#threadCount) this.#giveUp("deadlock");
      }
      if (this.#handOn()) this.#waitForTurn();
    }
    return this.#endWait("ok");
  }

  #lookElsewhere(): void {
    this.#looks = 0;
    this.#setIdle(false);
  }

  #setIdle(isIdle: boolean): void {
    if (isIdle === this.#isIdle) return;
    this.#isIdle = isIdle;
    if (isIdle) Atomics.or(this.#words, IDLE, 1 << this.#self);
    else Atomics.and(this.#words, IDLE, ~(1 << this.#self));
  }

  #endWait<T>(result: T): T {
    this.#setIdle(false);
    Atomics.store(this.#words, IDLE_PASSES, 0);
    return result;
  }

  /** Most words of frames are used by those who have the frame to themselves: a hand-over at each would take long. */
  #isBulk(view: SharedView, index: number): boolean {
    return view instanceof Int32Array && index >= this.#bulkFrom && (index & 1023) >= 8;
  }

  /** Gives the baton to some other thread that has not finished; false = there is none, and this one keeps it. */
  #handOn(): boolean {
    const words = this.#words;
    const finished = Atomics.load(words, FINISHED);
    const others: number[] = [];
    for (let thread = 0; thread < this.#threadCount; thread++) {
      if (thread !== this.#self && (finished & (1 << thread)) === 0) others.push(thread);
    }
    const idle = Atomics.load(words, IDLE);
    const busy = others.filter((thread) => (idle & (1 << thread)) === 0);
    // Who sleeps or spins looks again now and then only, while there is somebody whose steps can change something.
    const candidates = busy.length > 0 && draw(words) % 8 !== 0 ? busy : others;
    const isLast = others.length === 0 && (finished & (1 << this.#self)) !== 0;
    if (others.length === 0 && !isLast) return false;
    post(words, isLast ? IS_OVER : turnOf(candidates[draw(words) % candidates.length]!));
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

  /** Rounds of many short turns and rounds of few long ones: bugs hide behind both. */
  #drawSteps(): void {
    const kind = draw(this.#words) % 10;
    const [short, middle, long] = Atomics.load(this.#words, ARE_TURNS_LONG) === 0 ? [3, 16, 90] : [16, 90, kind === 9 ? 2000 : 400];
    const most = kind < 4 ? short : kind < 8 ? middle : long;
    this.#stepsLeft = 1 + (draw(this.#words) % most);
  }

  #giveUp(verdict: BatonVerdict): never {
    this.#isRunning = false;
    Atomics.store(this.#words, VERDICT, VERDICTS.indexOf(verdict));
    throw new RoundGivenUp(verdict);
  }
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
