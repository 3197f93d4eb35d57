/** MIN, MAX, CMP, COMI and UCOMI of packed and scalar floats. */
import { FLAG_CF, FLAG_PF, FLAG_ZF, setArithmeticFlags } from "./flags";
import { source128, sourceUnaligned, writeXmm } from "./sse-access";
import {
  beginFloat, finishFloat, finishPacked, finishScalar, fourFloats, isOrdinary32, isOrdinary64, ordinary32, ordinary64, twoDoubles,
} from "./sse-float";
import { f32Compare, f32FlushOperand, f64Compare, f64FlushOperand } from "./softfloat";
import { bail, immediate, regAddress } from "./state";

/** ZF, PF and CF for an order of -1, 0, 1 or 2 (unordered). */
function orderFlags(order: i32): u64 {
  if (order == 2) return FLAG_ZF | FLAG_PF | FLAG_CF;
  if (order == 0) return FLAG_ZF;
  return order < 0 ? FLAG_CF : 0;
}

/** The lesser of `a` and `b` as MINSS has it: `b` when either is a NaN or both are zeros. */
function lesser32(a: u32, b: u32): u32 { return f32FlushOperand(f32Compare(a, b, true) == -1 ? a : b); }
/** The greater of `a` and `b` as MAXSS has it: `b` when either is a NaN or both are zeros. */
function greater32(a: u32, b: u32): u32 { return f32FlushOperand(f32Compare(a, b, true) == 1 ? a : b); }

/** The lesser of `a` and `b` as MINSD has it: `b` when either is a NaN or both are zeros. */
function lesser64(a: u64, b: u64): u64 { return f64FlushOperand(f64Compare(a, b, true) == -1 ? a : b); }
/** The greater of `a` and `b` as MAXSD has it: `b` when either is a NaN or both are zeros. */
function greater64(a: u64, b: u64): u64 { return f64FlushOperand(f64Compare(a, b, true) == 1 ? a : b); }

/** MINPS xmm, xmm/m128. */
export function sseMinps(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  const target = regAddress(op);
  const x = v128.load(target), y = v128.load(source);
  if (i32x4.all_true(v128.and(ordinary32(x), ordinary32(y)))) { v128.store(target, f32x4.pmin(y, x)); return 0; }
  beginFloat();
  const low0 = lesser32(load<u32>(target), load<u32>(source)), low1 = lesser32(load<u32>(target, 4), load<u32>(source, 4));
  const high0 = lesser32(load<u32>(target, 8), load<u32>(source, 8)), high1 = lesser32(load<u32>(target, 12), load<u32>(source, 12));
  return finishPacked(target, fourFloats(low0, low1, high0, high1));
}

/** MINSS xmm, xmm/m32. */
export function sseMinss(op: u32): i32 {
  const source = sourceUnaligned(op, 4);
  if (source == 0) return bail;
  const target = regAddress(op);
  if (isOrdinary32(load<u32>(target)) && isOrdinary32(load<u32>(source))) {
    const x = load<f32>(target), y = load<f32>(source);
    store<f32>(target, x < y ? x : y);
    return 0;
  }
  beginFloat();
  return finishScalar<u32>(target, lesser32(load<u32>(target), load<u32>(source)));
}

/** MINPD xmm, xmm/m128. */
export function sseMinpd(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  const target = regAddress(op);
  const x = v128.load(target), y = v128.load(source);
  if (i64x2.all_true(v128.and(ordinary64(x), ordinary64(y)))) { v128.store(target, f64x2.pmin(y, x)); return 0; }
  beginFloat();
  const low = lesser64(load<u64>(target), load<u64>(source)), high = lesser64(load<u64>(target, 8), load<u64>(source, 8));
  return finishPacked(target, twoDoubles(low, high));
}

/** MINSD xmm, xmm/m64. */
export function sseMinsd(op: u32): i32 {
  const source = sourceUnaligned(op, 8);
  if (source == 0) return bail;
  const target = regAddress(op);
  if (isOrdinary64(load<u64>(target)) && isOrdinary64(load<u64>(source))) {
    const x = load<f64>(target), y = load<f64>(source);
    store<f64>(target, x < y ? x : y);
    return 0;
  }
  beginFloat();
  return finishScalar<u64>(target, lesser64(load<u64>(target), load<u64>(source)));
}

