/**
 * PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM and CRC32 (SSE4.2).
 *
 * Text followed: Intel SDM vol 2B §4.1. The control byte:
 *
 *   bits 1..0 format (0 unsigned bytes, 1 unsigned words, 2 signed bytes, 3 signed words)
 *   bits 3..2 aggregation (0 equal any, 1 ranges, 2 equal each, 3 equal ordered)
 *   bits 5..4 polarity (1 negative, 3 negative where valid)    bit 6 index from the top, or mask of whole lanes
 */
import { FLAG_CF, FLAG_OF, FLAG_SF, FLAG_ZF, setArithmeticFlags } from "./flags";
import { isMemory, sourceUnaligned, xmm0Address } from "./sse-access";
import { bail, effectiveAddress, gpr, immediate, regAddress, rmAddress, setGpr } from "./state";
import { readPointer } from "./memory";

const REGISTER_RAX: u32 = 0;
const REGISTER_RCX: u32 = 1;
const REGISTER_RDX: u32 = 2;
const CONTROL_WORDS: u32 = 1;
const CONTROL_SIGNED: u32 = 2;
const CONTROL_NEGATIVE: u32 = 0x10;
const CONTROL_MASKED: u32 = 0x20;
const CONTROL_TOP: u32 = 0x40;

/** Element `n` of the 16 bytes at `base` in the format of `control`. */
function element(base: u32, n: u32, control: u32): i32 {
  if ((control & CONTROL_WORDS) != 0) {
    return (control & CONTROL_SIGNED) != 0 ? i32(load<i16>(base + (n << 1))) : i32(load<u16>(base + (n << 1)));
  }
  return (control & CONTROL_SIGNED) != 0 ? i32(load<i8>(base + n)) : i32(load<u8>(base + n));
}

/** Length of the string at `base` that ends before the first zero element, at most the number of elements. */
function implicitLength(base: u32, control: u32): u32 {
  const value = v128.load(base);
  const words = (control & CONTROL_WORDS) != 0;
  const zero = i8x16.splat(0);
  const ends: u32 = words ? i16x8.bitmask(i16x8.eq(value, zero)) : i8x16.bitmask(i8x16.eq(value, zero));
  return min<u32>(ctz<u32>(ends), words ? 8 : 16);
}

/** Bit j: element j of the text equals some element of the set. */
function equalAny(set: u32, setLength: u32, text: u32, textLength: u32, control: u32): u32 {
  const value = v128.load(text);
  let hits = i8x16.splat(0);
  for (let i: u32 = 0; i < setLength; i++) {
    const wanted = element(set, i, control);
    const same = (control & CONTROL_WORDS) != 0 ? i16x8.eq(value, i16x8.splat(i16(wanted))) : i8x16.eq(value, i8x16.splat(i8(wanted)));
    hits = v128.or(hits, same);
  }
  const bits: u32 = (control & CONTROL_WORDS) != 0 ? i16x8.bitmask(hits) : i8x16.bitmask(hits);
  return bits & ((1 << textLength) - 1);
}

/** Bit j: element j of the text lies in one of the ranges, pairs of lower and upper bound; an odd last bound counts for nothing. */
function inRanges(ranges: u32, rangesLength: u32, text: u32, textLength: u32, control: u32): u32 {
  let bits: u32 = 0;
  for (let j: u32 = 0; j < textLength; j++) {
    const value = element(text, j, control);
    for (let i: u32 = 0; i + 1 < rangesLength; i += 2) {
      if (value >= element(ranges, i, control) && value <= element(ranges, i + 1, control)) { bits |= 1 << j; break; }
    }
  }
  return bits;
}

/** Bit j: element j is equal in both, or behind the end of both. */
function equalEach(a: u32, aLength: u32, b: u32, bLength: u32, control: u32): u32 {
  const words = (control & CONTROL_WORDS) != 0;
  const same: u32 = words ? i16x8.bitmask(i16x8.eq(v128.load(a), v128.load(b))) : i8x16.bitmask(i8x16.eq(v128.load(a), v128.load(b)));
  const inA: u32 = (1 << aLength) - 1;
  const inB: u32 = (1 << bLength) - 1;
  const all: u32 = words ? 0xff : 0xffff;
  return (same & inA & inB) | (all & ~(inA | inB));
}

