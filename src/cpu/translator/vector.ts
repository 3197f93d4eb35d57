/**
 * SSE instructions that regions do themselves, by the name of the interpreter's function. The XMM registers stay in the vCPU's state, so
 * that nothing has to be kept or brought back around the instructions that are not here.
 */
import { VCPU } from "../../abi/layout.js";
import type { BlockWriter } from "./block-writer.js";
import { MXCSR_NATIVE, MXCSR_NATIVE_BITS } from "./constants.js";
import { LOCAL } from "./region-layout.js";
import { isMemory, type Op } from "./traces.js";
import { type CodeWriter, SIMD, W } from "./wasm-writer.js";

/** Writes one instruction; `aside` writes the call of the interpreter's function for operands that need it. Returns false when it cannot. */
export type EmitVector = (w: BlockWriter, op: Op, aside: () => void) => boolean;

const SIGN_MASK = 0x7fff_ffff_ffff_ffffn;
const SAFE_FIRST = 0x0010_0000_0000_0001n;
const SAFE_COUNT = 0x7fdf_ffff_ffff_ffffn;
const SUBNORMAL_GREATEST = 0x000f_ffff_ffff_ffffn;
const NORMAL_LEAST = 0x0010_0000_0000_0000n;
const INFINITY_BITS = 0x7ff0_0000_0000_0000n;
const TWO_TO_31 = 0x41e0_0000_0000_0000n;
const TWO_TO_63 = 0x43e0_0000_0000_0000n;

/** Checks what has to be checked, and finds where the source is, when it is in memory. */
function locateSource(w: BlockWriter, op: Op, bytes: number, aligned: boolean): void {
  w.checkSse(op);
  if (!isMemory(op)) return;
  pushAddress(w, op, aligned);
  w.locateRead(op, bytes);
}

/** Pushes the linear address of the memory operand; leaves at `op`, which faults, where it `aligned` has to be and is not. */
function pushAddress(w: BlockWriter, op: Op, aligned: boolean): void {
  w.pushAddress(op);
  if (!aligned) return;
  w.code.tee(LOCAL.address).op(W.i32Wrap).i32(15).op(W.i32And);
  w.exitIf(op);
  w.code.get(LOCAL.address);
}

/** Pushes the base of the operand that was located, or of the register. */
function pushBase(w: BlockWriter, op: Op): void {
  if (isMemory(op)) w.pushPointer();
  else w.code.get(LOCAL.base);
}

/** A load or store by that base; `opcode` is of SIMD if `simd`. */
function access(w: BlockWriter, op: Op, opcode: number, simd = false): void {
  if (isMemory(op)) w.access(opcode, simd);
  else if (simd) w.code.simdAccess(opcode, op.rm);
  else w.code.access(opcode, op.rm);
}

/** Pushes what `opcode` loads of the operand. */
function pushSource(w: BlockWriter, op: Op, opcode: number, simd = false): void {
  pushBase(w, op);
  access(w, op, opcode, simd);
}

/** Pushes the XMM register at offset `register` of the vCPU's state. */
function pushRegister(code: CodeWriter, register: number): CodeWriter { return code.get(LOCAL.base).simdAccess(SIMD.load, register); }

/** result = operation(destination, source), both whole registers. */
function binary(write: (w: BlockWriter, op: Op, destination: () => void, source: () => void) => void): EmitVector {
  return (w, op) => {
    const { code } = w;
    locateSource(w, op, 16, true);
    code.get(LOCAL.base);
    write(w, op, () => { pushRegister(code, op.reg); }, () => { pushSource(w, op, SIMD.load, true); });
    code.simdAccess(SIMD.store, op.reg);
    return true;
  };
}

const plain = (opcode: number): EmitVector => binary((w, _op, destination, source) => {
  destination();
  source();
  w.code.simd(opcode);
});

/** Takes lanes of `bytes` bytes from the destination (numbers below their count) and the source (above). */
const lanes = (bytes: number, ...order: number[]): EmitVector => binary((w, _op, destination, source) => {
  destination();
  source();
  w.code.simd(SIMD.shuffle).append(order.flatMap((lane) => Array.from({ length: bytes }, (_, byte) => lane * bytes + byte)));
});

/** The four fields of two bits of an immediate. */
const fields = (op: Op): number[] => [0, 2, 4, 6].map((shift) => (op.immediateLow >> shift) & 3);

