/**
 * Functions in double-double arithmetic: a number is the unevaluated sum of two binary64, about 104 bits, far more than the 64 that x87
 * keeps, so that one rounding of the result is right but for the rarest cases. Host arithmetic, always rounding to nearest; arguments are of
 * moderate exponent, callers scale. Each answer is its first half; the second is left in `low`. After T. J. Dekker, "A floating-point
 * technique for extending the available precision" (1971).
 */

/** Second half of the last answer. */
export let low: f64 = 0;

const SPLITTER: f64 = 134217729;

/** a + b exactly, for any a and b. */
// @ts-ignore: decorator
@inline function sumExact(a: f64, b: f64): f64 {
  const sum = a + b, part = sum - a;
  low = (a - (sum - part)) + (b - part);
  return sum;
}

/** a + b exactly, for |a| >= |b| or a = 0. */
// @ts-ignore: decorator
@inline function normalise(a: f64, b: f64): f64 {
  const sum = a + b;
  low = b - (sum - a);
  return sum;
}

/** a * b exactly. */
// @ts-ignore: decorator
@inline function multiplyExact(a: f64, b: f64): f64 {
  const product = a * b;
  const aScaled = SPLITTER * a, bScaled = SPLITTER * b;
  const aHigh = aScaled - (aScaled - a), bHigh = bScaled - (bScaled - b);
  const aLow = a - aHigh, bLow = b - bHigh;
  low = ((aHigh * bHigh - product) + aHigh * bLow + aLow * bHigh) + aLow * bLow;
  return product;
}

/** a + b. */
export function addDouble(aHigh: f64, aLow: f64, bHigh: f64, bLow: f64): f64 {
  const high = sumExact(aHigh, bHigh), error = low;
  const second = sumExact(aLow, bLow), secondError = low;
  const middle = normalise(high, error + second);
  return normalise(middle, low + secondError);
}

/** a * b. */
export function multiplyDouble(aHigh: f64, aLow: f64, bHigh: f64, bLow: f64): f64 {
  const product = multiplyExact(aHigh, bHigh);
  return normalise(product, low + (aHigh * bLow + aLow * bHigh));
}

/** a / b. */
export function divideDouble(aHigh: f64, aLow: f64, bHigh: f64, bLow: f64): f64 {
  const first = aHigh / bHigh;
  let product = multiplyDouble(first, 0, bHigh, bLow);
  let rest = addDouble(aHigh, aLow, -product, -low), restLow = low;
  const second = rest / bHigh;
  product = multiplyDouble(second, 0, bHigh, bLow);
  rest = addDouble(rest, restLow, -product, -low);
  const third = rest / bHigh;
  const high = normalise(first, second), highLow = low;
  return addDouble(high, highLow, third, 0);
}

/** (sum of table[k] * z^k for k = 0 .. count - 1), the table of double-doubles being at `table`. */
function polynomial(table: usize, count: i32, zHigh: f64, zLow: f64): f64 {
  let high: f64 = 0, highLow: f64 = 0;
  for (let k = count - 1; k >= 0; k--) {
    const entry = table + (k << 4);
    high = multiplyDouble(high, highLow, zHigh, zLow);
    high = addDouble(load<f64>(entry), load<f64>(entry, 8), high, low);
    highLow = low;
  }
  return high;
}

