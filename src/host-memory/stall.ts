/** Why the guest waits for memory, for people: a text in shared memory, written by whoever waits and taken back by whoever got through. */
import { atomicAdd, atomicLoad, atomicStore, notifyWaiters, waitWhile } from "#sync";
import type { HostViews } from "./host-views.raw.js";
import { STALL_TEXT_BASE, STALL_TEXT_LENGTH_MAX, WORD_MEMORY_FREED, WORD_STALL_LENGTH, WORD_STOPPING } from "./layout.js";

/** Longest sleep before a thread that waits for memory looks again: the room may come from outside, as in a full file system. */
const RECHECK_MS = 100;

/** One thread's part in waiting for memory. */
export class MemoryStall {
  readonly #views: HostViews;
  #isWaiting = false;

  constructor(views: HostViews) {
    this.#views = views;
  }

  /** Notes `why` (one line) and sleeps until frames were freed, shortly at most. False = the VM ends, do not wait any more. */
  wait(why: string): boolean {
    const { words } = this.#views;
    const freed = atomicLoad(words, WORD_MEMORY_FREED);
    if (this.isStopping) return false;
    this.#isWaiting = true;
    this.#write(why);
    waitWhile(words, WORD_MEMORY_FREED, freed, RECHECK_MS);
    return !this.isStopping;
  }

  /** Takes the note back if this thread waited and now has what it waited for. */
  clear(): void {
    if (!this.#isWaiting) return;
    this.#isWaiting = false;
    atomicStore(this.#views.words, WORD_STALL_LENGTH, 0);
  }

  /** The note; undefined = nobody waits. A note that is being written may come out mixed. */
  get text(): string | undefined {
    const length = Math.min(atomicLoad(this.#views.words, WORD_STALL_LENGTH), STALL_TEXT_LENGTH_MAX);
    if (length === 0) return undefined;
    return new TextDecoder().decode(this.#views.bytes.slice(STALL_TEXT_BASE, STALL_TEXT_BASE + length));
  }

  /** Whether the VM ends. */
  get isStopping(): boolean {
    return atomicLoad(this.#views.words, WORD_STOPPING) !== 0;
  }

  /** Has nobody wait for memory any more. */
  stop(): void {
    const { words } = this.#views;
    atomicStore(words, WORD_STOPPING, 1);
    atomicAdd(words, WORD_MEMORY_FREED, 1);
    notifyWaiters(words, WORD_MEMORY_FREED);
  }

  #write(why: string): void {
    const bytes = new TextEncoder().encode(why).subarray(0, STALL_TEXT_LENGTH_MAX);
    this.#views.bytes.set(bytes, STALL_TEXT_BASE);
    atomicStore(this.#views.words, WORD_STALL_LENGTH, bytes.length);
  }
}
