/** An interposer that waits before some accesses, a little or for a while, so that rare interleavings of running threads become likely. */
import type { Interposer } from "./paused-atomics.raw.js";

/** One access in so many is delayed by a spin, by a sleep. */
const SPIN_SHARE = 48;
const SLEEP_SHARE = 4096;
const SPIN_TURNS_MAX = 400;
const SLEEP_MS_MAX = 0.15;

/** Makes an interposer whose pauses follow from `seed`. */
export function randomPauses(seed: number): Interposer {
  const nobody = new Int32Array(new SharedArrayBuffer(4));
  let state = (seed * 0x9e37_79b9) | 1;
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  const pause = (): void => {
    const draw = next();
    if (draw % SLEEP_SHARE === 0) Atomics.wait(nobody, 0, 0, (next() % 100) / 100 * SLEEP_MS_MAX);
    else if (draw % SPIN_SHARE === 0) for (let turns = next() % SPIN_TURNS_MAX; turns > 0; turns--) Atomics.load(nobody, 0);
  };
  return {
    beforeAccess: pause,
    wait: (view, index, expected, timeoutMs) => {
      pause();
      return Atomics.wait(view, index, expected, timeoutMs);
    },
  };
}
