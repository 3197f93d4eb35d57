/**
 * The main thread's hold on the vCPUs for a debugger: stop all, look at one, let some go on.
 *
 *     main thread                              vCPU thread
 *     request |= DEBUG_STOP at all             stands at the gate; "paused"
 *     all at the gate? stopped                 (or: hits something, request |= DEBUG_STOP at all, stands)
 *     message; request |= DEBUG_MESSAGE        takes the bit, then the messages; answers
 *     table, steps, flushes; request &= ~DEBUG_STOP at those that go on
 *
 * A vCPU that was not let go stands on with its bit set, and who sees the bit at the gate stays there. So "all have the bit and are at the gate" means
 * that nobody runs, whenever it is looked at. The first vCPU that is let go may have hit something before the last one is:
 *
 *     main thread                              vCPU 0
 *     request of 0 &= ~DEBUG_STOP
 *                                              debugStop = why; request |= DEBUG_STOP at all
 *     request of 1 &= ~DEBUG_STOP
 *     debugStop of any? request |= DEBUG_STOP at all
 *
 * Bad outcome without the last line: vCPU 1 runs on, and nobody ever says that all stand. The reason is written before the bit is set, so main, which
 * took the bit away, sees the reason.
 */
import {
  DEBUG_STOP_NONE, REQUEST_CODE_INVALIDATE, REQUEST_DEBUG_MESSAGE, REQUEST_DEBUG_STOP, REQUEST_TLB_FLUSH, VCPU,
} from "../../abi/layout.js";
import { type DebugTable, type VcpuState, type Watchpoint, writeDebugTable } from "../../cpu/index.js";
import { clearRequest, isAtGate, makeAllVcpusRequest } from "../../exit/index.js";
import { PendingAnswers } from "../pending-answers.js";
import type { DebugCommand, DebugRequest, DebugResult, DebugResults } from "./messages.js";

/** What a vCPU is to do when the others are told what they are to do. */
export type VcpuAction = "stay" | "continue" | "step";

/** What a vCPU has to tell. */
export interface StopEvent {
  readonly vcpu: number;
  /** DEBUG_STOP_*, never DEBUG_STOP_NONE. */
  readonly kind: number;
  /** The watchpoint that was hit. */
  readonly watchAddress: bigint;
  readonly watchKind: number;
}

/** What it works on. */
export interface VcpuDebuggerParts {
  readonly memory: WebAssembly.Memory;
  readonly vcpus: readonly VcpuState[];
  /** Puts a message where a vCPU's thread finds it. */
  send(vcpu: number, request: DebugRequest): void;
}

/** Used by the main thread, by one debugger at a time. */
export class VcpuDebugger {
  readonly #parts: VcpuDebuggerParts;
  readonly #pending = new PendingAnswers<DebugResult>();
  #stopWaiters: { resolve(): void; reject(error: unknown): void }[] = [];
  #error: unknown;
  #breakpoints: readonly bigint[] = [];
  #watchpoints: readonly Watchpoint[] = [];

  constructor(parts: VcpuDebuggerParts) {
    this.#parts = parts;
  }

  get vcpuCount(): number {
    return this.#parts.vcpus.length;
  }

  /** Has all vCPUs stand, from before their first instruction when it is called before they start. */
  requestStop(): void {
    if (this.#error !== undefined) return;
    makeAllVcpusRequest(this.#parts.vcpus, REQUEST_DEBUG_STOP);
  }

  /** Resolves when all vCPUs stand, for whatever reason; rejects when the VM has ended. */
  async stopped(): Promise<void> {
    if (this.#error !== undefined) throw this.#error;
    if (this.#isStopped()) return;
    await new Promise<void>((resolve, reject) => this.#stopWaiters.push({ resolve, reject }));
  }

  /** A vCPU has begun to stand: time to look. */
  look(): void {
    if (this.#stopWaiters.length === 0 || !this.#isStopped()) return;
    for (const { resolve } of this.#stopWaiters.splice(0)) resolve();
  }

  #isStopped(): boolean {
    return this.#parts.vcpus.every((vcpu) => (vcpu.requests & REQUEST_DEBUG_STOP) !== 0 && isAtGate(vcpu));
  }

  /** What the vCPUs have to tell. While they run, some of it may come a moment later. */
  events(): StopEvent[] {
    return this.#parts.vcpus.filter(({ debugStop }) => debugStop !== DEBUG_STOP_NONE).map((vcpu) => ({
      vcpu: vcpu.index, kind: vcpu.debugStop, watchAddress: vcpu.readU64(VCPU.debugWatchAddress), watchKind: vcpu.readU32(VCPU.debugWatchKind),
    }));
  }

  /** The event of `vcpu` has been told, or is none any more. */
  clearEvent(vcpu: number): void {
    this.#parts.vcpus[vcpu]!.debugStop = DEBUG_STOP_NONE;
  }

  /**
   * Lets the vCPUs go on, each as `actions` says, with `table` as what they look for. Precondition: they stand, and have nothing to tell. Steps look for no
   * breakpoint, so while nobody but they goes on the old ones stay in place: a debugger takes them all away to step over one.
   */
  resume(actions: readonly VcpuAction[], table: DebugTable): void {
    const { vcpus, memory } = this.#parts;
    const breakpoints = actions.includes("continue") ? table.breakpoints : this.#breakpoints;
    let flushes = 0;
    if (!isEqual(breakpoints, this.#breakpoints)) flushes |= REQUEST_CODE_INVALIDATE;
    if (!isEqual(table.watchpoints, this.#watchpoints)) flushes |= REQUEST_TLB_FLUSH;
    if (flushes !== 0) {
      this.#breakpoints = [...breakpoints];
      this.#watchpoints = [...table.watchpoints];
      writeDebugTable(memory, { breakpoints, watchpoints: table.watchpoints });
      makeAllVcpusRequest(vcpus, flushes);
    }
    actions.forEach((action, index) => void (vcpus[index]!.isStepping = action === "step"));
    clearRequest(vcpus.filter((_, index) => actions[index] !== "stay"), REQUEST_DEBUG_STOP);
    if (this.events().length > 0) this.requestStop();
  }

  /** Has the thread of `vcpu` carry out `command`. Precondition: the vCPUs stand. Rejects when the VM has ended. */
  async ask<Command extends DebugCommand>(vcpu: number, command: Command): Promise<DebugResults[Command["name"]]> {
    if (this.#error !== undefined) throw this.#error;
    const result = await this.#pending.ask((id) => {
      this.#parts.send(vcpu, { id, command });
      this.#parts.vcpus[vcpu]!.postRequest(REQUEST_DEBUG_MESSAGE);
    });
    return result as DebugResults[Command["name"]];
  }

  /** Takes the answer of a vCPU's thread. */
  take(id: number, result: DebugResult): void {
    this.#pending.take(id, result);
  }

  /** The VM has ended: everything that waits, and all later calls, reject with `error`. */
  fail(error: unknown): void {
    this.#error = error;
    this.#pending.fail(error);
    for (const { reject } of this.#stopWaiters.splice(0)) reject(error);
  }
}

function isEqual(a: readonly (bigint | Watchpoint)[], b: readonly (bigint | Watchpoint)[]): boolean {
  return keyOf(a) === keyOf(b);
}

function keyOf(entries: readonly (bigint | Watchpoint)[]): string {
  return entries.map((one) => (typeof one === "bigint" ? String(one) : `${one.address}+${one.lengthBytes}:${one.kind}`)).sort().join(" ");
}
