/**
 * Instructions with a LOCK prefix or an implied one, and those of the same family without (XCHG, XADD, CMPXCHG, BTx).
 *
 * An aligned operand is changed by the host's own atomic compare-exchange, so other vCPUs and the host's back ends see it whole. For
 * one that is misaligned or over a page end all other vCPUs are stopped (split-lock.ts), so they see it whole as well. CMPXCHG16B is two
 * compare-exchanges of the host, see there. Intel SDM vol 3 §9.1 (locked atomic operations).
 */
import * as L from "./generated/layout";
import { OP_BITS, OP_BITS_SIZE_MASK } from "./op";
import { carryFlag, FLAG_ZF, arithmeticFlags, setArithmeticFlags, setCarryFlag } from "./flags";
import { bail, cpu, effectiveAddress, gpr, gprAddress, immediate, raiseError, regAddress, rmAddress, setGpr, VECTOR_GP } from "./state";
import { isMemory, setRegister } from "./integer";
import { atomicCommit, atomicPointer, modifyCommit, modifyPointer, readPointer } from "./memory";
import { freeSplitLock, stopOthers, takeSplitLock } from "./split-lock";

const ADD: u32 = 0, OR: u32 = 1, ADC: u32 = 2, SBB: u32 = 3, AND: u32 = 4, SUB: u32 = 5, XOR: u32 = 6, NOT: u32 = 8, NEG: u32 = 9, INC: u32 = 10, DEC: u32 = 11;

let splitLockHeld: bool = false;

/** As modifyPointer; with all other vCPUs stopped where the host has no atomic for the operand. */
function begin(va: u64, size: u32): u32 {
  if ((va & u64(size - 1)) == 0) return atomicPointer(va, size);
  // What it finds may be gone again when the others stand; but a fault, and a page that the host has to give first, is found without them.
  if (modifyPointer(va, size) == 0) return 0;
  takeSplitLock();
  stopOthers();
  splitLockHeld = true;
  const pointer = modifyPointer(va, size);
  if (pointer == 0) release();
  return pointer;
}

function release(): void {
  splitLockHeld = false;
  freeSplitLock();
}

function end(pointer: u32): i32 {
  if (!splitLockHeld) return atomicCommit(pointer);
  const result = modifyCommit(pointer);
  release();
  return result;
}

/** Compare-exchange at `pointer`; plain where the split lock protects it. Returns the old value. */
// @ts-ignore: decorator
@inline function exchangeIf<T>(pointer: u32, expected: T, value: T): T {
  if (splitLockHeld) {
    const old = load<T>(pointer);
    if (old == expected) store<T>(pointer, value);
    return old;
  }
  return atomic.cmpxchg<T>(pointer, expected, value);
}

// @ts-ignore: decorator
@inline function extend<T>(value: T): u64 {
  return sizeof<T>() == 8 ? u64(value) : sizeof<T>() == 4 ? u64(i64(<i32>value)) : sizeof<T>() == 2 ? u64(i64(<i16>value)) : u64(i64(<i8>value));
}

// @ts-ignore: decorator
@inline function spread<T>(vector: T): u64 {
  const bits = sizeof<T>() * 8;
  return bits == 64 ? u64(vector) : (u64(vector) << (64 - bits)) | (u64(vector) & 8);
}

// @ts-ignore: decorator
@inline function setFlags<T>(result: T, vector: T): void {
  store<u64>(cpu + L.VCPU_flagResult, extend<T>(result));
  store<u64>(cpu + L.VCPU_flagAux, spread<T>(vector));
  store<u64>(cpu + L.VCPU_flagExtra, 0);
}

// @ts-ignore: decorator
@inline function compute<T>(kind: u32, a: T, b: T, carry: T): T {
  switch (kind) {
    case ADD: case ADC: return <T>(a + b + carry);
    case SUB: case SBB: return <T>(a - b - carry);
    case OR: return <T>(a | b);
    case AND: return <T>(a & b);
    case XOR: return <T>(a ^ b);
    case NOT: return <T>~a;
    case NEG: return <T>(0 - a);
    case INC: return <T>(a + 1);
    default: return <T>(a - 1);
  }
}