const shuffleDoublewords: EmitVector = binary((w, op, _destination, source) => {
  source();
  w.code.set(LOCAL.vector).get(LOCAL.vector).get(LOCAL.vector).simd(SIMD.shuffle)
    .append(fields(op).flatMap((lane) => [0, 1, 2, 3].map((byte) => lane * 4 + byte)));
});

const shuffleBytes: EmitVector = binary((w, _op, destination, source) => {
  destination();
  source();
  // An index with bit 7 gives 0 here and there; of the others only four bits count here.
  w.code.simd(SIMD.const).append(new Array<number>(16).fill(0x8f)).simd(SIMD.and).simd(SIMD.swizzle);
});

/** Shifts the register by a constant; `opcode` takes an i32. Counts of all bits and more are left to the interpreter. */
const shift = (opcode: number, bits: number): EmitVector => (w, op) => {
  const count = op.immediateLow & 0xff;
  if (count >= bits) return false;
  w.checkSse(op);
  pushRegister(w.code.get(LOCAL.base), op.rm).i32(count).simd(opcode).simdAccess(SIMD.store, op.rm);
  return true;
};

/** Shifts the whole register by bytes: lanes of it and of zeros. */
const shiftBytes = (left: boolean): EmitVector => (w, op) => {
  const count = Math.min(op.immediateLow & 0xff, 16);
  w.checkSse(op);
  const order = Array.from({ length: 16 }, (_, byte) => (left ? (byte < count ? 16 : byte - count) : Math.min(byte + count, 16)));
  pushRegister(w.code.get(LOCAL.base), op.rm).simd(SIMD.const).append(new Array<number>(16).fill(0)).simd(SIMD.shuffle).append(order).simdAccess(SIMD.store, op.rm);
  return true;
};

/** Loads of a whole register, or of its low part with the rest cleared. */
const load = (opcode: number, bytes: number, aligned = false): EmitVector => (w, op) => {
  locateSource(w, op, bytes, aligned);
  w.code.get(LOCAL.base);
  pushSource(w, op, opcode, true);
  w.code.simdAccess(SIMD.store, op.reg);
  return true;
};

/** MOVSS and MOVSD: from memory the rest is cleared, from a register it is kept. */
const loadScalar = (size: 32 | 64): EmitVector => (w, op) => {
  if (isMemory(op)) return load(size === 64 ? SIMD.load64Zero : SIMD.load32Zero, size / 8)(w, op, () => undefined);
  w.checkSse(op);
  w.code.get(LOCAL.base).get(LOCAL.base).access(size === 64 ? W.i64Load : W.i32Load, op.rm).access(size === 64 ? W.i64Store : W.i32Store, op.reg);
  return true;
};

/** MOVLPS, MOVHPS and their like from memory: one half. */
const loadHalf = (offset: number): EmitVector => (w, op) => {
  locateSource(w, op, 8, false);
  w.code.get(LOCAL.base);
  pushSource(w, op, W.i64Load);
  w.code.access(W.i64Store, op.reg + offset);
  return true;
};

const store = (aligned: boolean): EmitVector => (w, op) => {
  const { code } = w;
  w.checkSse(op);
  if (isMemory(op)) {
    pushAddress(w, op, aligned);
    w.locateWrite(op, 16);
  }
  pushBase(w, op);
  pushRegister(code, op.reg);
  access(w, op, SIMD.store, true);
  return true;
};

/** Stores of the low 32 or 64 bits, or (`offset` 8) of the high half; of those to a register only the scalar ones are here. */
const storePart = (size: 32 | 64, offset = 0, clears = false): EmitVector => (w, op) => {
  if (!isMemory(op) && clears) return false;
  const { code } = w;
  w.checkSse(op);
  if (isMemory(op)) {
    w.pushAddress(op);
    w.locateWrite(op, size / 8);
  }
  pushBase(w, op);
  code.get(LOCAL.base).access(W.i64Load, op.reg + offset);
  access(w, op, size === 64 ? W.i64Store : W.i64Store32);
  return true;
};

/** MOVD, MOVQ from a general register or memory. */
const fromGeneral = (size: 32 | 64): EmitVector => (w, op) => {
  if (isMemory(op)) return load(size === 64 ? SIMD.load64Zero : SIMD.load32Zero, size / 8)(w, op, () => undefined);
  w.checkSse(op);
  w.code.get(LOCAL.base);
  w.pushValue(op, op.rm, size);
  w.code.access(W.i64Store, op.reg).get(LOCAL.base).i64(0).access(W.i64Store, op.reg + 8);
  return true;
};

