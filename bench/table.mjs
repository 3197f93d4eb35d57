/** Tables for the terminal and for Markdown. */

/**
 * Lines of a table in Markdown, columns aligned so that it reads well on a terminal too: the first to the left, the others to the right.
 * @param {readonly string[]} header
 * @param {readonly (readonly string[])[]} rows
 */
export function formatTable(header, rows) {
  const widths = header.map((title, column) => Math.max(3, title.length, ...rows.map((row) => row[column].length)));
  const line = (/** @type {readonly string[]} */ cells) =>
    `| ${cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))).join(" | ")} |`;
  const rule = `|${widths.map((width, column) => (column === 0 ? "-".repeat(width + 2) : `${"-".repeat(width + 1)}:`)).join("|")}|`;
  return [line(header), rule, ...rows.map(line)].join("\n");
}

/**
 * "1.23 (1.20-1.31)", or "-" where nothing was measured.
 * @param {import("./statistics.mjs").Spread | undefined} spread
 */
export function formatSpread(spread) {
  if (spread === undefined) return "-";
  const { median, min, max } = spread;
  const text = formatNumber(median);
  return min === max ? text : `${text} (${formatNumber(min)}-${formatNumber(max)})`;
}

/**
 * Three significant digits, and no fraction from 100 up.
 * @param {number | undefined} value
 */
export function formatNumber(value) {
  if (value === undefined) return "-";
  if (value >= 100) return value.toFixed(0);
  return value.toFixed(value >= 10 ? 1 : 2);
}