// @ts-ignore: decorator
@inline function finishFlags<T>(kind: u32, a: T, b: T, r: T): void {
  switch (kind) {
    case ADD: case ADC: setFlags<T>(r, <T>((a & b) | ((a | b) & ~r))); break;
    case SUB: case SBB: setFlags<T>(r, <T>((~a & b) | ((~a | b) & r))); break;
    case OR: case AND: case XOR: setFlags<T>(r, <T>0); break;
    case NEG: setFlags<T>(r, <T>(a | r)); break;
    case INC: { const kept = carryFlag(cpu); setFlags<T>(r, <T>(a & ~r)); setCarryFlag(kept); break; }
    case DEC: { const kept = carryFlag(cpu); setFlags<T>(r, <T>(~a & r)); setCarryFlag(kept); break; }
    default: break;
  }
}

function lockedOf<T>(op: u32, kind: u32): i32 {
  const p = begin(effectiveAddress(op), u32(sizeof<T>()));
  if (p == 0) return bail;
  const b: T = kind < NOT ? load<T>(regAddress(op)) : <T>0;
  const carry: T = kind == ADC || kind == SBB ? <T>carryFlag(cpu) : <T>0;
  let a: T;
  let r: T;
  while (true) {
    a = load<T>(p);
    r = compute<T>(kind, a, b, carry);
    if (exchangeIf<T>(p, a, r) == a) break;
  }
  const result = end(p);
  if (result != 0) return result;
  finishFlags<T>(kind, a, b, r);
  return 0;
}

function locked(op: u32, kind: u32): i32 {
  switch (u32(load<u8>(op + OP_BITS)) & OP_BITS_SIZE_MASK) {
    case 0: return lockedOf<u8>(op, kind);
    case 1: return lockedOf<u16>(op, kind);
    case 2: return lockedOf<u32>(op, kind);
    default: return lockedOf<u64>(op, kind);
  }
}
export function lockedAdd(op: u32): i32 { return locked(op, ADD); }
export function lockedOr(op: u32): i32 { return locked(op, OR); }
export function lockedAdc(op: u32): i32 { return locked(op, ADC); }
export function lockedSbb(op: u32): i32 { return locked(op, SBB); }
export function lockedAnd(op: u32): i32 { return locked(op, AND); }
export function lockedSub(op: u32): i32 { return locked(op, SUB); }
export function lockedXor(op: u32): i32 { return locked(op, XOR); }
export function lockedNot(op: u32): i32 { return locked(op, NOT); }
export function lockedNeg(op: u32): i32 { return locked(op, NEG); }
export function lockedInc(op: u32): i32 { return locked(op, INC); }
export function lockedDec(op: u32): i32 { return locked(op, DEC); }

// ---------------------------------------------------------------------------------------------------- exchanges

function xchgOf<T>(op: u32): i32 {
  const register = regAddress(op);
  const value = load<T>(register);
  if (!isMemory(op)) {
    const other = load<T>(rmAddress(op));
    setRegister<T>(rmAddress(op), value);
    setRegister<T>(register, other);
    return 0;
  }
  const p = begin(effectiveAddress(op), u32(sizeof<T>()));
  if (p == 0) return bail;
  let old: T;
  do { old = load<T>(p); } while (exchangeIf<T>(p, old, value) != old);
  const result = end(p);
  if (result != 0) return result;
  setRegister<T>(register, old);
  return 0;
}
export function xchg8(op: u32): i32 { return xchgOf<u8>(op); }
export function xchg16(op: u32): i32 { return xchgOf<u16>(op); }
export function xchg32(op: u32): i32 { return xchgOf<u32>(op); }
export function xchg64(op: u32): i32 { return xchgOf<u64>(op); }
export function xchgAccumulator16(op: u32): i32 { return xchgOf<u16>(op); }
export function xchgAccumulator32(op: u32): i32 { return xchgOf<u32>(op); }
export function xchgAccumulator64(op: u32): i32 { return xchgOf<u64>(op); }

function xaddOf<T>(op: u32): i32 {
  const register = regAddress(op);
  const b = load<T>(register);
  if (!isMemory(op)) {
    const a = load<T>(rmAddress(op));
    setRegister<T>(register, a);
    setRegister<T>(rmAddress(op), <T>(a + b));
    finishFlags<T>(ADD, a, b, <T>(a + b));
    return 0;
  }
  const p = begin(effectiveAddress(op), u32(sizeof<T>()));
  if (p == 0) return bail;
  let a: T;
  do { a = load<T>(p); } while (exchangeIf<T>(p, a, <T>(a + b)) != a);
  const result = end(p);
  if (result != 0) return result;
  setRegister<T>(register, a);
  finishFlags<T>(ADD, a, b, <T>(a + b));
  return 0;
}
export function xadd8(op: u32): i32 { return xaddOf<u8>(op); }
export function xadd16(op: u32): i32 { return xaddOf<u16>(op); }
export function xadd32(op: u32): i32 { return xaddOf<u32>(op); }
export function xadd64(op: u32): i32 { return xaddOf<u64>(op); }

