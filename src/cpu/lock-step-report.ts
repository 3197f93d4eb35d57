/** What the lock-step check of one vCPU has found (interpreter/lock-step.ts): its figures, and the difference that stopped the vCPU. */
import { LOCK_STEP, STRETCH_END_NAMES, VCPU, VCPU_AREA } from "../abi/layout.js";
import { type VcpuState, vcpuStateAddress } from "./vcpu-state.raw.js";

/** Figures of the lock-step check. */
export interface LockStepFigures {
  /** Stretches of code that translated code and interpreter both ran, each from the entry of a region on, and the instructions in them. */
  readonly checked: number;
  readonly instructions: number;
  /** How those stretches ended, by reason. */
  readonly ends: Readonly<Record<string, number>>;
  /** Entries that could not be checked, by reason. */
  readonly skipped: Readonly<Record<string, number>>;
  /** 1 when a difference stopped the VM. */
  readonly differences: number;
}

/** One thing that differs. Values are hexadecimal text. */
export interface LockStepValue {
  /** A register's name, "rflags", "instructions", "end", or "memory" with a guest-physical address. */
  readonly name: string;
  /** By the interpreter. */
  readonly expected: string;
  /** By translated code. */
  readonly actual: string;
}

/** A difference between translated code and the interpreter. */
export interface LockStepDifference {
  /** RIP of the entry of the region from which the code was reached that differs. */
  readonly regionRip: string;
  /** Where that code is: blocks that were run one after the other, at most 16. As a rule it is one; a region's loop is several. */
  readonly blocks: readonly { readonly rip: string; readonly length: number }[];
  /** false: the two differed somewhere in the stretch from the region's entry on, and agreed when that was run again. */
  readonly narrowed: boolean;
  readonly values: readonly LockStepValue[];
}

const GPR = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];
const REASON_COUNT = STRETCH_END_NAMES.length;
const WORD_BYTES = 24;
const BLOCK_BYTES = 16;

/** What the check of one vCPU's translated code has found, in the host's memory. Its thread writes it; others may see older figures. */
export class LockStepReport {
  readonly #view: DataView;

  /** That of the vCPU whose state is `state`. */
  constructor(state: VcpuState) {
    this.#view = new DataView(state.words.buffer, vcpuStateAddress(state.index) - VCPU_AREA.state + VCPU_AREA.lockStep, LOCK_STEP.oldPages);
  }

  get figures(): LockStepFigures {
    return {
      checked: this.#count(LOCK_STEP.checked), instructions: this.#count(LOCK_STEP.instructions), ends: this.#reasons(LOCK_STEP.ends),
      skipped: this.#reasons(LOCK_STEP.skipped), differences: this.#u32(LOCK_STEP.differences),
    };
  }