/** MAXPS xmm, xmm/m128. */
export function sseMaxps(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  const target = regAddress(op);
  const x = v128.load(target), y = v128.load(source);
  if (i32x4.all_true(v128.and(ordinary32(x), ordinary32(y)))) { v128.store(target, f32x4.pmax(y, x)); return 0; }
  beginFloat();
  const low0 = greater32(load<u32>(target), load<u32>(source)), low1 = greater32(load<u32>(target, 4), load<u32>(source, 4));
  const high0 = greater32(load<u32>(target, 8), load<u32>(source, 8)), high1 = greater32(load<u32>(target, 12), load<u32>(source, 12));
  return finishPacked(target, fourFloats(low0, low1, high0, high1));
}

/** MAXSS xmm, xmm/m32. */
export function sseMaxss(op: u32): i32 {
  const source = sourceUnaligned(op, 4);
  if (source == 0) return bail;
  const target = regAddress(op);
  if (isOrdinary32(load<u32>(target)) && isOrdinary32(load<u32>(source))) {
    const x = load<f32>(target), y = load<f32>(source);
    store<f32>(target, x > y ? x : y);
    return 0;
  }
  beginFloat();
  return finishScalar<u32>(target, greater32(load<u32>(target), load<u32>(source)));
}

/** MAXPD xmm, xmm/m128. */
export function sseMaxpd(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  const target = regAddress(op);
  const x = v128.load(target), y = v128.load(source);
  if (i64x2.all_true(v128.and(ordinary64(x), ordinary64(y)))) { v128.store(target, f64x2.pmax(y, x)); return 0; }
  beginFloat();
  const low = greater64(load<u64>(target), load<u64>(source)), high = greater64(load<u64>(target, 8), load<u64>(source, 8));
  return finishPacked(target, twoDoubles(low, high));
}

/** MAXSD xmm, xmm/m64. */
export function sseMaxsd(op: u32): i32 {
  const source = sourceUnaligned(op, 8);
  if (source == 0) return bail;
  const target = regAddress(op);
  if (isOrdinary64(load<u64>(target)) && isOrdinary64(load<u64>(source))) {
    const x = load<f64>(target), y = load<f64>(source);
    store<f64>(target, x > y ? x : y);
    return 0;
  }
  beginFloat();
  return finishScalar<u64>(target, greater64(load<u64>(target), load<u64>(source)));
}

/** All ones when predicate 0..7 (EQ LT LE UNORD, and their opposites) holds, else 0. LT, LE and their opposites signal quiet NaNs. */
function compare32(a: u32, b: u32, predicate: u32): u32 {
  const kind = predicate & 3;
  const order = f32Compare(a, b, kind == 1 || kind == 2);
  let truth: bool = false;
  switch (kind) {
    case 0: truth = order == 0; break;
    case 1: truth = order == -1; break;
    case 2: truth = order <= 0; break;
    default: truth = order == 2; break;
  }
  return truth != ((predicate & 4) != 0) ? ~(<u32>0) : 0;
}

/** CMPPS xmm, xmm/m128, imm8. */
export function sseCmpps(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  const target = regAddress(op);
  const predicate = u32(immediate(op)) & 7;
  const x = v128.load(target), y = v128.load(source);
  if (i32x4.all_true(v128.and(ordinary32(x), ordinary32(y)))) return writeXmm(op, compareOrdinary32(x, y, predicate));
  beginFloat();
  const low0 = compare32(load<u32>(target), load<u32>(source), predicate), low1 = compare32(load<u32>(target, 4), load<u32>(source, 4), predicate);
  const high0 = compare32(load<u32>(target, 8), load<u32>(source, 8), predicate);
  const high1 = compare32(load<u32>(target, 12), load<u32>(source, 12), predicate);
  return finishPacked(target, fourFloats(low0, low1, high0, high1));
}

/** The comparison of lanes that are all zero or normal, which raises nothing. */
function compareOrdinary32(x: v128, y: v128, predicate: u32): v128 {
  switch (predicate) {
    case 0: return f32x4.eq(x, y);
    case 1: return f32x4.lt(x, y);
    case 2: return f32x4.le(x, y);
    case 3: return i64x2.splat(0);
    case 4: return f32x4.ne(x, y);
    case 5: return f32x4.ge(x, y);
    case 6: return f32x4.gt(x, y);
    default: return i64x2.splat(-1);
  }
}

