/**
 * The flags of a region that has left them unwritten: which operation they come from, with what is needed of its result and operands in the three words
 * (src/cpu/translator/flag-state.ts has the same kinds for flags that are read inside). The words are those of flags.ts.
 *
 *   note   bits 3..0 kind, 11..4 operand size in bits, 17..12 count of a shift
 *   words  result, first operand, second operand; but
 *            ADD  -, result, first operand      SUB  -, first operand, second operand
 *            logic, multiplication  result, 0, 1 if CF
 *            INC, DEC  result, and two of which the first is less than the second if CF
 */
import * as L from "./generated/layout";
import { multiplyHighSigned } from "./integer";
import { cpu } from "./state";

const LOGIC: u32 = 1, ADD: u32 = 2, SUB: u32 = 3, INCREMENT: u32 = 4, DECREMENT: u32 = 5, MULTIPLY: u32 = 6, PRODUCT: u32 = 7, SHL: u32 = 8, SHR: u32 = 9,
  CARRIED_ADD: u32 = 11, CARRIED_SUB: u32 = 12;
const SIGN_BIT: u64 = 1 << 63;

function signExtended(value: u64, size: u64): u64 { return u64(i64(value << (64 - size)) >> (64 - size)); }

/** The carry vector of an operation of `size` bits, moved to the top; the carry out of bit 3 stays. */
function carries(vector: u64, size: u64): u64 { return size == 64 ? vector : (vector << (64 - size)) | (vector & 8); }

function stepAux(vector: u64, size: u64, old: u64): u64 {
  const moved = carries(vector, size);
  return old | ((old ^ moved ^ (moved << 1)) >> 1 & (SIGN_BIT >> 1)) | (moved & 8);
}

function shiftAux(kind: u32, size: u64, count: u64, a: u64, r: u64): u64 {
  const signed = signExtended(a, size);
  const carry: u64 = (kind == SHL ? (size == 64 ? a >> (64 - count) : (a << count) >> size) : kind == SHR ? a >> (count - 1) : u64(i64(signed) >> (count - 1))) & 1;
  const overflow: u64 = kind == SHL ? ((r >> (size - 1)) & 1) ^ carry : kind == SHR ? (a >> (size - 1)) & 1 : 0;
  return (carry << 63) | ((carry ^ overflow) << 62);
}

/** Writes the three words of the flags from what the region has noted. */
export function writeRegionFlags(): void {
  const note = load<u32>(cpu + L.VCPU_regionFlags);
  const kind = note & 15, size = u64((note >> 4) & 0xff);
  const second = load<u64>(cpu + L.VCPU_flagAux), third = load<u64>(cpu + L.VCPU_flagExtra);
  const r = kind == ADD ? second : kind == SUB ? second - third : load<u64>(cpu + L.VCPU_flagResult);
  const a = kind == ADD ? third : second, b = kind == ADD ? second - third : third;
  const old = u64(second < third) << 63;
  let aux: u64 = 0;
  switch (kind) {
    case LOGIC: break;
    case ADD: case CARRIED_ADD: aux = carries((a & b) | ((a | b) & ~r), size); break;
    case SUB: case CARRIED_SUB: aux = carries((~a & b) | ((~a | b) & r), size); break;
    case INCREMENT: aux = stepAux((r - 1) & ~r, size, old); break;
    case DECREMENT: aux = stepAux(~(r + 1) & r, size, old); break;
    case MULTIPLY: aux = third != 0 ? SIGN_BIT : 0; break;
    case PRODUCT: aux = multiplyHighSigned(i64(a), i64(b)) != i64(r) >> 63 ? SIGN_BIT : 0; break;
    default: aux = shiftAux(kind, size, u64((note >> 12) & 63), a, r); break;
  }
  store<u64>(cpu + L.VCPU_flagResult, signExtended(r, size));
  store<u64>(cpu + L.VCPU_flagAux, aux);
  store<u64>(cpu + L.VCPU_flagExtra, 0);
  store<u32>(cpu + L.VCPU_regionFlags, 0);
}
