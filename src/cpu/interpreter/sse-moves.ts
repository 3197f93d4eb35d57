/** SSE data movement: loads, stores, half moves, moves to and from general and MMX registers, masks. */
import * as L from "./generated/layout";
import { write32, write64, writeBytes, writeMasked } from "./memory";
import { enterMmx, mmxRefused, writeMmxSlot } from "./mmx-access";
import { OP_BITS, OP_BITS_ADDRESS_SHIFT, OP_SEGMENT } from "./op";
import { isMemory, readXmm, source128, sourceUnaligned, sseRefused, storeRefused, writeXmm } from "./sse-access";
import { bail, cpu, effectiveAddress, gpr, regAddress, rmAddress, segmentAddress } from "./state";

const REGISTER_RDI: u32 = 7;

// ---------------------------------------------------------------------------------------------------- 128 bits

/** MOVAPS, MOVAPD, MOVDQA, MOVNTDQA xmm, xmm/m128. */
export function sseLoadAligned(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  return writeXmm(op, v128.load(source));
}

/** MOVUPS, MOVUPD, MOVDQU, LDDQU xmm, xmm/m128. */
export function sseLoadUnaligned(op: u32): i32 {
  const source = sourceUnaligned(op, 16);
  if (source == 0) return bail;
  return writeXmm(op, v128.load(source));
}

/** MOVAPS, MOVAPD, MOVDQA, MOVNTPS, MOVNTPD, MOVNTDQ xmm/m128, xmm. */
export function sseStoreAligned(op: u32): i32 {
  if (!isMemory(op)) return storeRegister(op);
  const refused = storeRefused(op);
  return refused != 0 ? refused : writeBytes(effectiveAddress(op), regAddress(op), 16);
}

/** MOVUPS, MOVUPD, MOVDQU xmm/m128, xmm. */
export function sseStoreUnaligned(op: u32): i32 {
  if (!isMemory(op)) return storeRegister(op);
  const refused = sseRefused();
  return refused != 0 ? refused : writeBytes(effectiveAddress(op), regAddress(op), 16);
}

function storeRegister(op: u32): i32 {
  const refused = sseRefused();
  if (refused != 0) return refused;
  v128.store(rmAddress(op), readXmm(op));
  return 0;
}

// ---------------------------------------------------------------------------------------------------- scalars

/** MOVSS xmm, xmm/m32: from memory the rest is cleared, from a register it is kept. */
export function sseLoadMovss(op: u32): i32 {
  const source = sourceUnaligned(op, 4);
  if (source == 0) return bail;
  if (isMemory(op)) return writeXmm(op, v128.load32_zero(source));
  store<u32>(regAddress(op), load<u32>(source));
  return 0;
}

/** MOVSD xmm, xmm/m64: from memory the rest is cleared, from a register it is kept. */
export function sseLoadMovsd(op: u32): i32 {
  const source = sourceUnaligned(op, 8);
  if (source == 0) return bail;
  if (isMemory(op)) return writeXmm(op, v128.load64_zero(source));
  store<u64>(regAddress(op), load<u64>(source));
  return 0;
}

/** MOVSS xmm/m32, xmm. */
export function sseStoreMovss(op: u32): i32 {
  const refused = sseRefused();
  if (refused != 0) return refused;
  if (isMemory(op)) return write32(effectiveAddress(op), load<u32>(regAddress(op)));
  store<u32>(rmAddress(op), load<u32>(regAddress(op)));
  return 0;
}

/** MOVSD xmm/m64, xmm. */
export function sseStoreMovsd(op: u32): i32 {
  const refused = sseRefused();
  if (refused != 0) return refused;
  if (isMemory(op)) return write64(effectiveAddress(op), load<u64>(regAddress(op)));
  store<u64>(rmAddress(op), load<u64>(regAddress(op)));
  return 0;
}

/** MOVQ xmm, xmm/m64: the high half is cleared. */
export function sseLoadMovq(op: u32): i32 {
  const source = sourceUnaligned(op, 8);
  if (source == 0) return bail;
  return writeXmm(op, v128.load64_zero(source));
}

/** MOVQ xmm/m64, xmm: the high half of a register is cleared. */
export function sseStoreMovq(op: u32): i32 {
  const refused = sseRefused();
  if (refused != 0) return refused;
  if (isMemory(op)) return write64(effectiveAddress(op), load<u64>(regAddress(op)));
  v128.store(rmAddress(op), v128.load64_zero(regAddress(op)));
  return 0;
}

// ---------------------------------------------------------------------------------------------------- halves

/** MOVLPS, MOVLPD xmm, m64; MOVHLPS xmm, xmm is sseMovhlps. */
export function sseLoadLow(op: u32): i32 {
  const source = sourceUnaligned(op, 8);
  if (source == 0) return bail;
  store<u64>(regAddress(op), load<u64>(source));
  return 0;
}

/** MOVHPS, MOVHPD xmm, m64, and MOVLHPS xmm, xmm. */
export function sseLoadHigh(op: u32): i32 {
  const source = sourceUnaligned(op, 8);
  if (source == 0) return bail;
  store<u64>(regAddress(op) + 8, load<u64>(source));
  return 0;
}

/** MOVHLPS xmm, xmm. */
export function sseMovhlps(op: u32): i32 {
  const refused = sseRefused();
  if (refused != 0) return refused;
  store<u64>(regAddress(op), load<u64>(rmAddress(op) + 8));
  return 0;
}

