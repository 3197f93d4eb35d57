/** The host's monotonic clock, the same in every thread of the process. */
// The global of this name is a getter that looks the module up again each time; RDTSC in the guest ends here.
import { performance } from "node:perf_hooks";

const NS_PER_MS = 1e6;
const CALIBRATION_ROUNDS = 50;

/** performance.now() is the cheaper call, but counts from the start of its thread: this is where that was. */
const threadOriginNs = findThreadOrigin();

/** Whole nanoseconds on a clock that never goes back and has one origin for all threads of this process. */
export function monotonicNs(): number {
  return Math.floor(threadOriginNs + performance.now() * NS_PER_MS);
}

/** Takes the pair of readings that lie closest together, so that threads agree to well under a microsecond. */
function findThreadOrigin(): number {
  let best = { width: Infinity, origin: 0 };
  for (let round = 0; round < CALIBRATION_ROUNDS; round++) {
    const before = performance.now() * NS_PER_MS;
    const now = Number(process.hrtime.bigint());
    const after = performance.now() * NS_PER_MS;
    if (after - before < best.width) best = { width: after - before, origin: now - (before + after) / 2 };
  }
  return best.origin;
}