const toGeneral = (size: 32 | 64): EmitVector => (w, op) => {
  if (isMemory(op)) return storePart(size)(w, op, () => undefined);
  w.checkSse(op);
  w.code.get(LOCAL.base).access(size === 64 ? W.i64Load : W.i64Load32U, op.reg);
  w.setRegister(op.rm, 64);
  return true;
};

const mask = (opcode: number): EmitVector => (w, op) => {
  w.checkSse(op);
  pushRegister(w.code, op.rm).simd(opcode).op(W.i64ExtendU);
  w.setRegister(op.reg, 64);
  return true;
};

/** Pushes whether the double whose bits are in `local` is normal and above the least normal (sse-float.ts, isSafe64). */
function pushIsSafe(w: BlockWriter, local: number): void {
  w.code.get(local).i64(SIGN_MASK).op(W.i64And).i64(SAFE_FIRST).op(W.i64Sub).i64(SAFE_COUNT).op(W.i64LtU);
}

/** Leaves the source's 64 bits in LOCAL.scratch2 and the destination's in LOCAL.value. */
function loadDoubles(w: BlockWriter, op: Op): void {
  locateSource(w, op, 8, false);
  pushSource(w, op, W.i64Load);
  w.code.set(LOCAL.scratch2).get(LOCAL.base).access(W.i64Load, op.reg).set(LOCAL.value);
}

/**
 * Does `native` where the i32 on the stack is not 0, and MXCSR says that the host's rounding is the guest's and no flag of precision can be missing; else what
 * `aside` writes.
 */
function nativelyOr(w: BlockWriter, aside: () => void, native: () => void): void {
  const { code, registers } = w;
  code.get(LOCAL.base).access(W.i32Load, VCPU.mxcsr).i32(MXCSR_NATIVE_BITS).op(W.i32And).i32(MXCSR_NATIVE).op(W.i32Eq, W.i32And);
  const before = registers.cached;
  code.open(W.if);
  native();
  const after = registers.cached;
  code.op(W.else);
  registers.goBackTo(before);
  aside();
  registers.meet(after);
  code.close();
}

/** Scalar arithmetic on doubles by the host's, where operands, result and MXCSR show that no flag can arise; else by the interpreter. */
const arithmetic = (opcode: number): EmitVector => (w, op, aside) => {
  const { code } = w;
  loadDoubles(w, op);
  code.get(LOCAL.value).op(W.f64FromBits).get(LOCAL.scratch2).op(W.f64FromBits, opcode, W.bitsFromF64).set(LOCAL.scratch3);
  pushIsSafe(w, LOCAL.value);
  pushIsSafe(w, LOCAL.scratch2);
  code.op(W.i32And);
  pushIsSafe(w, LOCAL.scratch3);
  code.op(W.i32And);
  nativelyOr(w, aside, () => code.get(LOCAL.base).get(LOCAL.scratch3).access(W.i64Store, op.reg));
  return true;
};

/** Pushes the lanes of `local` whose magnitude is 0 (sse-float.ts, zero64), or is above `least` and finite (normal64, safe64). */
function pushLanes(w: BlockWriter, local: number, least?: bigint): void {
  const { code } = w;
  const splat = (value: bigint): void => { code.i64(value).simd(SIMD.i64Splat); };
  code.get(local);
  splat(SIGN_MASK);
  code.simd(SIMD.and);
  if (least === undefined) {
    splat(0n);
    code.simd(SIMD.i64Eq);
    return;
  }
  code.tee(LOCAL.magnitude);
  splat(least);
  code.simd(SIMD.i64GtS).get(LOCAL.magnitude);
  splat(INFINITY_BITS);
  code.simd(SIMD.i64LtS).simd(SIMD.and);
}

const ordinary = (w: BlockWriter, local: number): void => {
  pushLanes(w, local);
  pushLanes(w, local, SUBNORMAL_GREATEST);
  w.code.simd(SIMD.or);
};

/** Arithmetic on pairs of doubles, as `arithmetic` does it on one; `pushAllowed` leaves the lanes that raise nothing (sse-float-arithmetic.ts). */
const packed = (opcode: number, pushAllowed: (w: BlockWriter) => void): EmitVector => (w, op, aside) => {
  const { code } = w;
  locateSource(w, op, 16, true);
  pushSource(w, op, SIMD.load, true);
  code.set(LOCAL.right);
  pushRegister(code, op.reg).tee(LOCAL.left).get(LOCAL.right).simd(opcode).set(LOCAL.vector);
  pushAllowed(w);
  code.simd(SIMD.i64AllTrue);
  nativelyOr(w, aside, () => code.get(LOCAL.base).get(LOCAL.vector).simdAccess(SIMD.store, op.reg));
  return true;
};