/** (-1)^k / (2k + 1)! */
const SINE = memory.data<f64>([
  1.0, 0.0,
  -0.16666666666666666, -9.25185853854297e-18,
  0.008333333333333333, 1.1564823173178714e-19,
  -0.0001984126984126984, -1.7209558293420705e-22,
  2.7557319223985893e-06, -1.858393274046472e-22,
  -2.505210838544172e-08, 1.448814070935912e-24,
  1.6059043836821613e-10, 1.2585294588752098e-26,
  -7.647163731819816e-13, -7.03872877733453e-30,
  2.8114572543455206e-15, 1.6508842730861433e-31,
  -8.22063524662433e-18, -2.2141894119604265e-34,
  1.9572941063391263e-20, -1.3643503830087908e-36,
  -3.868170170630684e-23, 8.843177655482344e-40,
]);
const SINE_COUNT = 12;
/** (-1)^k / (2k)! */
const COSINE = memory.data<f64>([
  1.0, 0.0,
  -0.5, 0.0,
  0.041666666666666664, 2.3129646346357427e-18,
  -0.001388888888888889, 5.300543954373577e-20,
  2.48015873015873e-05, 2.1511947866775882e-23,
  -2.755731922398589e-07, -2.3767714622250297e-23,
  2.08767569878681e-09, -1.20734505911326e-25,
  -1.1470745597729725e-11, -2.0655512752830745e-28,
  4.779477332387385e-14, 4.399205485834081e-31,
  -1.5619206968586225e-16, -1.1910679660273754e-32,
  4.110317623312165e-19, 1.4412973378659527e-36,
  -8.896791392450574e-22, 7.911402614872376e-38,
  1.6117375710961184e-24, -3.6846573564509766e-41,
]);
const COSINE_COUNT = 13;
/** 1 / (k + 1)! */
const EXPONENTIAL = memory.data<f64>([
  1.0, 0.0,
  0.5, 0.0,
  0.16666666666666666, 9.25185853854297e-18,
  0.041666666666666664, 2.3129646346357427e-18,
  0.008333333333333333, 1.1564823173178714e-19,
  0.001388888888888889, -5.300543954373577e-20,
  0.0001984126984126984, 1.7209558293420705e-22,
  2.48015873015873e-05, 2.1511947866775882e-23,
  2.7557319223985893e-06, -1.858393274046472e-22,
  2.755731922398589e-07, 2.3767714622250297e-23,
  2.505210838544172e-08, -1.448814070935912e-24,
  2.08767569878681e-09, -1.20734505911326e-25,
  1.6059043836821613e-10, 1.2585294588752098e-26,
  1.1470745597729725e-11, 2.0655512752830745e-28,
  7.647163731819816e-13, 7.03872877733453e-30,
  4.779477332387385e-14, 4.399205485834081e-31,
  2.8114572543455206e-15, 1.6508842730861433e-31,
  1.5619206968586225e-16, 1.1910679660273754e-32,
  8.22063524662433e-18, 2.2141894119604265e-34,
  4.110317623312165e-19, 1.4412973378659527e-36,
  1.9572941063391263e-20, -1.3643503830087908e-36,
  8.896791392450574e-22, -7.911402614872376e-38,
  3.868170170630684e-23, -8.843177655482344e-40,
  1.6117375710961184e-24, -3.6846573564509766e-41,
]);
const EXPONENTIAL_COUNT = 24;
/** 2 / (2k + 1) */
const LOGARITHM = memory.data<f64>([
  2.0, 0.0,
  0.6666666666666666, 3.700743415417188e-17,
  0.4, -2.2204460492503132e-17,
  0.2857142857142857, 1.586032892321652e-17,
  0.2222222222222222, 1.2335811384723961e-17,
  0.18181818181818182, -5.046468293750712e-18,
  0.15384615384615385, -8.540177112501205e-18,
  0.13333333333333333, 1.8503717077085942e-18,
  0.11764705882352941, 1.6326809185664067e-18,
  0.10526315789473684, 5.843279076974508e-18,
  0.09523809523809523, 5.28677630773884e-18,
  0.08695652173913043, 2.413528314402514e-18,
  0.08, -1.6653345369377347e-18,
  0.07407407407407407, 4.11193712824132e-18,
  0.06896551724137931, 9.570888143320315e-19,
  0.06451612903225806, 1.7906822977825105e-18,
  0.06060606060606061, -1.6821560979169039e-18,
  0.05714285714285714, 1.7842870038618585e-18,
]);
const LOGARITHM_COUNT = 18;
/** (-1)^k / (2k + 1) */
const ARC_TANGENT = memory.data<f64>([
  1.0, 0.0,
  -0.3333333333333333, -1.850371707708594e-17,
  0.2, -1.1102230246251566e-17,
  -0.14285714285714285, -7.93016446160826e-18,
  0.1111111111111111, 6.1679056923619804e-18,
  -0.09090909090909091, 2.523234146875356e-18,
  0.07692307692307693, -4.270088556250602e-18,
  -0.06666666666666667, -9.251858538542971e-19,
  0.058823529411764705, 8.163404592832033e-19,
  -0.05263157894736842, -2.921639538487254e-18,
  0.047619047619047616, 2.64338815386942e-18,
  -0.043478260869565216, -1.206764157201257e-18,
]);
const ARC_TANGENT_COUNT = 12;
/** arc tangent of k / 8 */
const ARC_TANGENT_STEPS = memory.data<f64>([
  0.0, 0.0,
  0.12435499454676144, -3.1253241424539383e-18,
  0.24497866312686414, 1.0698755618734451e-17,
  0.35877067027057225, -2.4623815582638635e-17,
  0.4636476090008061, 2.2698777452961687e-17,
  0.5585993153435624, -5.4556305485916264e-18,
  0.6435011087932844, 1.5834785051444286e-17,
  0.7188299996216245, -2.1478388444456983e-17,
  0.7853981633974483, 3.061616997868383e-17,
]);