/** Bit j: the needle begins at element j of the text, as far as the 16 bytes reach. */
function equalOrdered(needle: u32, needleLength: u32, text: u32, textLength: u32, control: u32): u32 {
  const count: u32 = (control & CONTROL_WORDS) != 0 ? 8 : 16;
  let bits: u32 = 0;
  for (let j: u32 = 0; j < count; j++) {
    let same = true;
    for (let i: u32 = 0; i < needleLength && i + j < count && same; i++) {
      same = i + j < textLength && element(needle, i, control) == element(text, i + j, control);
    }
    if (same) bits |= 1 << j;
  }
  return bits;
}

/** IntRes2 of the SDM: the aggregated comparison after the polarity. */
function compareStrings(a: u32, aLength: u32, b: u32, bLength: u32, control: u32): u32 {
  let bits: u32 = 0;
  switch ((control >> 2) & 3) {
    case 0: bits = equalAny(a, aLength, b, bLength, control); break;
    case 1: bits = inRanges(a, aLength, b, bLength, control); break;
    case 2: bits = equalEach(a, aLength, b, bLength, control); break;
    default: bits = equalOrdered(a, aLength, b, bLength, control); break;
  }
  const all: u32 = (control & CONTROL_WORDS) != 0 ? 0xff : 0xffff;
  if ((control & CONTROL_NEGATIVE) == 0) return bits;
  return (control & CONTROL_MASKED) != 0 ? bits ^ ((1 << bLength) - 1) : bits ^ all;
}

/** Sets the flags and either RCX (index) or XMM0 (mask) of one string comparison. */
function finish(bits: u32, aLength: u32, bLength: u32, control: u32, toMask: bool): void {
  const count: u32 = (control & CONTROL_WORDS) != 0 ? 8 : 16;
  let flags: u64 = bits != 0 ? FLAG_CF : 0;
  if (bLength < count) flags |= FLAG_ZF;
  if (aLength < count) flags |= FLAG_SF;
  if ((bits & 1) != 0) flags |= FLAG_OF;
  setArithmeticFlags(flags);
  if (!toMask) {
    const index = (control & CONTROL_TOP) != 0 ? 31 - clz<u32>(bits) : ctz<u32>(bits);
    setGpr(REGISTER_RCX, bits == 0 ? u64(count) : u64(index));
  } else {
    v128.store(xmm0Address(), (control & CONTROL_TOP) != 0 ? wholeLanes(bits, control) : i32x4.replace_lane(i64x2.splat(0), 0, bits));
  }
}

/** One lane of ones for every set bit. */
function wholeLanes(bits: u32, control: u32): v128 {
  if ((control & CONTROL_WORDS) != 0) {
    return i16x8.ne(v128.and(i16x8.splat(i16(bits)), i16x8(1, 2, 4, 8, 16, 32, 64, 128)), i16x8.splat(0));
  }
  const spread = i8x16.swizzle(i16x8.splat(i16(bits)), i8x16(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1));
  return i8x16.ne(v128.and(spread, i8x16(1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128)), i8x16.splat(0));
}

/** Length that a register gives: its absolute value, at most the number of elements. */
function explicitLength(value: i64, control: u32): u32 {
  const count: u64 = (control & CONTROL_WORDS) != 0 ? 8 : 16;
  return u32(min<u64>(u64(value < 0 ? -value : value), count));
}

function compareImplicit(op: u32, toMask: bool): i32 {
  const source = sourceUnaligned(op, 16);
  if (source == 0) return bail;
  const control = u32(immediate(op));
  const aLength = implicitLength(regAddress(op), control);
  const bLength = implicitLength(source, control);
  finish(compareStrings(regAddress(op), aLength, source, bLength, control), aLength, bLength, control, toMask);
  return 0;
}

