/** A schedule as text: a column a thread, what it changed beside it, the bad step last. */
import type { Finding } from "./model.js";
import type { Trace, TraceStep } from "./trace.js";

const COLUMN_WIDTH_MAX = 38;

/** Lines of the picture. */
export function drawSchedule(trace: Trace): string[] {
  const { threads, steps } = trace;
  const widths = threads.map((name, thread) => Math.min(COLUMN_WIDTH_MAX, 2 + Math.max(name.length, ...steps.map((step) => (step.thread === thread ? step.says.length : 0)))));
  const numberWidth = String(steps.length).length + 2;
  const row = (number: string, cells: readonly string[], beside: string): string =>
    `${number.padStart(numberWidth)}  ${cells.map((cell, at) => cell.padEnd(widths[at]!)).join("")}  ${beside}`.trimEnd();
  const lines = [row("", threads, "words"), ...trace.atStart.map(findingLine)];
  steps.forEach((step, index) => {
    lines.push(row(String(index + 1), threads.map((_, thread) => (thread === step.thread ? fit(step.says, widths[thread]!) : "")), changesText(step)));
    for (const remark of step.remarks) lines.push(row("", threads.map((_, thread) => (thread === step.thread ? ` ${remark}` : "")), ""));
    lines.push(...step.findings.map(findingLine));
  });
  return [...lines, ...trace.atEnd.map(findingLine)];
}

function fit(text: string, width: number): string {
  return text.length < width ? text : `${text.slice(0, width - 3)}… `;
}

function changesText({ changes }: TraceStep): string {
  return changes.map(({ word, before, after }) => `${word} ${before} -> ${after}`).join(", ");
}

function findingLine({ kind, says }: Finding): string {
  return `  => ${kind}: ${says}`;
}
