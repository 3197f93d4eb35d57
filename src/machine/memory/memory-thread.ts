/**
 * The work of the memory thread: reclaim, storm and commands, in turns of bounded pieces. It sleeps when there is nothing to do, and
 * ends between two pieces when it is told to.
 */
import type { MemoryMessage, MemoryRequest } from "./memory-command.js";
import { type MemoryJob, runCommand } from "./memory-jobs.js";
import type { MemoryOperations } from "./memory-operations.js";
import { Reclaimer } from "./reclaimer.js";
import type { StormBlock } from "./storm-block.raw.js";
import { Storm } from "./storm.js";

const NS_PER_MS = 1e6;
/** Waits shorter than this are spun through: a sleep and its wake-up cost about as much. */
const SPIN_NS = 20_000;

/** What the thread is made from. */
export interface MemoryThreadParts {
  readonly operations: MemoryOperations;
  readonly storm: StormBlock;
  readonly nowNs: () => number;
  /** The next command; undefined = none now. */
  readonly receive: () => MemoryRequest | undefined;
  readonly post: (message: MemoryMessage) => void;
}

/** The loop. */
export class MemoryThread {
  readonly #parts: MemoryThreadParts;
  readonly #storm: Storm;
  readonly #reclaimer: Reclaimer;
  #jobs: { readonly id: number; readonly job: MemoryJob }[] = [];

  constructor(parts: MemoryThreadParts) {
    const { operations, nowNs, post } = parts;
    this.#parts = parts;
    this.#storm = new Storm(operations, parts.storm, nowNs);
    this.#reclaimer = new Reclaimer(operations, nowNs, (reason) => post({ type: "stall", reason }));
  }

  /** Works until it is stopped. */
  run(): void {
    const { operations, post } = this.#parts;
    this.#storm.step();
    post({ type: "ready" });
    while (!operations.isStopping) {
      const seen = operations.reclaimWorkSeen;
      const waitNs = this.turn();
      if (waitNs > SPIN_NS) operations.waitForReclaimWork(seen, waitNs / NS_PER_MS);
    }
  }

  /** One piece of everything that is to be done. Returns the nanoseconds until there is more; 0 = at once, Infinity = not by itself. */
  turn(): number {
    this.#takeCommands();
    const waitNs = this.#stepBackground();
    for (const one of this.#jobs) this.#step(one);
    return this.#jobs.length > 0 ? 0 : waitNs;
  }

  #stepBackground(): number {
    const reclaimWaitNs = this.#reclaimer.step();
    return Math.min(reclaimWaitNs, this.#storm.step());
  }

  /** Within a command that cannot be left: reclaimer and storm get their turns, and the end of the VM ends it. */
  readonly #shouldStop = (): boolean => {
    this.#stepBackground();
    return this.#parts.operations.isStopping;
  };

  #takeCommands(): void {
    const { operations, storm, receive, post } = this.#parts;
    for (let request = receive(); request !== undefined; request = receive()) {
      const { id, command } = request;
      if (command.name === "storm") {
        this.#storm.setRate(command.rate);
        post({ type: "done", id, result: storm.stats() });
      } else {
        this.#jobs.push({ id, job: runCommand(operations, command, this.#shouldStop) });
      }
    }
  }

  #step(one: { readonly id: number; readonly job: MemoryJob }): void {
    if (this.#parts.operations.isStopping) return;
    const { done, value } = one.job.next();
    if (done !== true) return;
    this.#jobs = this.#jobs.filter((other) => other !== one);
    this.#parts.post({ type: "done", id: one.id, result: value });
  }
}