/** MOVHPS, MOVHPD m64, xmm. */
export function sseStoreHigh(op: u32): i32 {
  const refused = sseRefused();
  return refused != 0 ? refused : write64(effectiveAddress(op), load<u64>(regAddress(op) + 8));
}

/** MOVSHDUP xmm, xmm/m128. */
export function sseMovshdup(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  const value = v128.load(source);
  return writeXmm(op, v128.shuffle<u32>(value, value, 1, 1, 3, 3));
}

/** MOVSLDUP xmm, xmm/m128. */
export function sseMovsldup(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  const value = v128.load(source);
  return writeXmm(op, v128.shuffle<u32>(value, value, 0, 0, 2, 2));
}

/** MOVDDUP xmm, xmm/m64. */
export function sseMovddup(op: u32): i32 {
  const source = sourceUnaligned(op, 8);
  if (source == 0) return bail;
  return writeXmm(op, v128.load64_splat(source));
}

// ---------------------------------------------------------------------------------------------------- general registers

/** MOVD xmm, r/m32. */
export function sseMovdFromGeneral(op: u32): i32 {
  const source = sourceUnaligned(op, 4);
  if (source == 0) return bail;
  return writeXmm(op, v128.load32_zero(source));
}

/** MOVQ xmm, r/m64. */
export function sseMovqFromGeneral(op: u32): i32 { return sseLoadMovq(op); }

/** MOVD r/m32, xmm. */
export function sseMovdToGeneral(op: u32): i32 {
  const refused = sseRefused();
  if (refused != 0) return refused;
  const value = load<u32>(regAddress(op));
  if (isMemory(op)) return write32(effectiveAddress(op), value);
  store<u64>(rmAddress(op), value);
  return 0;
}

/** MOVQ r/m64, xmm. */
export function sseMovqToGeneral(op: u32): i32 {
  const refused = sseRefused();
  if (refused != 0) return refused;
  const value = load<u64>(regAddress(op));
  if (isMemory(op)) return write64(effectiveAddress(op), value);
  store<u64>(rmAddress(op), value);
  return 0;
}

/** MOVNTI m32, r32. It needs no SSE state, so CR0.EM and CR4.OSFXSR do not matter. */
export function movnti32(op: u32): i32 { return write32(effectiveAddress(op), load<u32>(regAddress(op))); }
/** MOVNTI m64, r64. */
export function movnti64(op: u32): i32 { return write64(effectiveAddress(op), load<u64>(regAddress(op))); }

/** MOVMSKPS r32, xmm. */
export function sseMovmskps(op: u32): i32 {
  const refused = sseRefused();
  if (refused != 0) return refused;
  store<u64>(regAddress(op), i32x4.bitmask(v128.load(rmAddress(op))));
  return 0;
}

/** MOVMSKPD r32, xmm. */
export function sseMovmskpd(op: u32): i32 {
  const refused = sseRefused();
  if (refused != 0) return refused;
  store<u64>(regAddress(op), i64x2.bitmask(v128.load(rmAddress(op))));
  return 0;
}

/** PMOVMSKB r32, xmm. */
export function ssePmovmskb(op: u32): i32 {
  const refused = sseRefused();
  if (refused != 0) return refused;
  store<u64>(regAddress(op), i8x16.bitmask(v128.load(rmAddress(op))));
  return 0;
}

// ---------------------------------------------------------------------------------------------------- MMX registers

/** MOVQ2DQ xmm, mm. */
export function sseMovq2dq(op: u32): i32 {
  const refused = moveRefused();
  if (refused != 0) return refused;
  enterMmx();
  return writeXmm(op, v128.load64_zero(rmAddress(op)));
}

/** MOVDQ2Q mm, xmm. */
export function sseMovdq2q(op: u32): i32 {
  const refused = moveRefused();
  if (refused != 0) return refused;
  return writeMmxSlot(regAddress(op), load<u64>(rmAddress(op)));
}

function moveRefused(): i32 {
  const refused = sseRefused();
  return refused != 0 ? refused : mmxRefused();
}

// ---------------------------------------------------------------------------------------------------- masked stores

/** Linear address of DS:rDI (DS may be overridden), as MASKMOVDQU and MASKMOVQ use it. */
function maskedStoreAddress(op: u32): u64 {
  const addressSize = (u32(load<u8>(op + OP_BITS)) >> OP_BITS_ADDRESS_SHIFT) & 3;
  let offset = gpr(REGISTER_RDI);
  if (addressSize == 0) offset &= 0xffff;
  if (addressSize == 1) offset &= 0xffff_ffff;
  const segment: u32 = load<u8>(op + OP_SEGMENT);
  if (load<u32>(cpu + L.VCPU_mode) == L.MODE_64) {
    return segment >= L.SEGMENT_FS ? offset + load<u64>(segmentAddress(segment) + L.SEGMENT_BASE) : offset;
  }
  return (offset + load<u64>(segmentAddress(segment) + L.SEGMENT_BASE)) & 0xffff_ffff;
}

/** Stores the bytes at `source` that `mask` selects to DS:rDI, all or none of them. */
export function storeMasked(op: u32, source: u32, mask: u32): i32 { return mask == 0 ? 0 : writeMasked(maskedStoreAddress(op), source, mask); }

/** MASKMOVDQU xmm, xmm. */
export function sseMaskmovdqu(op: u32): i32 {
  const refused = sseRefused();
  return refused != 0 ? refused : storeMasked(op, regAddress(op), i8x16.bitmask(v128.load(rmAddress(op))));
}
