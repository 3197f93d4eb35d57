/**
 * Reads the interpreter's traces and op records (interpreter/op.ts) out of a vCPU's area, and finds those that belong together.
 */
import { HEAT_OF_SAMPLE, MODE_64, PC_CACHE_ENTRIES, PC_CACHE_ENTRY_SIZE, VCPU, VCPU_AREA } from "../../abi/layout.js";
import { OP_BITS_MEMORY } from "./constants.js";
import { HANDLERS } from "./handlers.generated.js";
import type { HandlerMeaning } from "./meaning.js";

/** Bytes of an op. */
export const OP_SIZE = 32;
/** Bytes in front of a trace's first op. */
export const TRACE_HEADER_SIZE = 32;
export const HANDLER_TRACE_END = 3;
export const HANDLER_REGION = 5;
export const HANDLER_REGION_AWAITED = 6;
const NO_GFN = 0xffff_ffff;
const HASH_MASK = 0xffff;
const PAGE_SHIFT = 12n;
/** Key of a PC cache's entry: its epoch above the mode. */
export const PC_CACHE_KEY_EPOCH_SHIFT = 2;
/** u32 in a direct branch: the trace that it is linked to. */
export const OP_LINK = 24;
/** u32 in the header of a trace: HEAT_OF_SAMPLE for each sample of it. */
export const TRACE_HEAT = 12;
const OPS_MAX = 32 * 4 + 1;

/** One op record. Addresses are of the host's memory. */
export interface Op {
  readonly address: number;
  readonly handler: number;
  readonly meaning: HandlerMeaning | null;
  readonly ripOffset: number;
  readonly reg: number;
  readonly rm: number;
  readonly index: number;
  readonly displacement: number;
  readonly scale: number;
  readonly segment: number;
  /** OP_BITS of interpreter/op.ts. */
  readonly bits: number;
  /** Bytes of the instruction; 0 of a micro-operation. */
  readonly length: number;
  /** The two halves of the immediate; the upper one of a conditional jump is how many instructions of the trace are behind it. */
  readonly immediateLow: number;
  readonly immediateHigh: number;
}

/** One trace, decoded from `rip` in 64-bit mode. */
export interface Trace {
  readonly address: number;
  readonly rip: bigint;
  readonly gfn: number;
  /** The guest page in which its only instruction ends, if that is another one. */
  readonly secondGfn: number | undefined;
  readonly instructions: number;
  readonly ops: readonly Op[];
}

/** The traces of one vCPU, whose state begins at `base`. */
export class TraceReader {
  readonly #view: DataView;
  readonly #base: number;

  constructor(memory: WebAssembly.Memory, base: number) {
    this.#view = new DataView(memory.buffer);
    this.#base = base;
  }

  /** Whether `trace` can be translated: alive, of 64-bit mode, an ordinary run of instructions. */
  isTranslatable(trace: number): boolean {
    const key = this.#view.getUint32(trace + 24, true);
    return (key & 0xff) === MODE_64 && key >>> 20 === 0;
  }

  /** Whether `trace` has been copied for a region, and so has an op in front of its own. */
  isOfRegion(trace: number): boolean {
    const handler = this.#view.getUint16(trace + TRACE_HEADER_SIZE, true);
    return handler === HANDLER_REGION || handler === HANDLER_REGION_AWAITED;
  }