  /** The difference that stopped the vCPU, undefined = there is none. */
  get difference(): LockStepDifference | undefined {
    if (this.#u32(LOCK_STEP.differences) === 0) return undefined;
    return {
      regionRip: hex(this.#u64(LOCK_STEP.entryRip)),
      blocks: Array.from({ length: this.#u32(LOCK_STEP.blockCount) }, (_, index) => {
        const at = LOCK_STEP.blocks + index * BLOCK_BYTES;
        return { rip: hex(this.#u64(at)), length: this.#u32(at + 8) };
      }),
      narrowed: this.#u32(LOCK_STEP.narrowed) !== 0,
      values: [...this.#registers(), ...this.#counts(), ...this.#words()],
    };
  }

  #u32(offset: number): number { return this.#view.getUint32(offset, true); }
  #u64(offset: number): bigint { return this.#view.getBigUint64(offset, true); }
  #count(offset: number): number { return Number(this.#u64(offset)); }

  #reasons(table: number): Record<string, number> {
    const counts = STRETCH_END_NAMES.map((name, reason) => [name, this.#count(table + reason * 8)] as const);
    return Object.fromEntries(counts.filter(([, count]) => count > 0));
  }

  #registers(): LockStepValue[] {
    return STATE_FIELDS.flatMap(({ name, offset, bytes }) => {
      const [expected, actual] = [this.#field(LOCK_STEP.interpreted + offset, bytes), this.#field(LOCK_STEP.told + offset, bytes)];
      return expected === actual ? [] : [{ name, expected: hex(expected), actual: hex(actual) }];
    });
  }

  #field(at: number, bytes: number): bigint {
    if (bytes === 4) return BigInt(this.#u32(at));
    return bytes === 8 ? this.#u64(at) : (this.#u64(at + 8) << 64n) | this.#u64(at);
  }

  #counts(): LockStepValue[] {
    const values: LockStepValue[] = [];
    const [expected, actual] = [this.#u32(LOCK_STEP.interpretedCount), this.#u32(LOCK_STEP.translatedCount)];
    if (expected !== actual) values.push({ name: "instructions", expected: String(expected | 0), actual: String(actual | 0) });
    const [expectedEnd, actualEnd] = [STRETCH_END_NAMES[this.#u32(LOCK_STEP.interpretedEnd)]!, STRETCH_END_NAMES[this.#u32(LOCK_STEP.translatedEnd)]!];
    if (expectedEnd !== actualEnd) values.push({ name: "end", expected: expectedEnd, actual: actualEnd });
    return values;
  }

  #words(): LockStepValue[] {
    return Array.from({ length: this.#u32(LOCK_STEP.wordCount) }, (_, index) => {
      const at = LOCK_STEP.words + index * WORD_BYTES;
      return { name: `memory at ${hex(this.#u64(at))}`, expected: hex(this.#u64(at + 16)), actual: hex(this.#u64(at + 8)) };
    });
  }
}

/** The difference as lines of text. */
export function formatLockStepDifference({ values }: LockStepDifference): string[] {
  return values.map(({ name, expected, actual }) => `${name}: expected ${expected} (interpreter), got ${actual} (translated)`);
}

interface StateField { readonly name: string; readonly offset: number; readonly bytes: number }

/** The fields of a state that are compared; what has no name of its own goes by its offset. */
const STATE_FIELDS: readonly StateField[] = [
  ...GPR.map((name, n) => ({ name, offset: VCPU.gpr + n * 8, bytes: 8 })),
  { name: "rip", offset: VCPU.rip, bytes: 8 },
  // All of RFLAGS is in the scratch word of a kept state.
  { name: "rflags", offset: VCPU.temporaryValue, bytes: 8 },
  ...Array.from({ length: 16 }, (_, n) => ({ name: `xmm${n}`, offset: VCPU.xmm + n * 16, bytes: 16 })),
  { name: "mxcsr", offset: VCPU.mxcsr, bytes: 4 },
  ...Array.from({ length: 8 }, (_, n) => ({ name: `st physical ${n}`, offset: VCPU.fpuRegisters + n * 16, bytes: 16 })),
  ...others([[VCPU.cpl, VCPU.interruptShadow], [VCPU.segments, VCPU.currentOp], [VCPU.exitReason, VCPU.userEpoch], [VCPU.fpuControl, VCPU.fpuRegisters]]),
];

function others(ranges: readonly (readonly [number, number])[]): StateField[] {
  const names = new Map<number, string>(Object.entries(VCPU).map(([name, offset]) => [offset, name] as const));
  return ranges.flatMap(([from, to]) => Array.from({ length: (to - from) / 4 }, (_, index) => {
    const offset = from + index * 4;
    const name = names.get(offset) ?? `${names.get(offset - 4) ?? "state"} at 0x${offset.toString(16)}`;
    return { name, offset, bytes: 4 };
  }));
}

function hex(value: bigint): string { return `0x${value.toString(16)}`; }

/** Adds up the figures of several vCPUs. */
export function sumLockStep(parts: readonly LockStepFigures[]): LockStepFigures {
  const sum = (pick: (part: LockStepFigures) => number): number => parts.reduce((total, part) => total + pick(part), 0);
  const byReason = (pick: (part: LockStepFigures) => Readonly<Record<string, number>>): Record<string, number> => {
    const names = new Set(parts.flatMap((part) => Object.keys(pick(part))));
    return Object.fromEntries([...names].map((name) => [name, sum((part) => pick(part)[name] ?? 0)]));
  };
  return {
    checked: sum(({ checked }) => checked), instructions: sum(({ instructions }) => instructions),
    ends: byReason(({ ends }) => ends), skipped: byReason(({ skipped }) => skipped), differences: sum(({ differences }) => differences),
  };
}
