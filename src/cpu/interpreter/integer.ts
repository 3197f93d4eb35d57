/** General-purpose instructions that are not inlined in the dispatch loop. Intel SDM vol 2. */
import * as L from "./generated/layout";
import { OP_BITS, OP_BITS_MEMORY } from "./op";
import { carryFlag, setArithmeticFlags, FLAG_ZF } from "./flags";
import {
  bail, cpu, effectiveAddress, gpr, gprAddress, immediate, raise, raiseError, regAddress, rmAddress, setGpr, VECTOR_DE, VECTOR_GP,
} from "./state";
import { modifyCommit, modifyPointer, readPointer, write16, write32, write64 } from "./memory";
import { isCanonical } from "./page-walk";
import { BAIL_JUMP } from "./op";

const SIGN_BIT: u64 = 1 << 63;

// @ts-ignore: decorator
@inline export function isMemory(op: u32): bool { return (load<u8>(op + OP_BITS) & OP_BITS_MEMORY) != 0; }

/** Host address from which the rm operand can be read; 0 = return `bail`. */
// @ts-ignore: decorator
@inline function source<T>(op: u32): u32 { return isMemory(op) ? readPointer(effectiveAddress(op), u32(sizeof<T>())) : rmAddress(op); }
/** Host address of the rm operand for reading and writing; 0 = return `bail`. End with `finish`. */
// @ts-ignore: decorator
@inline function target<T>(op: u32): u32 { return isMemory(op) ? modifyPointer(effectiveAddress(op), u32(sizeof<T>())) : rmAddress(op); }
// @ts-ignore: decorator
@inline function finish(op: u32, pointer: u32): i32 { return isMemory(op) ? modifyCommit(pointer) : 0; }

/** Stores a general register's low part; 32 bits clear the upper half. */
// @ts-ignore: decorator
@inline export function setRegister<T>(address: u32, value: T): void {
  if (sizeof<T>() == 4) store<u64>(address, u64(<u32>value));
  else store<T>(address, value);
}
/** Stores into the rm operand at `pointer`. */
// @ts-ignore: decorator
@inline function setTarget<T>(op: u32, pointer: u32, value: T): void {
  if (isMemory(op)) store<T>(pointer, value);
  else setRegister<T>(pointer, value);
}

// @ts-ignore: decorator
@inline function setResultFlags(result: u64, carry: bool, overflow: bool): void {
  store<u64>(cpu + L.VCPU_flagResult, result);
  store<u64>(cpu + L.VCPU_flagAux, (carry ? SIGN_BIT : 0) | (carry != overflow ? SIGN_BIT >> 1 : 0));
  store<u64>(cpu + L.VCPU_flagExtra, 0);
}

/** Sets CF and OF, keeping the other four flags. */
// @ts-ignore: decorator
@inline function setCarryOverflow(carry: u64, overflow: u64): void {
  const aux = load<u64>(cpu + L.VCPU_flagAux);
  store<u64>(cpu + L.VCPU_flagAux, (carry << 63) | ((carry ^ overflow) << 62) | (aux & 8));
}

// ---------------------------------------------------------------------------------------------------- multiplication, division

/** High half of an unsigned 64 x 64 product. */
export function multiplyHigh(a: u64, b: u64): u64 {
  const aLow = a & 0xffff_ffff, aHigh = a >> 32, bLow = b & 0xffff_ffff, bHigh = b >> 32;
  const low = aLow * bLow;
  const middle = aHigh * bLow + (low >> 32);
  const middle2 = aLow * bHigh + (middle & 0xffff_ffff);
  return aHigh * bHigh + (middle >> 32) + (middle2 >> 32);
}

/** High half of a signed 64 x 64 product. */
export function multiplyHighSigned(a: i64, b: i64): i64 {
  return i64(multiplyHigh(u64(a), u64(b))) - ((a >> 63) & b) - ((b >> 63) & a);
}

/** Whether `a * b`, whose low half is `product`, does not fit 64 signed bits. */
export function signedOverflow64(a: i64, b: i64, product: i64): bool {
  if (i64(i32(a)) == a && i64(i32(b)) == b) return false;
  return multiplyHighSigned(a, b) != product >> 63;
}