function cmpxchgOf<T>(op: u32): i32 {
  const accumulator = gprAddress(0);
  const expected = load<T>(accumulator);
  const value = load<T>(regAddress(op));
  let old: T;
  if (!isMemory(op)) {
    old = load<T>(rmAddress(op));
    if (old == expected) setRegister<T>(rmAddress(op), value);
  } else {
    const p = begin(effectiveAddress(op), u32(sizeof<T>()));
    if (p == 0) return bail;
    old = exchangeIf<T>(p, expected, value);
    const result = end(p);
    if (result != 0) return result;
  }
  const r = <T>(expected - old);
  setFlags<T>(r, <T>((~expected & old) | ((~expected | old) & r)));
  if (old != expected) setRegister<T>(accumulator, old);
  return 0;
}
export function cmpxchg8(op: u32): i32 { return cmpxchgOf<u8>(op); }
export function cmpxchg16(op: u32): i32 { return cmpxchgOf<u16>(op); }
export function cmpxchg32(op: u32): i32 { return cmpxchgOf<u32>(op); }
export function cmpxchg64(op: u32): i32 { return cmpxchgOf<u64>(op); }

export function cmpxchg8b(op: u32): i32 {
  const p = begin(effectiveAddress(op), 8);
  if (p == 0) return bail;
  const expected = (gpr(0) & 0xffff_ffff) | (gpr(2) << 32);
  const old = exchangeIf<u64>(p, expected, (gpr(3) & 0xffff_ffff) | (gpr(1) << 32));
  const result = end(p);
  if (result != 0) return result;
  finishPair(old == expected, old & 0xffff_ffff, old >> 32);
  return 0;
}

/**
 * CMPXCHG16B: the host has no 128-bit exchange, and stopping all others for it would cost too much where a kernel's allocator lives by it. So it is
 * whole towards others of its kind and split accesses, by the lock. To who changes one half only nothing is lost, for each half is
 * exchanged by an atomic of its own; but for a moment he may see the lower half new and the upper one old.
 */
export function cmpxchg16b(op: u32): i32 {
  const va = effectiveAddress(op);
  if ((va & 15) != 0) return raiseError(VECTOR_GP, 0);
  takeSplitLock();
  const p = atomicPointer(va, 16);
  if (p == 0) { freeSplitLock(); return bail; }
  let low: u64, high: u64;
  let equal: bool;
  do {
    low = atomic.load<u64>(p);
    high = atomic.load<u64>(p + 8);
    equal = low == gpr(0) && high == gpr(2);
  } while (equal && !exchangePair(p, low, high));
  const result = atomicCommit(p);
  freeSplitLock();
  if (result != 0) return result;
  finishPair(equal, low, high);
  return 0;
}

/** Stores RCX:RBX where `high`:`low` is; false = one half has changed meanwhile, and nothing was stored. */
function exchangePair(p: u32, low: u64, high: u64): bool {
  if (atomic.cmpxchg<u64>(p, low, gpr(3)) != low) return false;
  if (atomic.cmpxchg<u64>(p + 8, high, gpr(1)) == high) return true;
  atomic.cmpxchg<u64>(p, gpr(3), low);
  return false;
}

function finishPair(equal: bool, low: u64, high: u64): void {
  const flags = arithmeticFlags();
  setArithmeticFlags(equal ? flags | FLAG_ZF : flags & ~FLAG_ZF);
  if (equal) return;
  setGpr(0, low);
  setGpr(2, high);
}

// ---------------------------------------------------------------------------------------------------- bit tests

const BIT_TEST: u32 = 0, BIT_SET: u32 = 1, BIT_RESET: u32 = 2, BIT_COMPLEMENT: u32 = 3;

// @ts-ignore: decorator
@inline function changeBit<T>(value: T, bit: T, kind: u32): T {
  const mask = <T>(<T>1 << bit);
  return kind == BIT_SET ? <T>(value | mask) : kind == BIT_RESET ? <T>(value & ~mask) : <T>(value ^ mask);
}

