/** Shuffles, blends, inserts and extracts that an immediate selects. */
import { write16, write32, write64, write8 } from "./memory";
import { isMemory, readXmm, source128, sourceUnaligned, sseRefused, writeXmm, xmm0Address } from "./sse-access";
import { shiftPairRight } from "./sse-lanes";
import { bail, effectiveAddress, immediate, regAddress, rmAddress } from "./state";

// @ts-ignore: decorator
@inline function selector(op: u32): u32 { return u32(immediate(op)) & 0xff; }

/** Doubleword `n` (taken modulo 4) of the 16 bytes at `base`. */
// @ts-ignore: decorator
@inline function doubleword(base: u32, n: u32): u32 { return load<u32>(base + ((n & 3) << 2)); }

/** Word `n` (taken modulo 4) of the 8 bytes at `base`. */
// @ts-ignore: decorator
@inline function word(base: u32, n: u32): u64 { return load<u16>(base + ((n & 3) << 1)); }

/** Four words of the 8 bytes at `base`, two bits of `select` each (PSHUFW, PSHUFLW, PSHUFHW). */
export function shuffleWords(base: u32, select: u32): u64 {
  return word(base, select) | (word(base, select >> 2) << 16) | (word(base, select >> 4) << 32) | (word(base, select >> 6) << 48);
}

/** PSHUFD xmm, xmm/m128, imm8. */
export function ssePshufd(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  const select = selector(op);
  const low = u64(doubleword(source, select)) | (u64(doubleword(source, select >> 2)) << 32);
  const high = u64(doubleword(source, select >> 4)) | (u64(doubleword(source, select >> 6)) << 32);
  return storeHalves(op, low, high);
}

// @ts-ignore: decorator
@inline function storeHalves(op: u32, low: u64, high: u64): i32 {
  store<u64>(regAddress(op), low);
  store<u64>(regAddress(op) + 8, high);
  return 0;
}

/** PSHUFLW xmm, xmm/m128, imm8. */
export function ssePshuflw(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return storeHalves(op, shuffleWords(source, selector(op)), load<u64>(source + 8));
}

/** PSHUFHW xmm, xmm/m128, imm8. */
export function ssePshufhw(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return storeHalves(op, load<u64>(source), shuffleWords(source + 8, selector(op)));
}

/** SHUFPS xmm, xmm/m128, imm8: low half from the destination, high half from the source. */
export function sseShufps(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  const select = selector(op);
  const target = regAddress(op);
  const low = u64(doubleword(target, select)) | (u64(doubleword(target, select >> 2)) << 32);
  const high = u64(doubleword(source, select >> 4)) | (u64(doubleword(source, select >> 6)) << 32);
  return storeHalves(op, low, high);
}

/** SHUFPD xmm, xmm/m128, imm8. */
export function sseShufpd(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  const select = selector(op);
  const low = load<u64>(regAddress(op) + ((select & 1) << 3));
  return storeHalves(op, low, load<u64>(source + ((select & 2) << 2)));
}

/** PALIGNR xmm, xmm/m128, imm8. */
export function ssePalignr(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, shiftPairRight(readXmm(op), v128.load(source), selector(op)));
}

// ---------------------------------------------------------------------------------------------------- blends

/** PBLENDW xmm, xmm/m128, imm8. */
export function ssePblendw(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  const bits = v128.and(i16x8.splat(i16(selector(op))), i16x8(1, 2, 4, 8, 16, 32, 64, 128));
  return writeXmm(op, v128.bitselect(v128.load(source), readXmm(op), i16x8.ne(bits, i16x8.splat(0))));
}

/** BLENDPS xmm, xmm/m128, imm8. */
export function sseBlendps(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  const bits = v128.and(i32x4.splat(i32(selector(op))), i32x4(1, 2, 4, 8));
  return writeXmm(op, v128.bitselect(v128.load(source), readXmm(op), i32x4.ne(bits, i32x4.splat(0))));
}

/** BLENDPD xmm, xmm/m128, imm8. */
export function sseBlendpd(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  const bits = v128.and(i64x2.splat(i64(selector(op))), i64x2(1, 2));
  return writeXmm(op, v128.bitselect(v128.load(source), readXmm(op), i64x2.ne(bits, i64x2.splat(0))));
}

/** PBLENDVB xmm, xmm/m128, XMM0. */
export function ssePblendvb(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, v128.bitselect(v128.load(source), readXmm(op), i8x16.shr_s(v128.load(xmm0Address()), 7)));
}