export function mul8(op: u32): i32 {
  const p = source<u8>(op);
  if (p == 0) return bail;
  const r = u32(load<u8>(gprAddress(0))) * u32(load<u8>(p));
  store<u16>(gprAddress(0), u16(r));
  setResultFlags(u64(i64(<i8>r)), r > 0xff, r > 0xff);
  return 0;
}
export function mul16(op: u32): i32 {
  const p = source<u16>(op);
  if (p == 0) return bail;
  const r = u32(load<u16>(gprAddress(0))) * u32(load<u16>(p));
  store<u16>(gprAddress(0), u16(r));
  store<u16>(gprAddress(2), u16(r >> 16));
  setResultFlags(u64(i64(<i16>r)), r > 0xffff, r > 0xffff);
  return 0;
}
export function mul32(op: u32): i32 {
  const p = source<u32>(op);
  if (p == 0) return bail;
  const r = u64(load<u32>(gprAddress(0))) * u64(load<u32>(p));
  setGpr(0, r & 0xffff_ffff);
  setGpr(2, r >> 32);
  setResultFlags(u64(i64(<i32>r)), (r >> 32) != 0, (r >> 32) != 0);
  return 0;
}
export function mul64(op: u32): i32 {
  const p = source<u64>(op);
  if (p == 0) return bail;
  const a = gpr(0), b = load<u64>(p);
  const high = multiplyHigh(a, b);
  setGpr(0, a * b);
  setGpr(2, high);
  setResultFlags(a * b, high != 0, high != 0);
  return 0;
}
export function imul8(op: u32): i32 {
  const p = source<u8>(op);
  if (p == 0) return bail;
  const r = i32(load<i8>(gprAddress(0))) * i32(load<i8>(p));
  store<u16>(gprAddress(0), u16(r));
  const o = i32(<i8>r) != r;
  setResultFlags(u64(i64(<i8>r)), o, o);
  return 0;
}
export function imul16(op: u32): i32 {
  const p = source<u16>(op);
  if (p == 0) return bail;
  const r = i32(load<i16>(gprAddress(0))) * i32(load<i16>(p));
  store<u16>(gprAddress(0), u16(r));
  store<u16>(gprAddress(2), u16(r >> 16));
  const o = i32(<i16>r) != r;
  setResultFlags(u64(i64(<i16>r)), o, o);
  return 0;
}
export function imul32(op: u32): i32 {
  const p = source<u32>(op);
  if (p == 0) return bail;
  const r = i64(load<i32>(gprAddress(0))) * i64(load<i32>(p));
  setGpr(0, u64(r) & 0xffff_ffff);
  setGpr(2, u64(r) >> 32);
  const o = i64(<i32>r) != r;
  setResultFlags(u64(i64(<i32>r)), o, o);
  return 0;
}
export function imul64(op: u32): i32 {
  const p = source<u64>(op);
  if (p == 0) return bail;
  const a = i64(gpr(0)), b = load<i64>(p);
  const high = multiplyHighSigned(a, b);
  setGpr(0, u64(a * b));
  setGpr(2, u64(high));
  const o = high != (a * b) >> 63;
  setResultFlags(u64(a * b), o, o);
  return 0;
}

export function div8(op: u32): i32 {
  const p = source<u8>(op);
  if (p == 0) return bail;
  const d = u32(load<u8>(p)), n = u32(load<u16>(gprAddress(0)));
  if (d == 0 || n / d > 0xff) return raise(VECTOR_DE);
  store<u16>(gprAddress(0), u16((n / d) | ((n % d) << 8)));
  return 0;
}
export function div16(op: u32): i32 {
  const p = source<u16>(op);
  if (p == 0) return bail;
  const d = u32(load<u16>(p)), n = u32(load<u16>(gprAddress(0))) | (u32(load<u16>(gprAddress(2))) << 16);
  if (d == 0 || n / d > 0xffff) return raise(VECTOR_DE);
  store<u16>(gprAddress(0), u16(n / d));
  store<u16>(gprAddress(2), u16(n % d));
  return 0;
}
export function div32(op: u32): i32 {
  const p = source<u32>(op);
  if (p == 0) return bail;
  const d = u64(load<u32>(p)), n = u64(load<u32>(gprAddress(0))) | (u64(load<u32>(gprAddress(2))) << 32);
  if (d == 0 || n / d > 0xffff_ffff) return raise(VECTOR_DE);
  setGpr(0, n / d);
  setGpr(2, n % d);
  return 0;
}