const LN2_HIGH: f64 = 0.6931471805599453;
const LN2_LOW: f64 = 2.3190468138462996e-17;
const LOG2E_HIGH: f64 = 1.4426950408889634;
const LOG2E_LOW: f64 = 2.0355273740931033e-17;
/** First half of pi. */
export const PI_HIGH: f64 = 3.141592653589793;
/** Second half of pi. */
export const PI_LOW: f64 = 1.2246467991473532e-16;

/** sin x for |x| <= pi / 4. */
export function sineDouble(xHigh: f64, xLow: f64): f64 {
  const square = multiplyDouble(xHigh, xLow, xHigh, xLow);
  const factor = polynomial(SINE, SINE_COUNT, square, low);
  return multiplyDouble(xHigh, xLow, factor, low);
}

/** cos x for |x| <= pi / 4. */
export function cosineDouble(xHigh: f64, xLow: f64): f64 {
  const square = multiplyDouble(xHigh, xLow, xHigh, xLow);
  return polynomial(COSINE, COSINE_COUNT, square, low);
}

/** x * ln 2 */
export function timesLn2(xHigh: f64, xLow: f64): f64 { return multiplyDouble(xHigh, xLow, LN2_HIGH, LN2_LOW); }
/** x / ln 2 */
export function timesLog2e(xHigh: f64, xLow: f64): f64 { return multiplyDouble(xHigh, xLow, LOG2E_HIGH, LOG2E_LOW); }

/** 2^x - 1 for |x| <= 1. */
export function exponentialDouble(xHigh: f64, xLow: f64): f64 {
  const t = timesLn2(xHigh, xLow), tLow = low;
  const factor = polynomial(EXPONENTIAL, EXPONENTIAL_COUNT, t, tLow);
  return multiplyDouble(t, tLow, factor, low);
}

/** log2((1 + s) / (1 - s)) for |s| <= 0.18. */
function logarithmOfRatio(sHigh: f64, sLow: f64): f64 {
  const square = multiplyDouble(sHigh, sLow, sHigh, sLow);
  const factor = polynomial(LOGARITHM, LOGARITHM_COUNT, square, low);
  const natural = multiplyDouble(sHigh, sLow, factor, low);
  return timesLog2e(natural, low);
}

/** log2(x) for 1 <= x < 2, plus `exponent`. Precise relative to the answer near 1 too. */
export function logarithmDouble(xHigh: f64, xLow: f64, exponent: i32): f64 {
  if (xHigh > 1.4142135623730951) { xHigh *= 0.5; xLow *= 0.5; exponent += 1; }
  const above = addDouble(xHigh, xLow, -1, 0), aboveLow = low;
  const below = addDouble(xHigh, xLow, 1, 0);
  const s = divideDouble(above, aboveLow, below, low);
  const fraction = logarithmOfRatio(s, low);
  return addDouble(f64(exponent), 0, fraction, low);
}

/** log2(1 + x) for -0.293 <= x <= 0.4143. */
export function logarithmNearOne(xHigh: f64, xLow: f64): f64 {
  const below = addDouble(2, 0, xHigh, xLow);
  const s = divideDouble(xHigh, xLow, below, low);
  return logarithmOfRatio(s, low);
}

/** Arc tangent of 0 <= x <= 1. */
export function arcTangentDouble(xHigh: f64, xLow: f64): f64 {
  const step = i32(nearest<f64>(xHigh * 8));
  const point = f64(step) * 0.125;
  const above = addDouble(xHigh, xLow, -point, 0), aboveLow = low;
  const product = multiplyDouble(xHigh, xLow, point, 0);
  const below = addDouble(1, 0, product, low);
  const t = divideDouble(above, aboveLow, below, low), tLow = low;
  const square = multiplyDouble(t, tLow, t, tLow);
  const factor = polynomial(ARC_TANGENT, ARC_TANGENT_COUNT, square, low);
  const rest = multiplyDouble(t, tLow, factor, low);
  const entry = ARC_TANGENT_STEPS + (step << 4);
  return addDouble(load<f64>(entry), load<f64>(entry, 8), rest, low);
}
