/**
 * Processor time of another process, from Linux's /proc. Where there is none, every answer is undefined and only wall time is
 * reported. Processor time is the better figure on a machine that does other things too.
 */
import { existsSync, readFileSync, readdirSync } from "node:fs";

/** Length of a tick of /proc/PID/stat: Linux gives user space 100 a second, whatever the kernel's own rate is. */
const TICK_MS = 10;
/** Fields of /proc/PID/stat behind the name in parentheses, proc(5) less 3. */
const UTIME = 11;
const STIME = 12;
const CUTIME = 13;
const CSTIME = 14;

/** True where processor times can be had. */
export const hasProcessorTimes = existsSync("/proc/self/schedstat");

/**
 * Milliseconds that all threads of a process have used, those that have ended too, and the children whose end it has waited for.
 * @param {number} pid
 */
export function processMs(pid) {
  return readTicks(`/proc/${pid}/stat`, [UTIME, STIME, CUTIME, CSTIME]);
}

/** Milliseconds that the children of this process have used, of which the end was waited for. */
export function endedChildrenMs() {
  return readTicks("/proc/self/stat", [CUTIME, CSTIME]);
}

/**
 * Milliseconds that each living thread of a process has used, by thread id.
 * @param {number} pid
 * @returns {Map<string, number>}
 */
export function threadsMs(pid) {
  const found = new Map();
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const [runNs] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "latin1").split(" ");
      found.set(thread, Number(runNs) / 1e6);
    }
  } catch {
    // No /proc, or the process or a thread ended while we looked: what was found is what there is.
  }
  return found;
}

/**
 * Milliseconds of the thread that ran most between two readings of threadsMs: while the guest computes, its vCPU's.
 * @param {Map<string, number>} before
 * @param {Map<string, number>} after
 */
export function busiestThreadMs(before, after) {
  const spent = [...after].map(([thread, ms]) => ms - (before.get(thread) ?? 0));
  return spent.length === 0 ? undefined : Math.max(...spent);
}

/**
 * @param {string} path
 * @param {readonly number[]} places of the fields to add up
 */
function readTicks(path, places) {
  try {
    const text = readFileSync(path, "latin1");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return places.reduce((sum, place) => sum + Number(fields[place]), 0) * TICK_MS;
  } catch {
    return undefined;
  }
}