/** Remainder of the last divide128. */
let remainder128: u64 = 0;
/** Quotient of (high:low) / divisor, where high < divisor (Knuth D with 32-bit digits; Hacker's Delight divlu). */
function divide128(high: u64, low: u64, divisor: u64): u64 {
  if (high == 0) { remainder128 = low % divisor; return low / divisor; }
  const shift = clz<u64>(divisor);
  const v = divisor << shift;
  const v1 = v >> 32, v0 = v & 0xffff_ffff;
  const u32s = shift == 0 ? high : (high << shift) | (low >> (64 - shift));
  const u10 = low << shift;
  const u1 = u10 >> 32, u0 = u10 & 0xffff_ffff;
  let q1 = u32s / v1, r = u32s - q1 * v1;
  while (q1 >= 0x1_0000_0000 || q1 * v0 > ((r << 32) | u1)) { q1--; r += v1; if (r >= 0x1_0000_0000) break; }
  const u21 = (u32s << 32) + u1 - q1 * v;
  let q0 = u21 / v1;
  r = u21 - q0 * v1;
  while (q0 >= 0x1_0000_0000 || q0 * v0 > ((r << 32) | u0)) { q0--; r += v1; if (r >= 0x1_0000_0000) break; }
  remainder128 = ((u21 << 32) + u0 - q0 * v) >> shift;
  return (q1 << 32) + q0;
}

export function div64(op: u32): i32 {
  const p = source<u64>(op);
  if (p == 0) return bail;
  const d = load<u64>(p), high = gpr(2);
  if (high >= d) return raise(VECTOR_DE);
  const q = divide128(high, gpr(0), d);
  setGpr(0, q);
  setGpr(2, remainder128);
  return 0;
}
export function idiv8(op: u32): i32 {
  const p = source<u8>(op);
  if (p == 0) return bail;
  const d = i32(load<i8>(p)), n = i32(load<i16>(gprAddress(0)));
  if (d == 0) return raise(VECTOR_DE);
  const q = n / d;
  if (q != i32(<i8>q)) return raise(VECTOR_DE);
  store<u16>(gprAddress(0), u16((q & 0xff) | (((n % d) & 0xff) << 8)));
  return 0;
}
export function idiv16(op: u32): i32 {
  const p = source<u16>(op);
  if (p == 0) return bail;
  const d = i64(load<i16>(p)), n = i64(i32(u32(load<u16>(gprAddress(0))) | (u32(load<u16>(gprAddress(2))) << 16)));
  if (d == 0) return raise(VECTOR_DE);
  const q = n / d;
  if (q != i64(<i16>q)) return raise(VECTOR_DE);
  store<u16>(gprAddress(0), u16(q));
  store<u16>(gprAddress(2), u16(n % d));
  return 0;
}
export function idiv32(op: u32): i32 {
  const p = source<u32>(op);
  if (p == 0) return bail;
  const d = i64(load<i32>(p)), n = i64(u64(load<u32>(gprAddress(0))) | (u64(load<u32>(gprAddress(2))) << 32));
  if (d == 0 || (d == -1 && n == i64.MIN_VALUE)) return raise(VECTOR_DE);
  const q = n / d;
  if (q != i64(<i32>q)) return raise(VECTOR_DE);
  setGpr(0, u64(<u32>q));
  setGpr(2, u64(<u32>(n % d)));
  return 0;
}
export function idiv64(op: u32): i32 {
  const p = source<u64>(op);
  if (p == 0) return bail;
  const d = load<i64>(p);
  let high = gpr(2), low = gpr(0);
  const negative = i64(high) < 0;
  if (negative) { low = 0 - low; high = ~high + (low == 0 ? 1 : 0); }
  const divisor = d < 0 ? u64(0) - u64(d) : u64(d);
  if (high >= divisor) return raise(VECTOR_DE);
  const q = divide128(high, low, divisor);
  const r = remainder128;
  const negate = negative != (d < 0);
  if (negate ? q > SIGN_BIT : q >= SIGN_BIT) return raise(VECTOR_DE);
  setGpr(0, negate ? 0 - q : q);
  setGpr(2, negative ? 0 - r : r);
  return 0;
}

// ---------------------------------------------------------------------------------------------------- rotates, double shifts

// @ts-ignore: decorator
@inline function shiftCount<T>(op: u32): u32 { return u32(load<u8>(regAddress(op))) & (sizeof<T>() == 8 ? 63 : 31); }