function pushSumAllowed(w: BlockWriter): void {
  ordinary(w, LOCAL.left);
  ordinary(w, LOCAL.right);
  w.code.simd(SIMD.and);
  ordinary(w, LOCAL.vector);
  w.code.simd(SIMD.and);
}

function pushProductAllowed(w: BlockWriter): void {
  ordinary(w, LOCAL.left);
  ordinary(w, LOCAL.right);
  w.code.simd(SIMD.and);
  pushLanes(w, LOCAL.vector, NORMAL_LEAST);
  pushLanes(w, LOCAL.left);
  w.code.simd(SIMD.or);
  pushLanes(w, LOCAL.right);
  w.code.simd(SIMD.or).simd(SIMD.and);
}

function pushQuotientAllowed(w: BlockWriter): void {
  ordinary(w, LOCAL.left);
  pushLanes(w, LOCAL.right, SUBNORMAL_GREATEST);
  w.code.simd(SIMD.and);
  pushLanes(w, LOCAL.vector, NORMAL_LEAST);
  pushLanes(w, LOCAL.left);
  w.code.simd(SIMD.or).simd(SIMD.and);
}

/** CVTTSD2SI of a value that fits: only precision can be raised. */
const truncateDouble = (size: 32 | 64): EmitVector => (w, op, aside) => {
  const { code } = w;
  locateSource(w, op, 8, false);
  pushSource(w, op, W.i64Load);
  code.tee(LOCAL.value).i64(SIGN_MASK).op(W.i64And).i64(size === 32 ? TWO_TO_31 : TWO_TO_63).op(W.i64LtU);
  nativelyOr(w, aside, () => {
    code.get(LOCAL.value).op(W.f64FromBits);
    if (size === 32) code.op(W.i32TruncF64S, W.i64ExtendU);
    else code.op(W.i64TruncF64S);
    w.setRegister(op.reg, 64);
  });
  return true;
};

/** CVTSI2SD of 64 bits, which rounds. */
const fromInteger64: EmitVector = (w, op, aside) => {
  const { code } = w;
  w.checkSse(op);
  if (isMemory(op)) w.loadOperand(op, 64);
  else w.pushValue(op, op.rm, 64);
  code.set(LOCAL.value).i32(1);
  nativelyOr(w, aside, () => code.get(LOCAL.base).get(LOCAL.value).op(W.f64ConvertI64S).access(W.f64Store, op.reg));
  return true;
};

/** UCOMISD and COMISD of operands that raise nothing; the others are left to the interpreter. */
const compareDoubles: EmitVector = (w, op) => {
  const { code, flags } = w;
  loadDoubles(w, op);
  for (const local of [LOCAL.value, LOCAL.scratch2]) {
    pushIsSafe(w, local);
    code.get(local).i64(SIGN_MASK).op(W.i64And, W.i64Eqz, W.i32Or);
  }
  code.op(W.i32And, W.i32Eqz);
  w.exitIf(op);
  // Equal: ZF; less: CF; in the words of flags.ts, with parity odd in all three.
  const pair = (): void => { code.get(LOCAL.value).op(W.f64FromBits).get(LOCAL.scratch2).op(W.f64FromBits); };
  pair();
  code.op(W.f64Eq, W.i64ExtendU).tee(LOCAL.flagExtra).op(W.i64Eqz, W.i64ExtendU).set(LOCAL.flagResult);
  code.i64(3n << 62n).i64(0);
  pair();
  code.op(W.f64Lt, W.select).set(LOCAL.flagAux);
  flags.putWords();
  return true;
};

const fromInteger32: EmitVector = (w, op) => {
  const { code } = w;
  w.checkSse(op);
  if (isMemory(op)) w.loadOperand(op, 32);
  else w.pushValue(op, op.rm, 32);
  code.set(LOCAL.value).get(LOCAL.base).get(LOCAL.value).op(W.i32Wrap, W.f64ConvertI32S).access(W.f64Store, op.reg);
  return true;
};