function compareExplicit(op: u32, toMask: bool, a: i64, b: i64): i32 {
  const source = sourceUnaligned(op, 16);
  if (source == 0) return bail;
  const control = u32(immediate(op));
  const aLength = explicitLength(a, control);
  const bLength = explicitLength(b, control);
  finish(compareStrings(regAddress(op), aLength, source, bLength, control), aLength, bLength, control, toMask);
  return 0;
}

/** PCMPISTRI xmm, xmm/m128, imm8. */
export function ssePcmpistri(op: u32): i32 { return compareImplicit(op, false); }
/** PCMPISTRM xmm, xmm/m128, imm8. */
export function ssePcmpistrm(op: u32): i32 { return compareImplicit(op, true); }
/** PCMPESTRI xmm, xmm/m128, imm8, lengths in EAX and EDX. */
export function ssePcmpestri32(op: u32): i32 { return compareExplicit(op, false, i64(i32(gpr(REGISTER_RAX))), i64(i32(gpr(REGISTER_RDX)))); }
/** PCMPESTRI xmm, xmm/m128, imm8, lengths in RAX and RDX. */
export function ssePcmpestri64(op: u32): i32 { return compareExplicit(op, false, i64(gpr(REGISTER_RAX)), i64(gpr(REGISTER_RDX))); }
/** PCMPESTRM xmm, xmm/m128, imm8, lengths in EAX and EDX. */
export function ssePcmpestrm32(op: u32): i32 { return compareExplicit(op, true, i64(i32(gpr(REGISTER_RAX))), i64(i32(gpr(REGISTER_RDX)))); }
/** PCMPESTRM xmm, xmm/m128, imm8, lengths in RAX and RDX. */
export function ssePcmpestrm64(op: u32): i32 { return compareExplicit(op, true, i64(gpr(REGISTER_RAX)), i64(gpr(REGISTER_RDX))); }

// ---------------------------------------------------------------------------------------------------- CRC32

/** CRC-32C (polynomial 82f63b78h, bit reflected) of each half byte. */
const CRC32C_HALF_BYTES: usize = memory.data<u32>([
  0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
  0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
]);

/** CRC-32C of the `bits` (a multiple of 4, at most 32) low bits of `mixed`, which already holds the old value xor the data. */
function crcReduce(mixed: u32, bits: u32): u32 {
  let rest = mixed;
  for (let done: u32 = 0; done < bits; done += 4) rest = (rest >> 4) ^ load<u32>(CRC32C_HALF_BYTES + ((rest & 15) << 2));
  return rest;
}

/** CRC-32C of `bytes` bytes of `value`, low byte first, carried on from `crc`. */
function crc32c(crc: u32, value: u64, bytes: u32): u32 {
  const low = crcReduce(crc ^ u32(value), min<u32>(bytes, 4) << 3);
  return bytes == 8 ? crcReduce(low ^ u32(value >> 32), 32) : low;
}

// @ts-ignore: decorator
@inline function crcSource(op: u32, bytes: u32): u32 {
  return isMemory(op) ? readPointer(effectiveAddress(op), bytes) : rmAddress(op);
}

// @ts-ignore: decorator
@inline function crcFinish(op: u32, value: u64, bytes: u32): i32 {
  store<u64>(regAddress(op), crc32c(load<u32>(regAddress(op)), value, bytes));
  return 0;
}

/** CRC32 r32, r/m8. */
export function crc32Byte(op: u32): i32 {
  const source = crcSource(op, 1);
  return source == 0 ? bail : crcFinish(op, load<u8>(source), 1);
}
/** CRC32 r32, r/m16. */
export function crc32Source16(op: u32): i32 {
  const source = crcSource(op, 2);
  return source == 0 ? bail : crcFinish(op, load<u16>(source), 2);
}
/** CRC32 r32, r/m32. */
export function crc32Source32(op: u32): i32 {
  const source = crcSource(op, 4);
  return source == 0 ? bail : crcFinish(op, load<u32>(source), 4);
}
/** CRC32 r64, r/m64. */
export function crc32Source64(op: u32): i32 {
  const source = crcSource(op, 8);
  return source == 0 ? bail : crcFinish(op, load<u64>(source), 8);
}