// @ts-ignore: decorator
@inline function rotateLeft<T>(op: u32): i32 {
  const bits = u32(sizeof<T>() * 8);
  const count = shiftCount<T>(op);
  const p = target<T>(op);
  if (p == 0) return bail;
  const a = load<T>(p);
  if (count == 0) { setTarget<T>(op, p, a); return 0; }
  const n = count & (bits - 1);
  const r: T = n == 0 ? a : <T>((a << <T>n) | (a >> <T>(bits - n)));
  setTarget<T>(op, p, r);
  const s = finish(op, p);
  if (s != 0) return s;
  const carry = u64(r) & 1;
  setCarryOverflow(carry, ((u64(r) >> (bits - 1)) & 1) ^ carry);
  return 0;
}
// @ts-ignore: decorator
@inline function rotateRight<T>(op: u32): i32 {
  const bits = u32(sizeof<T>() * 8);
  const count = shiftCount<T>(op);
  const p = target<T>(op);
  if (p == 0) return bail;
  const a = load<T>(p);
  if (count == 0) { setTarget<T>(op, p, a); return 0; }
  const n = count & (bits - 1);
  const r: T = n == 0 ? a : <T>((a >> <T>n) | (a << <T>(bits - n)));
  setTarget<T>(op, p, r);
  const s = finish(op, p);
  if (s != 0) return s;
  const top = u64(r) >> (bits - 1);
  setCarryOverflow(top & 1, (top ^ (u64(r) >> (bits - 2))) & 1);
  return 0;
}
// @ts-ignore: decorator
@inline function rotateCarryLeft<T>(op: u32): i32 {
  const bits = u32(sizeof<T>() * 8);
  const count = shiftCount<T>(op);
  const p = target<T>(op);
  if (p == 0) return bail;
  let n = count % (bits + 1);
  let a = load<T>(p);
  if (count == 0) { setTarget<T>(op, p, a); return 0; }
  let carry = carryFlag(cpu);
  for (; n > 0; n--) {
    const out = (u64(a) >> (bits - 1)) & 1;
    a = <T>((a << 1) | <T>carry);
    carry = out;
  }
  setTarget<T>(op, p, a);
  const s = finish(op, p);
  if (s != 0) return s;
  setCarryOverflow(carry, ((u64(a) >> (bits - 1)) & 1) ^ carry);
  return 0;
}
// @ts-ignore: decorator
@inline function rotateCarryRight<T>(op: u32): i32 {
  const bits = u32(sizeof<T>() * 8);
  const count = shiftCount<T>(op);
  const p = target<T>(op);
  if (p == 0) return bail;
  let n = count % (bits + 1);
  let a = load<T>(p);
  if (count == 0) { setTarget<T>(op, p, a); return 0; }
  let carry = carryFlag(cpu);
  for (; n > 0; n--) {
    const out = u64(a) & 1;
    a = <T>((a >> 1) | (<T>carry << <T>(bits - 1)));
    carry = out;
  }
  setTarget<T>(op, p, a);
  const s = finish(op, p);
  if (s != 0) return s;
  setCarryOverflow(carry, ((u64(a) >> (bits - 1)) ^ (u64(a) >> (bits - 2))) & 1);
  return 0;
}
export function rol8(op: u32): i32 { return rotateLeft<u8>(op); }
export function rol16(op: u32): i32 { return rotateLeft<u16>(op); }
export function rol32(op: u32): i32 { return rotateLeft<u32>(op); }
export function rol64(op: u32): i32 { return rotateLeft<u64>(op); }
export function ror8(op: u32): i32 { return rotateRight<u8>(op); }
export function ror16(op: u32): i32 { return rotateRight<u16>(op); }
export function ror32(op: u32): i32 { return rotateRight<u32>(op); }
export function ror64(op: u32): i32 { return rotateRight<u64>(op); }
export function rcl8(op: u32): i32 { return rotateCarryLeft<u8>(op); }
export function rcl16(op: u32): i32 { return rotateCarryLeft<u16>(op); }
export function rcl32(op: u32): i32 { return rotateCarryLeft<u32>(op); }
export function rcl64(op: u32): i32 { return rotateCarryLeft<u64>(op); }
export function rcr8(op: u32): i32 { return rotateCarryRight<u8>(op); }
export function rcr16(op: u32): i32 { return rotateCarryRight<u16>(op); }
export function rcr32(op: u32): i32 { return rotateCarryRight<u32>(op); }
export function rcr64(op: u32): i32 { return rotateCarryRight<u64>(op); }