  gfn(trace: number): number { return this.#view.getUint32(trace + 8, true); }
  #rip(trace: number): bigint { return this.#view.getBigUint64(trace, true); }

  /** Reads `trace`, without the op in front that a region has there. */
  read(trace: number): Trace {
    const ops: Op[] = [];
    let at = trace + TRACE_HEADER_SIZE + (this.isOfRegion(trace) ? OP_SIZE : 0);
    for (;;) {
      const op = this.#readOp(at);
      ops.push(op);
      if (op.handler === HANDLER_TRACE_END) break;
      if (ops.length > OPS_MAX) throw new Error("expected a trace to end");
      at += OP_SIZE;
    }
    const second = this.#view.getUint32(trace + 28, true);
    return { address: trace, rip: this.#rip(trace), gfn: this.gfn(trace), secondGfn: second === NO_GFN ? undefined : second, instructions: this.#view.getUint16(trace + 20, true), ops };
  }

  #readOp(at: number): Op {
    const view = this.#view;
    const handler = view.getUint16(at, true);
    return {
      address: at, handler, meaning: HANDLERS[handler] ?? null,
      ripOffset: view.getUint16(at + 2, true), reg: view.getUint32(at + 4, true), rm: view.getUint32(at + 8, true), index: view.getUint32(at + 12, true),
      displacement: view.getInt32(at + 16, true), scale: view.getUint8(at + 20), segment: view.getUint8(at + 21), length: view.getUint8(at + 22), bits: view.getUint8(at + 23),
      immediateLow: view.getInt32(at + 24, true), immediateHigh: view.getInt32(at + 28, true),
    };
  }

  /**
   * The traces that `first` leads to, itself included, nearest first: those of the same page that there are, and those of others that a
   * branch has been linked to, or that the PC caches have. At most `opsMax` ops or `tracesMax` traces; of the others only those that were sampled `warmSamples` times.
   */
  collect(first: number, { opsMax, tracesMax, warmSamples }: { opsMax: number; tracesMax: number; warmSamples: number }): number[] {
    const found = new Map<bigint, number>([[this.#rip(first), first]]);
    let ops = 0;
    for (const trace of found.values()) {
      const read = this.read(trace);
      ops += read.ops.length;
      for (const { target, op } of successors(read)) {
        if (found.has(target) || ops >= opsMax || found.size >= tracesMax) continue;
        const next = target >> PAGE_SHIFT === read.rip >> PAGE_SHIFT ? this.#find(target, read.gfn) : this.#linked(op, target) || this.#cached(target);
        if (next !== 0 && this.#view.getUint32(next + TRACE_HEAT, true) >= warmSamples * HEAT_OF_SAMPLE) found.set(target, next);
      }
    }
    return [...found.values()];
  }

  /** The trace of `target` that the branch `op` is linked to, 0 when it is not. A link to a trace that was dropped is led to the one in its place. */
  #linked(op: Op, target: bigint): number {
    if (!hasFarLink(op)) return 0;
    const trace = op.immediateLow >>> 0;
    if (trace === 0 || this.#rip(trace) !== target) return 0;
    if (this.isTranslatable(trace)) return trace;
    const next = this.#find(target, this.gfn(trace));
    if (next !== 0) this.#view.setUint32(op.address + OP_LINK, next, true);
    return next;
  }

  /** The trace of `rip` that a PC cache has, 0 when none has it: what is gone to from another page without a link goes by it. */
  #cached(rip: bigint): number {
    const view = this.#view;
    const index = Number((rip ^ (rip >> 14n)) & BigInt(PC_CACHE_ENTRIES - 1));
    for (const [cache, epoch] of [[VCPU_AREA.userPcCache, VCPU.userEpoch], [VCPU_AREA.kernelPcCache, VCPU.kernelEpoch]] as const) {
      const slot = this.#base + cache + index * PC_CACHE_ENTRY_SIZE;
      const key = ((view.getUint32(this.#base + epoch, true) << PC_CACHE_KEY_EPOCH_SHIFT) | MODE_64) >>> 0;
      if (view.getBigUint64(slot, true) !== rip || view.getUint32(slot + 8, true) !== key) continue;
      const trace = view.getUint32(slot + 12, true);
      if (this.isTranslatable(trace)) return trace;
    }
    return 0;
  }

  /** The trace that begins at `rip` in guest page `gfn`, 0 when there is none that can be translated. */
  #find(rip: bigint, gfn: number): number {
    const low = Number(rip & 0xffff_ffffn), high = Number(rip >> 32n);
    const bucket = (low ^ ((low >>> 16) | (high << 16)) ^ high) & HASH_MASK;
    let trace = this.#view.getUint32(this.#base + VCPU_AREA.traceHash + bucket * 4, true);
    while (trace !== 0) {
      if (this.#view.getUint32(trace, true) === low && this.#view.getUint32(trace + 4, true) === high && this.gfn(trace) === gfn && this.isTranslatable(trace)) return trace;
      trace = this.#view.getUint32(trace + 16, true);
    }
    return 0;
  }

  /** Lets branches of the traces `of` that are linked to a trace which has been copied go to the copy. */
  relink(of: readonly number[], copies: ReadonlyMap<number, number>): void {
    for (const trace of of) {
      for (const op of this.read(trace).ops) {
        if (!goesToDisplacement(op)) continue;
        const copy = copies.get(op.immediateLow >>> 0);
        if (copy !== undefined) this.#view.setUint32(op.address + OP_LINK, copy, true);
      }
    }
  }
}

/** Whether `op` leads to its displacement from the trace's start, and has a link to the trace there: the end of the trace, or a direct branch. */
export function goesToDisplacement({ handler, meaning }: Op): boolean {
  return handler === HANDLER_TRACE_END || meaning?.run === "jcc" || meaning?.run === "jmp" || meaning?.run === "call";
}

/** Whether the link of `op`, which goes to its displacement, may lead to another page. */
export function hasFarLink({ handler, meaning }: Op): boolean { return handler !== HANDLER_TRACE_END && meaning?.run !== "jcc"; }

/** Whether the operand that ModRM.rm names is in memory. */
export function isMemory({ bits }: Op): boolean { return (bits & OP_BITS_MEMORY) !== 0; }

/** Where a trace may lead to, and by which op; the return points of its calls included. */
function successors(trace: Trace): { target: bigint; op: Op }[] {
  const targets: { target: bigint; op: Op }[] = [];
  for (const op of trace.ops) {
    const run = op.meaning?.run;
    if (goesToDisplacement(op)) targets.push({ target: trace.rip + BigInt(op.displacement), op });
    if (run === "call" || run === "callRm" || run === "syscall") targets.push({ target: trace.rip + BigInt(op.ripOffset + op.length), op });
  }
  return targets;
}