/** BLENDVPS xmm, xmm/m128, XMM0. */
export function sseBlendvps(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, v128.bitselect(v128.load(source), readXmm(op), i32x4.shr_s(v128.load(xmm0Address()), 31)));
}

/** BLENDVPD xmm, xmm/m128, XMM0. */
export function sseBlendvpd(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, v128.bitselect(v128.load(source), readXmm(op), i64x2.shr_s(v128.load(xmm0Address()), 63)));
}

// ---------------------------------------------------------------------------------------------------- inserts

/** PINSRB xmm, r32/m8, imm8. */
export function ssePinsrb(op: u32): i32 {
  const source = sourceUnaligned(op, 1);
  if (source == 0) return bail;
  store<u8>(regAddress(op) + (selector(op) & 15), load<u8>(source));
  return 0;
}

/** PINSRW xmm, r32/m16, imm8. */
export function ssePinsrw(op: u32): i32 {
  const source = sourceUnaligned(op, 2);
  if (source == 0) return bail;
  store<u16>(regAddress(op) + ((selector(op) & 7) << 1), load<u16>(source));
  return 0;
}

/** PINSRD xmm, r/m32, imm8. */
export function ssePinsrd(op: u32): i32 {
  const source = sourceUnaligned(op, 4);
  if (source == 0) return bail;
  store<u32>(regAddress(op) + ((selector(op) & 3) << 2), load<u32>(source));
  return 0;
}

/** PINSRQ xmm, r/m64, imm8. */
export function ssePinsrq(op: u32): i32 {
  const source = sourceUnaligned(op, 8);
  if (source == 0) return bail;
  store<u64>(regAddress(op) + ((selector(op) & 1) << 3), load<u64>(source));
  return 0;
}

/** INSERTPS xmm, xmm/m32, imm8: a doubleword goes to a place, and lanes of the low four bits are cleared. */
export function sseInsertps(op: u32): i32 {
  const source = sourceUnaligned(op, 4);
  if (source == 0) return bail;
  const select = selector(op);
  const value = isMemory(op) ? load<u32>(source) : doubleword(source, select >> 6);
  const target = regAddress(op);
  store<u32>(target + (((select >> 4) & 3) << 2), value);
  for (let lane: u32 = 0; lane < 4; lane++) if (((select >> lane) & 1) != 0) store<u32>(target + (lane << 2), 0);
  return 0;
}

// ---------------------------------------------------------------------------------------------------- extracts

/** PEXTRB r32/m8, xmm, imm8. */
export function ssePextrb(op: u32): i32 {
  const refused = sseRefused();
  if (refused != 0) return refused;
  const value: u64 = load<u8>(regAddress(op) + (selector(op) & 15));
  if (isMemory(op)) return write8(effectiveAddress(op), value);
  store<u64>(rmAddress(op), value);
  return 0;
}

/** PEXTRW r32/m16, xmm, imm8 (the SSE4.1 encoding, destination in rm). */
export function ssePextrwStore(op: u32): i32 {
  const refused = sseRefused();
  if (refused != 0) return refused;
  const value: u64 = load<u16>(regAddress(op) + ((selector(op) & 7) << 1));
  if (isMemory(op)) return write16(effectiveAddress(op), value);
  store<u64>(rmAddress(op), value);
  return 0;
}

/** PEXTRW r32, xmm, imm8 (the SSE2 encoding, destination in reg). */
export function ssePextrw(op: u32): i32 {
  const refused = sseRefused();
  if (refused != 0) return refused;
  store<u64>(regAddress(op), load<u16>(rmAddress(op) + ((selector(op) & 7) << 1)));
  return 0;
}

/** PEXTRD r/m32, xmm, imm8, and EXTRACTPS. */
export function ssePextrd(op: u32): i32 {
  const refused = sseRefused();
  if (refused != 0) return refused;
  const value: u64 = doubleword(regAddress(op), selector(op));
  if (isMemory(op)) return write32(effectiveAddress(op), value);
  store<u64>(rmAddress(op), value);
  return 0;
}

/** PEXTRQ r/m64, xmm, imm8. */
export function ssePextrq(op: u32): i32 {
  const refused = sseRefused();
  if (refused != 0) return refused;
  const value = load<u64>(regAddress(op) + ((selector(op) & 1) << 3));
  if (isMemory(op)) return write64(effectiveAddress(op), value);
  store<u64>(rmAddress(op), value);
  return 0;
}
