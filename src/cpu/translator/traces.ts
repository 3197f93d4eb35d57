/**
 * Reads the interpreter's traces and op records (interpreter/op.ts) out of a vCPU's area, and finds those that belong together.
 */
import { MODE_64, PC_CACHE_ENTRIES, PC_CACHE_ENTRY_SIZE, VCPU, VCPU_AREA, WINDOWS_MISSED_MAX } from "../../abi/layout.js";
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
const OP_IMMEDIATE = 24;
/** Key of a PC cache's entry: its epoch above the mode. */
export const PC_CACHE_KEY_EPOCH_SHIFT = 2;
/** u32 in the op in front of a region's trace (interpreter/op.ts): how often a window was missed in it, and the slot of the region in which that became too often. */
const REGION_WINDOWS_MISSED = 12;
const REGION_MISSED_IN = 16;
/** u32 in a direct branch: the trace that it is linked to. */
export const OP_LINK = 24;
/** u32 in the header of a trace: HEAT_OF_SAMPLE for each sample of it. */
export const TRACE_HEAT = 12;
/** Heat of a trace that the translator has been asked for. */
export const TRACE_HEAT_ASKED = 0xffff_ffff;
const OPS_MAX = 32 * 4 + 2;
const LEADS_ON = Uint8Array.from(HANDLERS, (meaning, handler) => Number(handler === HANDLER_TRACE_END || ["jcc", "jmp", "call", "callRm", "jmpRm", "syscall"].includes(meaning?.run ?? "")));

/** What an op's operand fields name, besides offsets in the vCPU's state (VCPU): the op's own immediate, the trace's RIP, anything else. */
export const OPERAND_IMMEDIATE = -1;
export const OPERAND_RIP = -2;
export const OPERAND_OTHER = -3;
const STATE_SIZE = 0x1000;

/** One op record, without anything that depends on where it lies. */
export interface Op {
  /** From the trace's address, in bytes. */
  readonly offset: number;
  readonly handler: number;
  readonly meaning: HandlerMeaning | null;
  readonly ripOffset: number;
  /** Operands: offsets in the vCPU's state, or one of OPERAND. */
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
  readonly rip: bigint;
  readonly gfn: number;
  /** The guest page in which its only instruction ends, if that is another one. */
  readonly secondGfn: number | undefined;
  /** Whether windows have been missed in it so often that it has to do without them at times. */
  readonly missesWindows: boolean;
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