// @ts-ignore: decorator
@inline function doubleShift<T>(op: u32, rawCount: u32, left: bool): i32 {
  const bits = u32(sizeof<T>() * 8);
  const n = rawCount & (sizeof<T>() == 8 ? 63 : 31);
  const p = target<T>(op);
  if (p == 0) return bail;
  const a = load<T>(p);
  if (n == 0) { setTarget<T>(op, p, a); return 0; }
  const b = load<T>(regAddress(op));
  let r: T;
  let carry: u64;
  if (sizeof<T>() == 2) {
    // Counts above 16 are undefined; the pair is taken as (a:b:a), as processors do.
    const wide: u64 = left ? (u64(a) << 32) | (u64(b) << 16) | u64(a) : (u64(a) << 32) | (u64(b) << 16) | u64(a);
    r = left ? <T>(wide << n >> 32) : <T>(wide >> n);
    carry = left ? (wide >> (48 - n)) & 1 : (wide >> (n - 1)) & 1;
  } else {
    r = left ? <T>((a << <T>n) | (b >> <T>(bits - n))) : <T>((a >> <T>n) | (b << <T>(bits - n)));
    carry = left ? (u64(a) >> (bits - n)) & 1 : (u64(a) >> (n - 1)) & 1;
  }
  setTarget<T>(op, p, r);
  const s = finish(op, p);
  if (s != 0) return s;
  const overflow = ((u64(r) ^ u64(a)) >> (bits - 1)) & 1;
  setResultFlags(sizeof<T>() == 8 ? u64(r) : sizeof<T>() == 4 ? u64(i64(<i32>r)) : u64(i64(<i16>r)), carry != 0, overflow != 0);
  return 0;
}
export function shld16(op: u32): i32 { return doubleShift<u16>(op, u32(immediate(op)), true); }
export function shld32(op: u32): i32 { return doubleShift<u32>(op, u32(immediate(op)), true); }
export function shld64(op: u32): i32 { return doubleShift<u64>(op, u32(immediate(op)), true); }
export function shrd16(op: u32): i32 { return doubleShift<u16>(op, u32(immediate(op)), false); }
export function shrd32(op: u32): i32 { return doubleShift<u32>(op, u32(immediate(op)), false); }
export function shrd64(op: u32): i32 { return doubleShift<u64>(op, u32(immediate(op)), false); }
export function shldCl16(op: u32): i32 { return doubleShift<u16>(op, u32(gpr(1)), true); }
export function shldCl32(op: u32): i32 { return doubleShift<u32>(op, u32(gpr(1)), true); }
export function shldCl64(op: u32): i32 { return doubleShift<u64>(op, u32(gpr(1)), true); }
export function shrdCl16(op: u32): i32 { return doubleShift<u16>(op, u32(gpr(1)), false); }
export function shrdCl32(op: u32): i32 { return doubleShift<u32>(op, u32(gpr(1)), false); }
export function shrdCl64(op: u32): i32 { return doubleShift<u64>(op, u32(gpr(1)), false); }

// ---------------------------------------------------------------------------------------------------- bits

// @ts-ignore: decorator
@inline function bsfOf<T>(op: u32): i32 {
  const p = source<T>(op);
  if (p == 0) return bail;
  const a = load<T>(p);
  setResultFlags(a == 0 ? 0 : 1, false, false);
  if (a != 0) setRegister<T>(regAddress(op), <T>ctz<u64>(u64(a)));
  return 0;
}
// @ts-ignore: decorator
@inline function bsrOf<T>(op: u32): i32 {
  const p = source<T>(op);
  if (p == 0) return bail;
  const a = load<T>(p);
  setResultFlags(a == 0 ? 0 : 1, false, false);
  if (a != 0) setRegister<T>(regAddress(op), <T>(63 - clz<u64>(u64(a))));
  return 0;
}
// @ts-ignore: decorator
@inline function popcntOf<T>(op: u32): i32 {
  const p = source<T>(op);
  if (p == 0) return bail;
  const r = <T>popcnt<u64>(u64(load<T>(p)));
  setRegister<T>(regAddress(op), r);
  setArithmeticFlags(r == 0 ? FLAG_ZF : 0);
  return 0;
}
export function bsf16(op: u32): i32 { return bsfOf<u16>(op); }
export function bsf32(op: u32): i32 { return bsfOf<u32>(op); }
export function bsf64(op: u32): i32 { return bsfOf<u64>(op); }
export function bsr16(op: u32): i32 { return bsrOf<u16>(op); }
export function bsr32(op: u32): i32 { return bsrOf<u32>(op); }
export function bsr64(op: u32): i32 { return bsrOf<u64>(op); }
export function popcnt16(op: u32): i32 { return popcntOf<u16>(op); }
export function popcnt32(op: u32): i32 { return popcntOf<u32>(op); }
export function popcnt64(op: u32): i32 { return popcntOf<u64>(op); }

