/** Stopping and going on, as gdb's all-stop mode has it: either all vCPUs stand, or gdb waits for a stop reply. */
import {
  DEBUG_STOP_BREAKPOINT, DEBUG_STOP_STEP, DEBUG_STOP_WATCHPOINT, WATCH_READ, WATCH_WRITE,
} from "../../abi/layout.js";
import { Breakpoints } from "./breakpoints.js";
import type { DebugTarget } from "./debug-target.js";
import { numberOfRegister, placeOfRegister } from "./registers.js";
import type { StopEvent, VcpuAction } from "./vcpu-debugger.js";

const SIGNAL_INTERRUPT = "T02";
const SIGNAL_TRAP = "T05";
/** Which of several events is told first. A breakpoint that is not told is hit again when its vCPU goes on. */
const PRECEDENCE = [DEBUG_STOP_STEP, DEBUG_STOP_WATCHPOINT, DEBUG_STOP_BREAKPOINT];
const WATCH_NAMES: Readonly<Record<number, string>> = { [WATCH_WRITE]: "watch", [WATCH_READ]: "rwatch", [WATCH_WRITE | WATCH_READ]: "awatch" };
const RIP = placeOfRegister(numberOfRegister("rip"))!;

/** gdb's number of a vCPU, whose threads count from 1. */
export function threadId(vcpu: number): string {
  return (vcpu + 1).toString(16);
}

/** One session's hold on the vCPUs. */
export class RunControl {
  readonly breakpoints = new Breakpoints();
  readonly #target: DebugTarget;
  #isAttached = false;
  #isRunning = false;
  #isInterrupted = false;
  #lastReply = "";
  /** vCPU that registers and memory are asked of. */
  current = 0;

  constructor(target: DebugTarget) {
    this.#target = target;
  }

  get isAttached(): boolean {
    return this.#isAttached;
  }

  /** Stops the VM for a session that begins, or begins again. */
  async attach(): Promise<void> {
    if (this.#isAttached) return;
    this.#isAttached = true;
    this.#target.debugger.requestStop();
    await this.#target.debugger.stopped();
    for (const { vcpu } of this.#target.debugger.events()) this.#target.debugger.clearEvent(vcpu);
    this.#lastReply = `${SIGNAL_TRAP}thread:${threadId(this.current)};`;
  }

  /** Takes all breakpoints away and lets the guest go on. */
  async detach(): Promise<void> {
    if (!this.#isAttached) return;
    const { debugger: vcpus } = this.#target;
    vcpus.requestStop();
    await vcpus.stopped();
    this.#isAttached = false;
    this.#isInterrupted = false;
    this.breakpoints.clear();
    for (const { vcpu } of vcpus.events()) vcpus.clearEvent(vcpu);
    vcpus.resume(new Array<VcpuAction>(vcpus.vcpuCount).fill("continue"), this.breakpoints.table);
  }

  /** gdb wants the guest to stop; `isAwaited` = a packet that lets it go on may be on its way to `resume`. */
  interrupt(isAwaited: boolean): void {
    if (!this.#isRunning && !isAwaited) return;
    this.#isInterrupted = true;
    if (this.#isRunning) this.#target.debugger.requestStop();
  }

  /** The last stop reply. */
  get lastReply(): string {
    return this.#lastReply;
  }

  /** Lets vCPUs go on as `actions` says and resolves with the stop reply when all stand again. Rejects when the VM has ended. */
  async resume(actions: readonly VcpuAction[]): Promise<string> {
    const { debugger: vcpus } = this.#target;
    const left = this.#takeLeftOver();
    if (left === undefined) {
      vcpus.resume(actions, this.breakpoints.table);
      this.#isRunning = true;
      try {
        if (this.#isInterrupted) vcpus.requestStop();
        await vcpus.stopped();
      } finally {
        this.#isRunning = false;
      }
    }
    this.#lastReply = await this.#describeStop(left ?? this.#firstEvent());
    this.#isInterrupted = false;
    return this.#lastReply;
  }

  /** A hit of a watchpoint that was not told at the last stop: its instruction is complete and hits nothing again. Forgets all else. */
  #takeLeftOver(): StopEvent | undefined {
    let left: StopEvent | undefined;
    for (const event of this.#target.debugger.events()) {
      const counts = event.kind === DEBUG_STOP_WATCHPOINT && this.breakpoints.hasWatchpoint({ address: event.watchAddress, kind: event.watchKind });
      if (counts && left !== undefined) continue;
      this.#target.debugger.clearEvent(event.vcpu);
      if (counts) left = event;
    }
    return left;
  }

  #firstEvent(): StopEvent | undefined {
    const events = this.#target.debugger.events();
    const first = PRECEDENCE.map((kind) => events.find((event) => event.kind === kind)).find((event) => event !== undefined);
    if (first !== undefined) this.#target.debugger.clearEvent(first.vcpu);
    return first;
  }

  async #describeStop(event: StopEvent | undefined): Promise<string> {
    if (event === undefined) return `${SIGNAL_INTERRUPT}thread:${threadId(this.current)};`;
    this.current = event.vcpu;
    const thread = `thread:${threadId(event.vcpu)};`;
    if (event.kind === DEBUG_STOP_WATCHPOINT) return `${SIGNAL_TRAP}${WATCH_NAMES[event.watchKind]!}:${event.watchAddress.toString(16)};${thread}`;
    if (event.kind === DEBUG_STOP_STEP) return `${SIGNAL_TRAP}${thread}`;
    return `${SIGNAL_TRAP}${this.breakpoints.isHardware(await this.#rip(event.vcpu)) ? "hwbreak" : "swbreak"}:;${thread}`;
  }

  async #rip(vcpu: number): Promise<bigint> {
    const packed = await this.#target.debugger.ask(vcpu, { name: "read-registers" });
    return packed.subarray(RIP.offset, RIP.offset + RIP.lengthBytes).reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  }
}
