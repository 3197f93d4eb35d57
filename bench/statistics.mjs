/** Figures from repeated runs. */

/**
 * @typedef {object} Spread
 * @property {number} median
 * @property {number} min
 * @property {number} max
 */

/**
 * Median, least and most of `values`; undefined when there are none.
 * @param {readonly (number | undefined)[]} values absent ones are left out
 * @returns {Spread | undefined}
 */
export function spreadOf(values) {
  const sorted = values.filter((value) => value !== undefined && Number.isFinite(value)).sort((a, b) => a - b);
  if (sorted.length === 0) return undefined;
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { median, min: sorted[0], max: sorted[sorted.length - 1] };
}

/**
 * Spread of ours divided by theirs, round by round: what disturbs a round disturbs both sides of it.
 * @param {readonly (number | undefined)[]} ours
 * @param {readonly (number | undefined)[]} theirs
 */
export function ratioOf(ours, theirs) {
  return spreadOf(ours.map((value, round) => (value === undefined || !theirs[round] ? undefined : value / theirs[round])));
}

/**
 * @param {readonly (number | undefined)[]} values
 * @returns {number | undefined}
 */
export function geometricMean(values) {
  const given = values.filter((value) => value !== undefined);
  return given.length === 0 ? undefined : Math.exp(given.reduce((sum, value) => sum + Math.log(value), 0) / given.length);
}