  /** Whether windows have been missed often in `trace`, of a region. */
  missesWindows(trace: number): boolean { return this.isOfRegion(trace) && this.#view.getUint32(trace + TRACE_HEADER_SIZE + REGION_WINDOWS_MISSED, true) >= WINDOWS_MISSED_MAX; }

  /** The slot of the region in which `trace`, of a region, has missed windows too often, and forgets it; 0 = there is none. */
  takeMissedIn(trace: number): number {
    const slot = this.#view.getUint32(trace + TRACE_HEADER_SIZE + REGION_MISSED_IN, true);
    this.#view.setUint32(trace + TRACE_HEADER_SIZE + REGION_MISSED_IN, 0, true);
    return slot;
  }

  gfn(trace: number): number { return this.#view.getUint32(trace + 8, true); }
  rip(trace: number): bigint { return this.#view.getBigUint64(trace, true); }

  /** Reads `trace`, without the op in front that a region has there. */
  read(trace: number): Trace {
    const { ops } = this.#readOps(trace, () => true);
    const second = this.#view.getUint32(trace + 28, true);
    return { rip: this.rip(trace), gfn: this.gfn(trace), secondGfn: second === NO_GFN ? undefined : second, missesWindows: this.missesWindows(trace), instructions: this.#view.getUint16(trace + 20, true), ops };
  }

  /** Reads those of the ops of `trace` whose handlers pass `test`; `count` is of all. */
  #readOps(trace: number, test: (handler: number) => boolean): { ops: Op[]; count: number } {
    const ops: Op[] = [];
    const begin = trace + TRACE_HEADER_SIZE + (this.isOfRegion(trace) ? OP_SIZE : 0);
    for (let count = 1; count <= OPS_MAX; count++) {
      const at = begin + (count - 1) * OP_SIZE;
      const handler = this.#view.getUint16(at, true);
      if (test(handler)) ops.push(this.#readOp(trace, at));
      if (handler === HANDLER_TRACE_END) return { ops, count };
    }
    throw new Error("expected a trace to end");
  }

  #readOp(trace: number, at: number): Op {
    const view = this.#view;
    const handler = view.getUint16(at, true);
    const operand = (field: number): number => {
      const address = view.getUint32(at + field, true);
      if (address === at + OP_IMMEDIATE) return OPERAND_IMMEDIATE;
      if (address === trace) return OPERAND_RIP;
      const offset = address - this.#base;
      return offset >= 0 && offset < STATE_SIZE ? offset : OPERAND_OTHER;
    };
    return {
      offset: at - trace, handler, meaning: HANDLERS[handler] ?? null,
      ripOffset: view.getUint16(at + 2, true), reg: operand(4), rm: operand(8), index: operand(12),
      displacement: view.getInt32(at + 16, true), scale: view.getUint8(at + 20), segment: view.getUint8(at + 21), length: view.getUint8(at + 22), bits: view.getUint8(at + 23),
      immediateLow: view.getInt32(at + 24, true), immediateHigh: view.getInt32(at + 28, true),
    };
  }

  /**
   * The traces that `first` leads to, itself included, nearest first: those of the same page that there are, those of others that a
   * branch has been linked to or that the PC caches have, and those that computed jumps went to last. At most `opsMax` ops or `tracesMax` traces; of the others only those with a heat of `warmHeat`,
   * and those that a region has only if `again`; whether any was left out for that is `isPart`. `ops` and `heat` are of all together.
   */
  collect(first: number, { opsMax, tracesMax, warmHeat, again }: { opsMax: number; tracesMax: number; warmHeat: number; again: boolean }): { traces: number[]; isPart: boolean; ops: number; heat: number } {
    const found = new Map<bigint, number>([[this.rip(first), first]]);
    let ops = 0;
    let isPart = false;
    for (const trace of found.values()) {
      const read = this.#readOps(trace, leadsOn);
      const rip = this.rip(trace);
      ops += read.count;
      const consider = (target: bigint, find: () => number): void => {
        if (found.has(target) || ops >= opsMax || found.size >= tracesMax) return;
        const next = find();
        if (next === 0) return;
        if (this.isOfRegion(next)) {
          isPart ||= !again;
          if (again) found.set(target, next);
        } else if (this.heat(next) >= warmHeat) found.set(target, next);
      };
      for (const { target, op } of successors(rip, read.ops)) {
        consider(target, () => target >> PAGE_SHIFT === rip >> PAGE_SHIFT ? this.#find(target, this.gfn(trace)) : this.#linked(trace, op, target) || this.#cached(target));
      }
      for (const noted of read.ops.flatMap(notedTargets)) consider(this.rip(noted), () => this.#present(noted));
    }
    const traces = [...found.values()];
    return { traces, isPart, ops, heat: traces.reduce((sum, trace) => sum + this.heat(trace), 0) };
  }

  /** The trace of `target` that the branch `op` is linked to, 0 when it is not. A link to a trace that was dropped is led to the one in its place. */
  #linked(from: number, op: Op, target: bigint): number {
    if (!hasFarLink(op)) return 0;
    const trace = op.immediateLow >>> 0;
    if (trace === 0 || this.rip(trace) !== target) return 0;
    const next = this.#present(trace);
    if (next !== trace && next !== 0) this.#view.setUint32(from + op.offset + OP_LINK, next, true);
    return next;
  }

  /** The trace of `rip` that a PC cache has, 0 when none has it: what is gone to from another page without a link goes by it. */
  #cached(rip: bigint): number {
    const view = this.#view;
    const index = Number((rip ^ (rip >> 14n)) & BigInt(PC_CACHE_ENTRIES - 1));
    for (const [cache, epoch] of [[VCPU_AREA.userPcCache, VCPU.userEpoch], [VCPU_AREA.kernelPcCache, VCPU.kernelEpoch]] as const) {
      const slot = this.#base + cache + index * PC_CACHE_ENTRY_SIZE;
      const key = ((view.getUint32(this.#base + epoch, true) << PC_CACHE_KEY_EPOCH_SHIFT) | MODE_64) >>> 0;
      for (const entry of [slot, slot ^ PC_CACHE_ENTRY_SIZE]) {
        if (view.getBigUint64(entry, true) !== rip || view.getUint32(entry + 8, true) !== key) continue;
        const trace = view.getUint32(entry + 12, true);
        if (this.isTranslatable(trace)) return trace;
      }
    }
    return 0;
  }

  /** `trace`, or, if it was dropped, the one in its place, 0 when there is none. */
  #present(trace: number): number { return this.isTranslatable(trace) ? trace : this.#find(this.rip(trace), this.gfn(trace)); }

  /** The trace that begins at `rip` in guest page `gfn`, 0 when there is none that can be translated. */
  #find(rip: bigint, gfn: number): number {
    return this.find(rip, (trace) => this.gfn(trace) === gfn) ?? 0;
  }

  /** A trace that begins at `rip`, can be translated, and passes `test`. */
  find(rip: bigint, test: (trace: number) => boolean): number | undefined {
    const low = Number(rip & 0xffff_ffffn), high = Number(rip >> 32n);
    const bucket = (low ^ ((low >>> 16) | (high << 16)) ^ high) & HASH_MASK;
    let trace = this.#view.getUint32(this.#base + VCPU_AREA.traceHash + bucket * 4, true);
    while (trace !== 0) {
      if (this.#view.getUint32(trace, true) === low && this.#view.getUint32(trace + 4, true) === high && this.isTranslatable(trace) && test(trace)) return trace;
      trace = this.#view.getUint32(trace + 16, true);
    }
    return undefined;
  }

  heat(trace: number): number { return this.#view.getUint32(trace + TRACE_HEAT, true); }

  /** Lets branches of the traces `of` that are linked to a trace which has been copied go to the copy. */
  relink(of: readonly number[], copies: ReadonlyMap<number, number>): void {
    for (const trace of of) {
      for (const op of this.#readOps(trace, leadsOn).ops) {
        if (!goesToDisplacement(op)) continue;
        const copy = copies.get(op.immediateLow >>> 0);
        if (copy !== undefined) this.#view.setUint32(trace + op.offset + OP_LINK, copy, true);
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

/** Whether `op` is a computed jump or call, which notes where it went. */
export function notesTargets({ meaning }: Op): boolean { return meaning?.run === "callRm" || meaning?.run === "jmpRm"; }

/** The traces to which `op` went last, at most two, in the place of the immediate that such an op does not have (generate/hot-templates.ts, followNoting). */
function notedTargets(op: Op): number[] {
  return notesTargets(op) ? [op.immediateLow >>> 0, op.immediateHigh >>> 0].filter((trace) => trace !== 0) : [];
}

/** Whether the operand that ModRM.rm names is in memory. */
export function isMemory({ bits }: Op): boolean { return (bits & OP_BITS_MEMORY) !== 0; }

/** Whether ops with this handler may lead to an address that is known: of the few of a trace, the vCPU's thread looks at these only, for it has to go on. */
function leadsOn(handler: number): boolean { return LEADS_ON[handler] === 1; }

/** Where a trace that begins at `rip` may lead to, and by which of its `ops`; the return points of its calls included. */
function successors(rip: bigint, ops: readonly Op[]): { target: bigint; op: Op }[] {
  const targets: { target: bigint; op: Op }[] = [];
  for (const op of ops) {
    const run = op.meaning?.run;
    if (goesToDisplacement(op)) targets.push({ target: rip + BigInt(op.displacement), op });
    if (run === "call" || run === "callRm" || run === "syscall") targets.push({ target: rip + BigInt(op.ripOffset + op.length), op });
  }
  return targets;
}
