/** The module's exports: what src/cpu/core.raw.ts calls. */
import { interpret } from "./generated/run";
import { beginRun } from "./dispatch";
import { cpu } from "./state";

export { initialise } from "./dispatch";
export { translateForHost as translate } from "./memory";
export { flushFrames, flushTlb } from "./tlb";
export { callFromRegion } from "./generated/run";
export { invalidateCodePage as invalidateCode, makeRegionTrace, reserveTraceList, resetCodeCache as flushCode } from "./code-cache";
export { updateMode } from "./segments";
export { readRflags, writeRflags, setArithmeticFlags } from "./flags";

/** Runs at most about `budget` guest instructions. Returns EXIT_*. */
export function run(budget: i32): i32 {
  return interpret(cpu, beginRun(budget));
}