/** CMPSS xmm, xmm/m32, imm8. */
export function sseCmpss(op: u32): i32 {
  const source = sourceUnaligned(op, 4);
  if (source == 0) return bail;
  const target = regAddress(op);
  beginFloat();
  return finishScalar<u32>(target, compare32(load<u32>(target), load<u32>(source), u32(immediate(op)) & 7));
}

/** COMISS xmm, xmm/m32: signals quiet NaNs. */
export function sseComiss(op: u32): i32 { return compareToFlags32(op, true); }
/** UCOMISS xmm, xmm/m32. */
export function sseUcomiss(op: u32): i32 { return compareToFlags32(op, false); }

function compareToFlags32(op: u32, signalQuiet: bool): i32 {
  const source = sourceUnaligned(op, 4);
  if (source == 0) return bail;
  const target = regAddress(op);
  if (isOrdinary32(load<u32>(target)) && isOrdinary32(load<u32>(source))) {
    const x = load<f32>(target), y = load<f32>(source);
    setArithmeticFlags(x == y ? FLAG_ZF : x < y ? FLAG_CF : 0);
    return 0;
  }
  beginFloat();
  const order = f32Compare(load<u32>(target), load<u32>(source), signalQuiet);
  const refused = finishFloat();
  if (refused == 0) setArithmeticFlags(orderFlags(order));
  return refused;
}

/** All ones when predicate 0..7 (EQ LT LE UNORD, and their opposites) holds, else 0. LT, LE and their opposites signal quiet NaNs. */
function compare64(a: u64, b: u64, predicate: u32): u64 {
  const kind = predicate & 3;
  const order = f64Compare(a, b, kind == 1 || kind == 2);
  let truth: bool = false;
  switch (kind) {
    case 0: truth = order == 0; break;
    case 1: truth = order == -1; break;
    case 2: truth = order <= 0; break;
    default: truth = order == 2; break;
  }
  return truth != ((predicate & 4) != 0) ? ~(<u64>0) : 0;
}

/** CMPPD xmm, xmm/m128, imm8. */
export function sseCmppd(op: u32): i32 {
  const source = source128(op);
  if (source == 0) return bail;
  const target = regAddress(op);
  const predicate = u32(immediate(op)) & 7;
  const x = v128.load(target), y = v128.load(source);
  if (i64x2.all_true(v128.and(ordinary64(x), ordinary64(y)))) return writeXmm(op, compareOrdinary64(x, y, predicate));
  beginFloat();
  const low = compare64(load<u64>(target), load<u64>(source), predicate), high = compare64(load<u64>(target, 8), load<u64>(source, 8), predicate);
  return finishPacked(target, twoDoubles(low, high));
}

/** The comparison of lanes that are all zero or normal, which raises nothing. */
function compareOrdinary64(x: v128, y: v128, predicate: u32): v128 {
  switch (predicate) {
    case 0: return f64x2.eq(x, y);
    case 1: return f64x2.lt(x, y);
    case 2: return f64x2.le(x, y);
    case 3: return i64x2.splat(0);
    case 4: return f64x2.ne(x, y);
    case 5: return f64x2.ge(x, y);
    case 6: return f64x2.gt(x, y);
    default: return i64x2.splat(-1);
  }
}

/** CMPSD xmm, xmm/m64, imm8. */
export function sseCmpsd(op: u32): i32 {
  const source = sourceUnaligned(op, 8);
  if (source == 0) return bail;
  const target = regAddress(op);
  beginFloat();
  return finishScalar<u64>(target, compare64(load<u64>(target), load<u64>(source), u32(immediate(op)) & 7));
}

/** COMISD xmm, xmm/m64: signals quiet NaNs. */
export function sseComisd(op: u32): i32 { return compareToFlags64(op, true); }
/** UCOMISD xmm, xmm/m64. */
export function sseUcomisd(op: u32): i32 { return compareToFlags64(op, false); }

function compareToFlags64(op: u32, signalQuiet: bool): i32 {
  const source = sourceUnaligned(op, 8);
  if (source == 0) return bail;
  const target = regAddress(op);
  if (isOrdinary64(load<u64>(target)) && isOrdinary64(load<u64>(source))) {
    const x = load<f64>(target), y = load<f64>(source);
    setArithmeticFlags(x == y ? FLAG_ZF : x < y ? FLAG_CF : 0);
    return 0;
  }
  beginFloat();
  const order = f64Compare(load<u64>(target), load<u64>(source), signalQuiet);
  const refused = finishFloat();
  if (refused == 0) setArithmeticFlags(orderFlags(order));
  return refused;
}
