/** MMX moves, shuffles by an immediate, inserts, extracts and masks. */
import { write32, write64 } from "./memory";
import { enterMmx, mmxRefused, mmxSource, readMmx, writeMmx, writeMmxSlot } from "./mmx-access";
import { isMemory } from "./sse-access";
import { pairLow, shiftPairRight } from "./sse-lanes";
import { storeMasked } from "./sse-moves";
import { shuffleWords } from "./sse-shuffle";
import { bail, effectiveAddress, immediate, regAddress, rmAddress } from "./state";

/** MOVD mm, r/m32. */
export function mmxMovdFromGeneral(op: u32): i32 {
  const source = mmxSource(op, 4);
  if (source == 0) return bail;
  return writeMmxSlot(regAddress(op), load<u32>(source));
}

/** MOVQ mm, mm/m64, and MOVQ mm, r/m64. */
export function mmxLoad(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmxSlot(regAddress(op), load<u64>(source));
}

/** MOVD r/m32, mm. */
export function mmxMovdToGeneral(op: u32): i32 {
  const refused = mmxRefused();
  if (refused != 0) return refused;
  const value = load<u32>(regAddress(op));
  if (!isMemory(op)) store<u64>(rmAddress(op), value);
  return isMemory(op) ? stored(write32(effectiveAddress(op), value)) : stored(0);
}

/** MOVQ r/m64, mm. */
export function mmxMovqToGeneral(op: u32): i32 {
  const refused = mmxRefused();
  if (refused != 0) return refused;
  const value = load<u64>(regAddress(op));
  if (!isMemory(op)) store<u64>(rmAddress(op), value);
  return isMemory(op) ? stored(write64(effectiveAddress(op), value)) : stored(0);
}

/** MOVQ mm/m64, mm, and MOVNTQ m64, mm. */
export function mmxStore(op: u32): i32 {
  const refused = mmxRefused();
  if (refused != 0) return refused;
  const value = load<u64>(regAddress(op));
  return isMemory(op) ? stored(write64(effectiveAddress(op), value)) : writeMmxSlot(rmAddress(op), value);
}

/** Puts the x87 state into MMX use when the store, whose answer is `result`, was made. */
function stored(result: i32): i32 {
  if (result == 0) enterMmx();
  return result;
}

/** PMOVMSKB r32, mm. */
export function mmxPmovmskb(op: u32): i32 {
  const refused = mmxRefused();
  if (refused != 0) return refused;
  store<u64>(regAddress(op), i8x16.bitmask(v128.load64_zero(rmAddress(op))));
  return stored(0);
}

/** MASKMOVQ mm, mm. */
export function mmxMaskmovq(op: u32): i32 {
  const refused = mmxRefused();
  if (refused != 0) return refused;
  return stored(storeMasked(op, regAddress(op), i8x16.bitmask(v128.load64_zero(rmAddress(op)))));
}

/** PSHUFW mm, mm/m64, imm8. */
export function mmxPshufw(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  return writeMmxSlot(regAddress(op), shuffleWords(source, u32(immediate(op)) & 0xff));
}

/** PALIGNR mm, mm/m64, imm8. */
export function mmxPalignr(op: u32): i32 {
  const source = mmxSource(op, 8);
  if (source == 0) return bail;
  const pair = pairLow(v128.load64_zero(source), readMmx(op));
  return writeMmx(op, shiftPairRight(i64x2.splat(0), pair, u32(immediate(op)) & 0xff));
}

/** PINSRW mm, r32/m16, imm8. */
export function mmxPinsrw(op: u32): i32 {
  const source = mmxSource(op, 2);
  if (source == 0) return bail;
  const shift = (u64(immediate(op)) & 3) << 4;
  const target = regAddress(op);
  return writeMmxSlot(target, (load<u64>(target) & ~(<u64>0xffff << shift)) | (u64(load<u16>(source)) << shift));
}

/** PEXTRW r32, mm, imm8. */
export function mmxPextrw(op: u32): i32 {
  const refused = mmxRefused();
  if (refused != 0) return refused;
  store<u64>(regAddress(op), load<u16>(rmAddress(op) + ((u32(immediate(op)) & 3) << 1)));
  return stored(0);
}
