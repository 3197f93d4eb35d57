/**
 * Writes an outcome as its difference from the initial state. A head of 16 bits says which parts follow; they go to two
 * streams so that alike bytes stand together for the compressor.
 */
import type { ByteReader, ByteWriter } from "./byte-stream.js";
import { CASE, DATA_BASE, FX, RESULT } from "./layout.js";
import { outcomeOfCase, physicalOffset, VECTOR_BREAKPOINT, VECTOR_PAGE_FAULT, type Outcome } from "./outcome.js";

const HAS_FAULT = 1, HAS_RIP = 2, HAS_GPR = 4, HAS_XMM = 8, HAS_MXCSR = 16, HAS_X87 = 32, HAS_ST = 64, HAS_MEMORY = 128, HAS_SELECTORS = 256, HAS_BASES = 512;

/** The three streams of a vector file: what changed, flags, values. */
export interface DeltaStreams<T> {
  readonly heads: T;
  readonly flags: T;
  readonly values: T;
}

/** RIP when nothing unusual happened: behind the INT3 that follows the instruction, or at the faulting instruction. */
function usualRip(initial: DataView, start: Outcome, faulted: boolean): bigint {
  const rip = start.record.getBigUint64(RESULT.rip, true);
  return faulted ? rip : rip + BigInt(initial.getUint32(CASE.codeLength, true) + 1);
}

function same(a: DataView, aOffset: number, b: DataView, bOffset: number, size: number): boolean {
  for (let i = 0; i < size; i += 2) if (a.getUint16(aOffset + i, true) !== b.getUint16(bOffset + i, true)) return false;
  return true;
}

function bytesOf(view: DataView, offset: number, size: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + offset, size);
}

/** Bit n set when part n (of `size` bytes, `stride` apart) differs. */
function changedMask(a: DataView, b: DataView, base: number, stride: number, count: number): number {
  let mask = 0;
  for (let n = 0; n < count; n++) if (!same(a, base + n * stride, b, base + n * stride, stride)) mask |= 1 << n;
  return mask;
}

function changedStackMask(a: DataView, b: DataView): number {
  let mask = 0;
  for (let n = 0; n < 8; n++) if (!same(a, physicalOffset(a, RESULT.fx, n), b, physicalOffset(b, RESULT.fx, n), 10)) mask |= 1 << n;
  return mask;
}

/** Appends the difference of `outcome` from the initial state. */
export function writeDelta(streams: DeltaStreams<ByteWriter>, initial: DataView, outcome: Outcome): void {
  const start = outcomeOfCase(initial);
  const from = start.record, to = outcome.record;
  const faulted = to.getUint32(RESULT.trap, true) !== VECTOR_BREAKPOINT;
  const gprMask = changedMask(from, to, RESULT.gpr, 8, 16);
  const xmmMask = changedMask(from, to, RESULT.fx + FX.xmm, 16, 16);
  const stackMask = changedStackMask(from, to);
  let head = faulted ? HAS_FAULT : 0;
  if (to.getBigUint64(RESULT.rip, true) !== usualRip(initial, start, faulted)) head |= HAS_RIP;
  if (gprMask !== 0) head |= HAS_GPR;
  if (xmmMask !== 0) head |= HAS_XMM;
  if (!same(from, RESULT.fx + FX.mxcsr, to, RESULT.fx + FX.mxcsr, 4)) head |= HAS_MXCSR;
  if (!same(from, RESULT.fx, to, RESULT.fx, 6)) head |= HAS_X87;
  if (stackMask !== 0) head |= HAS_ST;
  if (outcome.changes.length !== 0) head |= HAS_MEMORY;
  if (!same(from, RESULT.selectors, to, RESULT.selectors, 12)) head |= HAS_SELECTORS;
  if (!same(from, RESULT.fsBase, to, RESULT.fsBase, 16)) head |= HAS_BASES;
  const { heads, flags, values } = streams;
  heads.u16(head);
  flags.u32((from.getUint32(RESULT.rflags, true) ^ to.getUint32(RESULT.rflags, true)) >>> 0);
  if ((head & HAS_FAULT) !== 0) {
    heads.u8(to.getUint32(RESULT.trap, true));
    heads.u32(to.getUint32(RESULT.errorCode, true));
    if (to.getUint32(RESULT.trap, true) === VECTOR_PAGE_FAULT) values.u64(to.getBigUint64(RESULT.cr2, true));
  }
  if ((head & HAS_RIP) !== 0) values.u64(to.getBigUint64(RESULT.rip, true));
  if ((head & HAS_GPR) !== 0) writeMasked(heads, values, to, gprMask, (n) => RESULT.gpr + n * 8, 8);
  if ((head & HAS_XMM) !== 0) writeMasked(heads, values, to, xmmMask, (n) => RESULT.fx + FX.xmm + n * 16, 16);
  if ((head & HAS_MXCSR) !== 0) flags.u32(to.getUint32(RESULT.fx + FX.mxcsr, true));
  if ((head & HAS_X87) !== 0) flags.raw(bytesOf(to, RESULT.fx, 6));
  if ((head & HAS_ST) !== 0) writeMasked(heads, values, to, stackMask, (n) => physicalOffset(to, RESULT.fx, n), 10);
  if ((head & HAS_SELECTORS) !== 0) flags.raw(bytesOf(to, RESULT.selectors, 12));
  if ((head & HAS_BASES) !== 0) values.raw(bytesOf(to, RESULT.fsBase, 16));
  if ((head & HAS_MEMORY) !== 0) {
    heads.u16(outcome.changes.length);
    for (const { address, value } of outcome.changes) {
      heads.u16(address - DATA_BASE);
      values.u64(value);
    }
  }
}

