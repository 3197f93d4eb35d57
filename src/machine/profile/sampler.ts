/**
 * Takes the samples of one vCPU, on its thread, outside guest mode: every so many instructions the core is made to stop at the very
 * instruction (VCPU.exactBudget), in whichever tier it is. So what runs for a tenth of the instructions gets a tenth of the samples,
 * whatever traces and regions it is made of. A vCPU that is halted runs no instructions and has no samples.
 */
import { SEGMENT_GS, VCPU } from "../../abi/layout.js";
import type { VcpuState } from "../../cpu/index.js";
import type { InstructionSampler } from "../../exit/index.js";
import type { LinearMemory } from "../../hypercall/index.js";
import { readAddress } from "../boot/little-endian.js";
import { TASK_COMM_BYTES, type TaskLayout } from "./profiled-kernel.js";
import { SampleList, type VcpuSamples } from "./samples.js";

/** Instructions between two samples on average: about 2000 samples a second, each of which costs an exit and about 5 microseconds. */
export const PERIOD_INSTRUCTIONS = 250_000;
/** Samples kept; a run of more has its period doubled, so that a file stays below 1 MB a vCPU. */
const SAMPLES_MAX = 1 << 16;
const USER_PRIVILEGE = 3;
/** Code of user space is told by its page. */
const PAGE_MASK = ~0xfffn;
const KERNEL_BIT = 1n << 63n;

/** What a sampler looks at. */
export interface SamplerParts {
  readonly state: VcpuState;
  readonly linear: Pick<LinearMemory, "read">;
  /** undefined = the kernel does not tell which task runs. */
  readonly tasks: TaskLayout | undefined;
  /** A number from 0 to below 1, another one each time. */
  readonly random: () => number;
  readonly periodInstructions?: number;
  /** Samples kept at most, an even number. */
  readonly samplesMax?: number;
}

/** The sampler of one vCPU. */
export class VcpuSampler implements InstructionSampler {
  readonly #parts: SamplerParts;
  readonly #list: SampleList;
  #period: number;
  /** Instructions retired at the last sample, and at which the next one is due. */
  #sampledAt: number;
  #dueAt = 0;

  constructor(parts: SamplerParts) {
    this.#parts = parts;
    this.#list = new SampleList(parts.samplesMax ?? SAMPLES_MAX, parts.random);
    this.#period = parts.periodInstructions ?? PERIOD_INSTRUCTIONS;
    this.#sampledAt = parts.state.instructionsRetired;
    this.#schedule();
  }

  beforeRun(budget: number): number {
    const { state } = this.#parts;
    // A look at the guest's memory would overwrite an exception that is to be raised first.
    if (state.instructionsRetired >= this.#dueAt && !state.hasPendingException) this.#take();
    const left = Math.max(1, this.#dueAt - state.instructionsRetired);
    state.writeU32(VCPU.exactBudget, left <= budget ? 1 : 0);
    return Math.min(budget, left);
  }

  #take(): void {
    const { state } = this.#parts;
    const now = state.instructionsRetired;
    const isKernel = state.cpl !== USER_PRIVILEGE;
    const rip = isKernel ? state.rip : state.rip & PAGE_MASK;
    if (this.#list.add({ isKernel, task: this.#currentTask(), rip }, now - this.#sampledAt)) this.#period *= 2;
    this.#sampledAt = now;
    this.#schedule();
  }

  /** What has been sampled. */
  result(): VcpuSamples {
    return this.#list.result(this.#parts.state.readU64(VCPU.lstar));
  }

  /** Periods differ, so that no loop of the guest is in step with them. */
  #schedule(): void {
    this.#dueAt = this.#sampledAt + Math.max(1, Math.round(this.#period * (0.5 + this.#parts.random())));
  }

  /** Name of the running task; "" where there is none yet or the kernel's memory is not mapped. */
  #currentTask(): string {
    const { tasks, linear } = this.#parts;
    const base = this.#kernelGsBase();
    if (tasks === undefined || base === undefined) return "";
    const pointer = linear.read(BigInt.asUintN(64, base + tasks.currentOffset), 8);
    const task = pointer && readAddress(pointer, 0);
    const comm = task === undefined || task < KERNEL_BIT ? undefined : linear.read(BigInt.asUintN(64, task + BigInt(tasks.commOffset)), TASK_COMM_BYTES);
    return comm === undefined ? "" : textOf(comm);
  }

  /** Base of the kernel's per-CPU data: in GS while the kernel runs, but for its first instructions, else behind SWAPGS. */
  #kernelGsBase(): bigint | undefined {
    const { state } = this.#parts;
    return [state.segmentBase(SEGMENT_GS), state.readU64(VCPU.kernelGsBase)].find((base) => base >= KERNEL_BIT);
  }
}

function textOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}
