/**
 * Runs one machine as a process of its own and takes the time at each marker line that its guest prints (see guest/init.sh).
 * It is the same for every machine: the markers come on standard output, and the clock is the host's.
 */
import { spawn } from "node:child_process";
import { endedChildrenMs, processMs, threadsMs } from "./processor-time.mjs";

const MARKER = "@bench ";
/** What is kept of the output for the message when a run fails. */
const TAIL_CHARACTERS = 2000;

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
 */

/**
 * Runs `command` to its end. Throws when it fails, does not end in time, or its guest never said that it was there.
 * @param {{ command: string, args: readonly string[] }} machine
 * @param {{ timeoutMs: number }} options
 * @returns {Promise<Run>}
 */
export async function measureRun({ command, args }, { timeoutMs }) {
  const childrenBefore = endedChildrenMs();
  const begun = performance.now();
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  /** @type {Mark[]} */
  const marks = [];
  let output = "";
  let tail = "";
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
  };
  readLines(child.stdout, takeLine);
  child.stderr.setEncoding("utf8").on("data", (text) => (tail = (tail + text).slice(-TAIL_CHARACTERS)));
  const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
  const { status, signal } = await ending(child, command);
  clearTimeout(timer);
  const childrenAfter = endedChildrenMs();
  if (status !== 0) {
    const how = signal === null ? `status ${status}` : `signal ${signal}, after ${Math.round(performance.now() - begun)} ms`;
    throw new Error(`${command} ended with ${how}:\n${(output + tail).slice(-TAIL_CHARACTERS)}`);
  }
  return {
    marks, output,
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
 * The mark with this text. Throws if the guest never printed it.
 * @param {Run} run
 * @param {string} text
 * @returns {Mark}
 */
export function findMark({ marks, output }, text) {
  const mark = marks.find((candidate) => candidate.text === text);
  if (mark === undefined) throw new Error(`the guest never said "${text}"; what it said:\n${output.slice(-TAIL_CHARACTERS)}`);
  return mark;
}