/** BT, BTS, BTR, BTC. A register bit offset reaches outside the operand in memory (SDM vol 1 §3.1.1.9). */
function bitOf<T>(op: u32, kind: u32, fromRegister: bool): i32 {
  const bits = u32(sizeof<T>() * 8);
  const offset: i64 = !fromRegister ? immediate(op)
    : sizeof<T>() == 8 ? load<i64>(regAddress(op)) : sizeof<T>() == 4 ? i64(load<i32>(regAddress(op))) : i64(load<i16>(regAddress(op)));
  const bit = <T>(offset & i64(bits - 1));
  let old: T;
  if (!isMemory(op)) {
    old = load<T>(rmAddress(op));
    if (kind != BIT_TEST) setRegister<T>(rmAddress(op), changeBit<T>(old, bit, kind));
  } else {
    let va = effectiveAddress(op);
    if (fromRegister) va += u64((offset >> (sizeof<T>() == 8 ? 6 : sizeof<T>() == 4 ? 5 : 4)) * i64(sizeof<T>()));
    if (load<u32>(cpu + L.VCPU_mode) != L.MODE_64) va &= 0xffff_ffff;
    if (kind == BIT_TEST) {
      const p = readPointer(va, u32(sizeof<T>()));
      if (p == 0) return bail;
      old = load<T>(p);
    } else {
      const p = begin(va, u32(sizeof<T>()));
      if (p == 0) return bail;
      do { old = load<T>(p); } while (exchangeIf<T>(p, old, changeBit<T>(old, bit, kind)) != old);
      const result = end(p);
      if (result != 0) return result;
    }
  }
  setCarryFlag(u64(old >> bit) & 1);
  return 0;
}
export function bt16(op: u32): i32 { return bitOf<u16>(op, BIT_TEST, true); }
export function bt32(op: u32): i32 { return bitOf<u32>(op, BIT_TEST, true); }
export function bt64(op: u32): i32 { return bitOf<u64>(op, BIT_TEST, true); }
export function btImmediate16(op: u32): i32 { return bitOf<u16>(op, BIT_TEST, false); }
export function btImmediate32(op: u32): i32 { return bitOf<u32>(op, BIT_TEST, false); }
export function btImmediate64(op: u32): i32 { return bitOf<u64>(op, BIT_TEST, false); }
export function bts16(op: u32): i32 { return bitOf<u16>(op, BIT_SET, true); }
export function bts32(op: u32): i32 { return bitOf<u32>(op, BIT_SET, true); }
export function bts64(op: u32): i32 { return bitOf<u64>(op, BIT_SET, true); }
export function btsImmediate16(op: u32): i32 { return bitOf<u16>(op, BIT_SET, false); }
export function btsImmediate32(op: u32): i32 { return bitOf<u32>(op, BIT_SET, false); }
export function btsImmediate64(op: u32): i32 { return bitOf<u64>(op, BIT_SET, false); }
export function btr16(op: u32): i32 { return bitOf<u16>(op, BIT_RESET, true); }
export function btr32(op: u32): i32 { return bitOf<u32>(op, BIT_RESET, true); }
export function btr64(op: u32): i32 { return bitOf<u64>(op, BIT_RESET, true); }
export function btrImmediate16(op: u32): i32 { return bitOf<u16>(op, BIT_RESET, false); }
export function btrImmediate32(op: u32): i32 { return bitOf<u32>(op, BIT_RESET, false); }
export function btrImmediate64(op: u32): i32 { return bitOf<u64>(op, BIT_RESET, false); }
export function btc16(op: u32): i32 { return bitOf<u16>(op, BIT_COMPLEMENT, true); }
export function btc32(op: u32): i32 { return bitOf<u32>(op, BIT_COMPLEMENT, true); }
export function btc64(op: u32): i32 { return bitOf<u64>(op, BIT_COMPLEMENT, true); }
export function btcImmediate16(op: u32): i32 { return bitOf<u16>(op, BIT_COMPLEMENT, false); }
export function btcImmediate32(op: u32): i32 { return bitOf<u32>(op, BIT_COMPLEMENT, false); }
export function btcImmediate64(op: u32): i32 { return bitOf<u64>(op, BIT_COMPLEMENT, false); }
