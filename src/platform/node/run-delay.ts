/** How long a thread was ready to run and did not, as the host's kernel counts it. */
import { openSync, readSync } from "node:fs";

/** Linux: ns on a processor, ns waiting for one, time slices (Documentation/scheduler/sched-stats.rst). */
const SCHEDSTAT = "/proc/thread-self/schedstat";
const TEXT_BYTES_MAX = 96;

/**
 * Makes a function that says for how many ns the calling thread has waited for a processor since it began. To be made and called on that
 * thread. On hosts that do not count it, it says 0.
 */
export function createRunDelayMeter(): () => number {
  let file: number;
  try {
    file = openSync(SCHEDSTAT, "r");
  } catch {
    return () => 0;
  }
  const buffer = Buffer.alloc(TEXT_BYTES_MAX);
  return () => {
    const length = readSync(file, buffer, 0, TEXT_BYTES_MAX, 0);
    return Number(buffer.toString("latin1", 0, length).split(" ")[1] ?? 0);
  };
}