const BINARY = {
  ssePand: SIMD.and, ssePor: SIMD.or, ssePxor: SIMD.xor,
  ssePcmpeqb: 0x23, ssePcmpeqw: 0x2d, ssePcmpeqd: 0x37, ssePcmpeqq: 0xd6, ssePcmpgtb: 0x27, ssePcmpgtw: 0x31, ssePcmpgtd: 0x3b, ssePcmpgtq: 0xd9,
  ssePaddb: 0x6e, ssePaddsb: 0x6f, ssePaddusb: 0x70, ssePsubb: 0x71, ssePsubsb: 0x72, ssePsubusb: 0x73,
  ssePaddw: 0x8e, ssePaddsw: 0x8f, ssePaddusw: 0x90, ssePsubw: 0x91, ssePsubsw: 0x92, ssePsubusw: 0x93, ssePmullw: 0x95,
  ssePaddd: 0xae, ssePsubd: 0xb1, ssePmulld: 0xb5, ssePaddq: 0xce, ssePsubq: 0xd1,
  ssePminsb: 0x76, ssePminub: 0x77, ssePmaxsb: 0x78, ssePmaxub: 0x79, ssePminsw: 0x96, ssePminuw: 0x97, ssePmaxsw: 0x98, ssePmaxuw: 0x99,
  ssePminsd: 0xb6, ssePminud: 0xb7, ssePmaxsd: 0xb8, ssePmaxud: 0xb9, ssePavgb: 0x7b, ssePavgw: 0x9b,
  ssePacksswb: 0x65, ssePackuswb: 0x66, ssePackssdw: 0x85, ssePackusdw: 0x86,
} as const;

/** By the interpreter's function. */
export const VECTORS: Readonly<Record<string, EmitVector>> = {
  ...Object.fromEntries(Object.entries(BINARY).map(([name, opcode]) => [name, plain(opcode)])),
  ssePandn: binary((w, _op, destination, source) => { source(); destination(); w.code.simd(SIMD.andnot); }),
  ssePunpcklbw: lanes(1, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23), ssePunpckhbw: lanes(1, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31),
  ssePunpcklwd: lanes(2, 0, 8, 1, 9, 2, 10, 3, 11), ssePunpckhwd: lanes(2, 4, 12, 5, 13, 6, 14, 7, 15),
  ssePunpckldq: lanes(4, 0, 4, 1, 5), ssePunpckhdq: lanes(4, 2, 6, 3, 7), ssePunpcklqdq: lanes(8, 0, 2), ssePunpckhqdq: lanes(8, 1, 3),
  ssePshufd: shuffleDoublewords, ssePshufb: shuffleBytes,
  ssePsrlwImmediate: shift(0x8d, 16), ssePsllwImmediate: shift(0x8b, 16), ssePsrawImmediate: shift(0x8c, 16),
  ssePsrldImmediate: shift(0xad, 32), ssePslldImmediate: shift(0xab, 32), ssePsradImmediate: shift(0xac, 32),
  ssePsrlqImmediate: shift(0xcd, 64), ssePsllqImmediate: shift(0xcb, 64), ssePsrldq: shiftBytes(false), ssePslldq: shiftBytes(true),
  sseLoadAligned: load(SIMD.load, 16, true), sseLoadUnaligned: load(SIMD.load, 16), sseLoadMovss: loadScalar(32), sseLoadMovsd: loadScalar(64),
  sseLoadMovq: load(SIMD.load64Zero, 8), sseLoadLow: loadHalf(0), sseLoadHigh: loadHalf(8), sseMovddup: load(SIMD.load64Splat, 8),
  sseStoreAligned: store(true), sseStoreUnaligned: store(false), sseStoreMovss: storePart(32), sseStoreMovsd: storePart(64),
  sseStoreMovq: storePart(64, 0, true), sseStoreHigh: storePart(64, 8, true),
  sseMovdFromGeneral: fromGeneral(32), sseMovqFromGeneral: fromGeneral(64), sseMovdToGeneral: toGeneral(32), sseMovqToGeneral: toGeneral(64),
  ssePmovmskb: mask(SIMD.i8Bitmask), sseMovmskps: mask(SIMD.i32Bitmask), sseMovmskpd: mask(SIMD.i64Bitmask),
  sseAddsd: arithmetic(W.f64Add), sseSubsd: arithmetic(W.f64Sub), sseMulsd: arithmetic(W.f64Mul), sseDivsd: arithmetic(W.f64Div),
  sseAddpd: packed(SIMD.f64Add, pushSumAllowed), sseSubpd: packed(SIMD.f64Sub, pushSumAllowed), sseMulpd: packed(SIMD.f64Mul, pushProductAllowed), sseDivpd: packed(SIMD.f64Div, pushQuotientAllowed),
  sseUcomisd: compareDoubles, sseComisd: compareDoubles, sseCvtsi2sd32: fromInteger32, sseCvtsi2sd64: fromInteger64,
  sseCvttsd2si32: truncateDouble(32), sseCvttsd2si64: truncateDouble(64),
};
