/** Aligned text. */

/** A cell; numbers stand at the right of their column. */
export type Cell = string | number;

const GAP = "  ";

/** Lines of a table with a heading line. */
export function tableLines(headings: readonly string[], rows: readonly (readonly Cell[])[]): string[] {
  const texts = rows.map((row) => row.map(String));
  const widths = headings.map((heading, column) => Math.max(heading.length, ...texts.map((row) => row[column]!.length)));
  const isNumber = headings.map((_, column) => rows.length > 0 && rows.every((row) => typeof row[column] === "number"));
  const line = (cells: readonly string[]): string =>
    cells.map((cell, column) => (isNumber[column]! ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!))).join(GAP).trimEnd();
  return [headings, ...texts].map(line);
}

/** Lines of names and values. */
export function pairLines(pairs: readonly (readonly [name: string, value: Cell])[]): string[] {
  const width = Math.max(0, ...pairs.map(([name]) => name.length));
  return pairs.map(([name, value]) => `${name.padEnd(width)}${GAP}${value}`);
}

/** Words of a name in camel case: "framesMoved" becomes "frames moved". */
export function wordsOf(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}
