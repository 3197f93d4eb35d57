/** Packed shifts of XMM registers, by a register or memory count and by an immediate. Counts beyond the lane give 0, or the sign. */
import { readXmm, source128, sseRefused, writeXmm } from "./sse-access";
import {
  shiftRight16, shiftRight32, shiftRight64, shiftLeft16, shiftLeft32, shiftLeft64, shiftRightSigned16, shiftRightSigned32, shiftPairRight,
} from "./sse-lanes";
import { bail, immediate, rmAddress } from "./state";

// @ts-ignore: decorator
@inline function immediateCount(op: u32): u64 { return u64(immediate(op)) & 0xff; }

/** PSRLW xmm, xmm/m128. */
export function ssePsrlw(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, shiftRight16(readXmm(op), load<u64>(source)));
}

/** PSRLW xmm, imm8. */
export function ssePsrlwImmediate(op: u32): i32 {
  const refused = sseRefused();
  if (refused != 0) return refused;
  const register = rmAddress(op);
  v128.store(register, shiftRight16(v128.load(register), immediateCount(op)));
  return 0;
}

/** PSRLD xmm, xmm/m128. */
export function ssePsrld(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, shiftRight32(readXmm(op), load<u64>(source)));
}

/** PSRLD xmm, imm8. */
export function ssePsrldImmediate(op: u32): i32 {
  const refused = sseRefused();
  if (refused != 0) return refused;
  const register = rmAddress(op);
  v128.store(register, shiftRight32(v128.load(register), immediateCount(op)));
  return 0;
}

/** PSRLQ xmm, xmm/m128. */
export function ssePsrlq(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, shiftRight64(readXmm(op), load<u64>(source)));
}

/** PSRLQ xmm, imm8. */
export function ssePsrlqImmediate(op: u32): i32 {
  const refused = sseRefused();
  if (refused != 0) return refused;
  const register = rmAddress(op);
  v128.store(register, shiftRight64(v128.load(register), immediateCount(op)));
  return 0;
}

/** PSLLW xmm, xmm/m128. */
export function ssePsllw(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, shiftLeft16(readXmm(op), load<u64>(source)));
}

/** PSLLW xmm, imm8. */
export function ssePsllwImmediate(op: u32): i32 {
  const refused = sseRefused();
  if (refused != 0) return refused;
  const register = rmAddress(op);
  v128.store(register, shiftLeft16(v128.load(register), immediateCount(op)));
  return 0;
}

/** PSLLD xmm, xmm/m128. */
export function ssePslld(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, shiftLeft32(readXmm(op), load<u64>(source)));
}

/** PSLLD xmm, imm8. */
export function ssePslldImmediate(op: u32): i32 {
  const refused = sseRefused();
  if (refused != 0) return refused;
  const register = rmAddress(op);
  v128.store(register, shiftLeft32(v128.load(register), immediateCount(op)));
  return 0;
}

/** PSLLQ xmm, xmm/m128. */
export function ssePsllq(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, shiftLeft64(readXmm(op), load<u64>(source)));
}

/** PSLLQ xmm, imm8. */
export function ssePsllqImmediate(op: u32): i32 {
  const refused = sseRefused();
  if (refused != 0) return refused;
  const register = rmAddress(op);
  v128.store(register, shiftLeft64(v128.load(register), immediateCount(op)));
  return 0;
}

/** PSRAW xmm, xmm/m128. */
export function ssePsraw(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, shiftRightSigned16(readXmm(op), load<u64>(source)));
}

/** PSRAW xmm, imm8. */
export function ssePsrawImmediate(op: u32): i32 {
  const refused = sseRefused();
  if (refused != 0) return refused;
  const register = rmAddress(op);
  v128.store(register, shiftRightSigned16(v128.load(register), immediateCount(op)));
  return 0;
}

/** PSRAD xmm, xmm/m128. */
export function ssePsrad(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, shiftRightSigned32(readXmm(op), load<u64>(source)));
}

/** PSRAD xmm, imm8. */
export function ssePsradImmediate(op: u32): i32 {
  const refused = sseRefused();
  if (refused != 0) return refused;
  const register = rmAddress(op);
  v128.store(register, shiftRightSigned32(v128.load(register), immediateCount(op)));
  return 0;
}

/** PSRLDQ xmm, imm8: the whole register, by bytes. */
export function ssePsrldq(op: u32): i32 {
  const refused = sseRefused();
  if (refused != 0) return refused;
  const register = rmAddress(op);
  v128.store(register, shiftPairRight(i64x2.splat(0), v128.load(register), u32(immediateCount(op))));
  return 0;
}

/** PSLLDQ xmm, imm8: the whole register, by bytes. */
export function ssePslldq(op: u32): i32 {
  const refused = sseRefused();
  if (refused != 0) return refused;
  const register = rmAddress(op);
  const count = min<u32>(u32(immediateCount(op)), 16);
  v128.store(register, shiftPairRight(v128.load(register), i64x2.splat(0), 16 - count));
  return 0;
}