function writeMasked(heads: ByteWriter, values: ByteWriter, view: DataView, mask: number, offset: (n: number) => number, size: number): void {
  heads.u16(mask);
  for (let n = 0; n < 16; n++) if ((mask & (1 << n)) !== 0) values.raw(bytesOf(view, offset(n), size));
}

function readMasked(heads: ByteReader, values: ByteReader, view: DataView, offset: (n: number) => number, size: number): void {
  const mask = heads.u16();
  for (let n = 0; n < 16; n++) if ((mask & (1 << n)) !== 0) bytesOf(view, offset(n), size).set(values.raw(size));
}

/** Reads back the whole outcome of a case. */
export function readDelta(streams: DeltaStreams<ByteReader>, initial: DataView): Outcome {
  const outcome = outcomeOfCase(initial);
  const to = outcome.record;
  const { heads, flags, values } = streams;
  const head = heads.u16();
  const faulted = (head & HAS_FAULT) !== 0;
  const rip = usualRip(initial, outcome, faulted);
  to.setUint32(RESULT.rflags, (to.getUint32(RESULT.rflags, true) ^ flags.u32()) >>> 0, true);
  if (faulted) {
    to.setUint32(RESULT.trap, heads.u8(), true);
    to.setUint32(RESULT.errorCode, heads.u32(), true);
    if (to.getUint32(RESULT.trap, true) === VECTOR_PAGE_FAULT) to.setBigUint64(RESULT.cr2, values.u64(), true);
  }
  to.setBigUint64(RESULT.rip, (head & HAS_RIP) !== 0 ? values.u64() : rip, true);
  if ((head & HAS_GPR) !== 0) readMasked(heads, values, to, (n) => RESULT.gpr + n * 8, 8);
  if ((head & HAS_XMM) !== 0) readMasked(heads, values, to, (n) => RESULT.fx + FX.xmm + n * 16, 16);
  if ((head & HAS_MXCSR) !== 0) to.setUint32(RESULT.fx + FX.mxcsr, flags.u32(), true);
  if ((head & HAS_X87) !== 0) {
    const before = Array.from({ length: 8 }, (_, n) => bytesOf(to, physicalOffset(to, RESULT.fx, n), 16).slice());
    bytesOf(to, RESULT.fx, 6).set(flags.raw(6));
    before.forEach((bytes, n) => { bytesOf(to, physicalOffset(to, RESULT.fx, n), 16).set(bytes); });
  }
  if ((head & HAS_ST) !== 0) readMasked(heads, values, to, (n) => physicalOffset(to, RESULT.fx, n), 10);
  if ((head & HAS_SELECTORS) !== 0) bytesOf(to, RESULT.selectors, 12).set(flags.raw(12));
  if ((head & HAS_BASES) !== 0) bytesOf(to, RESULT.fsBase, 16).set(values.raw(16));
  if ((head & HAS_MEMORY) !== 0) {
    for (let count = heads.u16(); count > 0; count--) outcome.changes.push({ address: heads.u16() + DATA_BASE, value: values.u64() });
  }
  return outcome;
}
