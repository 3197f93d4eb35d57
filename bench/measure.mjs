/**
 * Runs one machine as a process of its own and takes the time at each marker line that its guest prints (see guest/init.sh).
 * It is the same for every machine: the markers come on standard output, and the clock is the host's.
 */
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { endedChildrenMs, processMs, threadsMs } from "./processor-time.mjs";

const MARKER = "@bench ";
/** What is kept of the error output for when a run fails. */
const TAIL_CHARACTERS = 20_000;

/**
 * @typedef {object} Mark
 * @property {string} text what follows "@bench ", such as "begin sha256"
 * @property {number} wallMs since the process was started
 * @property {number | undefined} processMs processor time of the whole process so far
 * @property {Map<string, number>} threads processor time of each thread so far
 * @property {object | undefined} report what our own machine adds: its counters
 */

/**
 * @typedef {object} Run
 * @property {Mark[]} marks
 * @property {number} wallMs until the process had ended
 * @property {number | undefined} processMs
 * @property {string} output all that was printed, marker lines left out
 * @property {any} [found] what `inspect` found
 */

/** A run that failed, in one line, with what was measured until then. */
export class RunFailure extends Error {
  /**
   * @param {string} message
   * @param {Mark[]} marks
   * @param {string} output
   */
  constructor(message, marks, output) {
    const file = join(tmpdir(), "unpinned-bench-failure.log");
    writeFileSync(file, output);
    const last = output.trim().split("\n").at(-1) ?? "";
    super(`${message}${last === "" ? "" : `, and said last: ${last.slice(0, 200)}`} (all of it: ${file})`);
    this.marks = marks;
  }
}

/**
 * Runs `command` to its end, or until it has been inspected. Throws RunFailure when it fails or does not end in time.
 * @param {{ command: string, args: readonly string[] }} machine
 * @param {{ timeoutMs: number, inspect?: { mark: string, delayMs: number, take: (pid: number) => any } }} options
 *   `inspect`: some time behind this mark `take` is called and the process ended
 * @returns {Promise<Run>}
 */
export async function measureRun({ command, args }, { timeoutMs, inspect }) {
  const childrenBefore = endedChildrenMs();
  const begun = performance.now();
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  /** @type {Mark[]} */
  const marks = [];
  let output = "";
  let tail = "";
  /** @type {any} */
  let found;
  const lookAt = (/** @type {number} */ pid) => {
    found = inspect?.take(pid);
    child.kill("SIGKILL");
  };
  const takeLine = (/** @type {string} */ line) => {
    const at = line.indexOf(MARKER);
    if (at < 0) {
      output += `${line}\n`;
      return;
    }
    const [text, report] = line.slice(at + MARKER.length).split("\t");
    const pid = /** @type {number} */ (child.pid);
    marks.push({
      text: text.trim(), wallMs: performance.now() - begun, processMs: processMs(pid), threads: threadsMs(pid),
      report: report === undefined ? undefined : JSON.parse(report),
    });
    if (text.trim() === inspect?.mark) setTimeout(lookAt, inspect.delayMs, pid);
  };
  readLines(child.stdout, takeLine);
  child.stderr.setEncoding("utf8").on("data", (text) => (tail = (tail + text).slice(-TAIL_CHARACTERS)));
  const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
  const { status, signal } = await ending(child, command);
  clearTimeout(timer);
  const childrenAfter = endedChildrenMs();
  if (status !== 0 && found === undefined) {
    const how = signal === null ? `with status ${status}` : `by ${signal}, after ${Math.round((performance.now() - begun) / 1000)} s`;
    throw new RunFailure(`${basename(command)} ended ${how}`, marks, output + tail);
  }
  return {
    marks, output, found,
    wallMs: performance.now() - begun,
    processMs: childrenAfter === undefined || childrenBefore === undefined ? undefined : childrenAfter - childrenBefore,
  };
}

/**
 * @param {import("node:stream").Readable} stream
 * @param {(line: string) => void} takeLine called as soon as a line is whole
 */
function readLines(stream, takeLine) {
  let rest = "";
  stream.setEncoding("utf8").on("data", (text) => {
    const lines = (rest + text).split(/\r*\n/);
    rest = /** @type {string} */ (lines.pop());
    for (const line of lines) takeLine(line);
  });
  stream.on("end", () => {
    if (rest !== "") takeLine(rest);
  });
}

/**
 * @param {import("node:child_process").ChildProcess} child
 * @param {string} command
 * @returns {Promise<{ status: number | null, signal: string | null }>}
 */
function ending(child, command) {
  return new Promise((resolve, reject) => {
    child.on("error", (cause) => reject(new Error(`${command} could not be run: ${cause.message}`, { cause })));
    child.on("close", (status, signal) => resolve({ status, signal }));
  });
}

/**
 * The mark with this text. Throws RunFailure if the guest never printed it.
 * @param {Run} run
 * @param {string} text
 * @returns {Mark}
 */
export function findMark({ marks, output }, text) {
  const mark = marks.find((candidate) => candidate.text === text);
  if (mark === undefined) throw new RunFailure(`the guest never said "${text}"`, marks, output);
  return mark;
}
