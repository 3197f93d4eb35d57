/** Runs the vectors of a table on the core and collects what differs, by row. */
import { readFileSync } from "node:fs";
import { compareOutcomes } from "./compare.js";
import { bytesText, type Encoding } from "./encoding.js";
import { RESULT } from "./layout.js";
import type { DifferentialMachine } from "./machine.js";
import { whyUntested } from "./plan.js";
import { rowKey } from "./row-shape.js";
import { VECTOR_FOLDER, type InstructionTable } from "./tables.js";
import { visitVectors, type CaseVisit } from "./vector-file.js";

/** What became of the cases of one row. */
export interface RowReport {
  readonly key: string;
  readonly encodings: Set<Encoding>;
  cases: number;
  failed: number;
  /** The first failures, one line each. */
  readonly samples: string[];
}

/** What became of one table. */
export interface TableReport {
  readonly table: string;
  readonly rows: ReadonlyMap<string, RowReport>;
  /** Rows of the table that have no vectors though they could, by key. */
  readonly missing: readonly string[];
  /** Rows that are not tested, with the reason. */
  readonly untested: readonly (readonly [key: string, reason: string])[];
  /** Rows in the file that the table no longer has. */
  readonly orphans: readonly string[];
}

/** What to check, and how. */
export interface CheckOptions {
  /** Only rows whose key contains this. */
  readonly filter?: string;
  readonly samplesMax?: number;
  /** Flips a bit of R15 in every expectation: proof that the comparison sees it. */
  readonly spoil?: boolean;
}

/** One line that names a case: enough for `run.js --row`. */
export function caseLine({ key, encoding, caseIndex }: CaseVisit, differences: readonly string[]): string {
  const at = encoding.codeOffset === 0x800 ? "" : ` at +${encoding.codeOffset.toString(16)}`;
  return `"${key}" case ${caseIndex} ${encoding.mode}-bit [${bytesText(encoding.bytes)}]${at}: ${differences.slice(0, 4).join("; ")}`;
}

function spoil({ expected }: CaseVisit): void {
  const at = RESULT.gpr + 15 * 8;
  expected.record.setUint8(at, expected.record.getUint8(at) ^ 1);
}

/** Runs the stored vectors of `table`. Throws when its vector file is missing or does not fit. */
export function checkTable(machine: DifferentialMachine, table: InstructionTable, options: CheckOptions = {}): TableReport {
  const rows = new Map(table.rows.map((row) => [rowKey(row), row]));
  const reports = new Map<string, RowReport>();
  const orphans = new Set<string>();
  visitVectors(readFileSync(new URL(`${table.name}.br`, VECTOR_FOLDER)), (visit) => {
    const row = rows.get(visit.key);
    if (row === undefined) orphans.add(visit.key);
    if (row === undefined || (options.filter !== undefined && !visit.key.includes(options.filter))) return;
    const { encoding } = visit;
    const report = reports.get(visit.key) ?? { key: visit.key, encodings: new Set<Encoding>(), cases: 0, failed: 0, samples: [] };
    reports.set(visit.key, report);
    report.encodings.add(encoding);
    report.cases++;
    if (options.spoil === true) spoil(visit);
    const actual = machine.run(visit.initial);
    const differences = compareOutcomes(visit.expected, actual, { row, encoding });
    if (differences.length === 0) return;
    report.failed++;
    if (report.samples.length < (options.samplesMax ?? 3)) report.samples.push(caseLine(visit, differences));
  });
  const untested = table.rows.flatMap((row) => {
    const reason = whyUntested(row);
    return reason === undefined || reports.has(rowKey(row)) ? [] : [[rowKey(row), reason] as const];
  });
  const skipped = new Set(untested.map(([key]) => key));
  const missing = options.filter !== undefined ? [] : [...rows.keys()].filter((key) => !reports.has(key) && !skipped.has(key));
  return { table: table.name, rows: reports, missing, untested, orphans: [...orphans] };
}

/** Sums of a report. */
export function totals(report: TableReport): { rows: number; encodings: number; cases: number; failedRows: number; failedCases: number } {
  const sum = { rows: report.rows.size, encodings: 0, cases: 0, failedRows: 0, failedCases: 0 };
  for (const row of report.rows.values()) {
    sum.encodings += row.encodings.size;
    sum.cases += row.cases;
    sum.failedCases += row.failed;
    if (row.failed > 0) sum.failedRows++;
  }
  return sum;
}

const ROWS_SHOWN_MAX = 30;

/** The first failures of a report, a line a row. */
export function failureText(report: TableReport): string {
  const lines: string[] = [];
  for (const row of report.rows.values()) {
    if (row.failed > 0) lines.push(`${row.failed} of ${row.cases}: ${row.samples[0]}`);
  }
  const more = lines.length - ROWS_SHOWN_MAX;
  return [...lines.slice(0, ROWS_SHOWN_MAX), ...(more > 0 ? [`and ${more} more forms`] : [])].join("\n");
}