/** BSWAP of 16 bits is undefined; processors clear the register's low half. */
export function bswap16(op: u32): i32 { store<u16>(rmAddress(op), 0); return 0; }
export function bswap32(op: u32): i32 { store<u64>(rmAddress(op), u64(bswap<u32>(load<u32>(rmAddress(op))))); return 0; }
export function bswap64(op: u32): i32 { store<u64>(rmAddress(op), bswap<u64>(load<u64>(rmAddress(op)))); return 0; }

export function movbeLoad16(op: u32): i32 {
  const p = readPointer(effectiveAddress(op), 2);
  if (p == 0) return bail;
  store<u16>(regAddress(op), bswap<u16>(load<u16>(p)));
  return 0;
}
export function movbeLoad32(op: u32): i32 {
  const p = readPointer(effectiveAddress(op), 4);
  if (p == 0) return bail;
  store<u64>(regAddress(op), u64(bswap<u32>(load<u32>(p))));
  return 0;
}
export function movbeLoad64(op: u32): i32 {
  const p = readPointer(effectiveAddress(op), 8);
  if (p == 0) return bail;
  store<u64>(regAddress(op), bswap<u64>(load<u64>(p)));
  return 0;
}
export function movbeStore16(op: u32): i32 { return write16(effectiveAddress(op), u64(bswap<u16>(load<u16>(regAddress(op))))); }
export function movbeStore32(op: u32): i32 { return write32(effectiveAddress(op), u64(bswap<u32>(load<u32>(regAddress(op))))); }
export function movbeStore64(op: u32): i32 { return write64(effectiveAddress(op), bswap<u64>(load<u64>(regAddress(op)))); }

// ---------------------------------------------------------------------------------------------------- conversions, control

export function convertAccumulator16(op: u32): i32 { store<i16>(gprAddress(0), i16(load<i8>(gprAddress(0)))); return 0; }
export function convertAccumulator32(op: u32): i32 { setGpr(0, u64(<u32>i32(load<i16>(gprAddress(0))))); return 0; }
export function convertAccumulator64(op: u32): i32 { setGpr(0, u64(i64(load<i32>(gprAddress(0))))); return 0; }
export function convertPair16(op: u32): i32 { store<i16>(gprAddress(2), load<i16>(gprAddress(0)) >> 15); return 0; }
export function convertPair32(op: u32): i32 { setGpr(2, u64(<u32>(load<i32>(gprAddress(0)) >> 31))); return 0; }
export function convertPair64(op: u32): i32 { setGpr(2, u64(i64(gpr(0)) >> 63)); return 0; }

/** RET imm16 in 64-bit mode. */
export function retImmediate64(op: u32): i32 {
  const stack = gpr(4);
  const p = readPointer(stack, 8);
  if (p == 0) return bail;
  const to = load<u64>(p);
  if (!isCanonical(to)) return raiseError(VECTOR_GP, 0);
  setGpr(4, stack + 8 + u64(immediate(op)));
  store<u64>(cpu + L.VCPU_rip, to);
  return BAIL_JUMP;
}

/** MFENCE: a sequentially consistent read-modify-write orders all accesses of this thread around it. */
export function memoryFence(op: u32): i32 {
  atomic.add<u32>(cpu + L.VCPU_temporaryValue, 0);
  return 0;
}

/** CLFLUSH: nothing is cached apart; only the address is checked, as a read. */
export function clflush(op: u32): i32 { return readPointer(effectiveAddress(op), 1) == 0 ? bail : 0; }
