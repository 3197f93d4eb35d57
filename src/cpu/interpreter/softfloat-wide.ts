/** Integer arithmetic on 128 bits, as far as floating point needs it; second halves of answers are left in `wideLow`. */
import { INTEGER_BIT } from "./softfloat-registers";

/** The low half of the last 128-bit product, the remainder of the last wide division. */
export let wideLow: u64 = 0;

/** wideHigh:wideLow := (significand : 0) >> count, what is shifted out collected in the lowest bit. Answers the high half. */
export function shiftRightSticky(significand: u64, count: u32): u64 {
  if (count == 0) { wideLow = 0; return significand; }
  if (count < 64) { wideLow = significand << (64 - count); return significand >> count; }
  if (count == 64) { wideLow = significand; return 0; }
  if (count < 128) {
    const rest = count - 64;
    wideLow = (significand >> rest) | u64((significand << (64 - rest)) != 0);
    return 0;
  }
  wideLow = u64(significand != 0);
  return 0;
}

/** Answers the high half of a * b and leaves the low half in wideLow. */
export function multiplyWide(a: u64, b: u64): u64 {
  const aLow = a & 0xffff_ffff, aHigh = a >> 32, bLow = b & 0xffff_ffff, bHigh = b >> 32;
  const low = aLow * bLow;
  const middle = aHigh * bLow + (low >> 32);
  const middle2 = aLow * bHigh + (middle & 0xffff_ffff);
  wideLow = (middle2 << 32) | (low & 0xffff_ffff);
  return aHigh * bHigh + (middle >> 32) + (middle2 >> 32);
}

/** Answers high:low / divisor, remainder in wideLow. high < divisor, and bit 63 of divisor is set. (Knuth's algorithm D.) */
export function divideWide(high: u64, low: u64, divisor: u64): u64 {
  const first = divideStep(high, low >> 32, divisor);
  const second = divideStep(wideLow, low & 0xffff_ffff, divisor);
  return (first << 32) | second;
}

function divideStep(high: u64, next: u64, divisor: u64): u64 {
  const divisorHigh = divisor >> 32, divisorLow = divisor & 0xffff_ffff;
  let quotient = high / divisorHigh;
  let rest = high - quotient * divisorHigh;
  while ((quotient >> 32) != 0 || quotient * divisorLow > ((rest << 32) | next)) {
    quotient -= 1;
    rest += divisorHigh;
    if ((rest >> 32) != 0) break;
  }
  wideLow = ((high << 32) | next) - quotient * divisor;
  return quotient;
}

/** Answers floor(sqrt(high:low)) for high >= 2^62; wideLow: 0 exact, 1 below a half, more above. (Zimmermann's recursive root.) */
export function rootWide(high: u64, low: u64): u64 {
  let upper = u64(sqrt<f64>(f64(high)));
  if (upper > 0xffff_ffff) upper = 0xffff_ffff;
  while (upper * upper > high) upper -= 1;
  while (upper < 0xffff_ffff && (upper + 1) * (upper + 1) <= high) upper += 1;
  const next = low >> 32;
  const dividend = ((high - upper * upper) << 31) | (next >> 1);
  let quotient = dividend / upper;
  let rest = ((dividend % upper) << 1) | (next & 1);
  while ((quotient >> 32) != 0) { quotient -= 1; rest += upper << 1; }
  let root = (upper << 32) + quotient;
  const square = quotient * quotient;
  const restLow = (rest << 32) | (low & 0xffff_ffff);
  let remainderLow = restLow - square;
  let remainderHigh = i64(rest >> 32) - i64(restLow < square);
  if (remainderHigh < 0) {
    root -= 1;
    const doubled = (root << 1) | 1;
    remainderLow += doubled;
    remainderHigh += i64(root >> 63) + i64(remainderLow < doubled);
  }
  wideLow = remainderHigh != 0 || remainderLow > root ? INTEGER_BIT | 1 : u64(remainderLow != 0);
  return root;
}
