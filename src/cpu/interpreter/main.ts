/** The module's exports: what src/cpu/core.raw.ts calls. */
import { interpret } from "./generated/run";
import { beginRun } from "./dispatch";
import { cpu } from "./state";

export { initialise } from "./dispatch";
export { translateForHost as translate } from "./memory";
export { flushFrames, flushTlb } from "./tlb";
export { invalidateCodePage as invalidateCode, resetCodeCache as flushCode } from "./code-cache";
export { updateMode } from "./segments";
export { readRflags, writeRflags, setArithmeticFlags } from "./flags";

/** Runs at most about `budget` guest instructions. Returns EXIT_*. */
export function run(budget: i32): i32 {
  beginRun(budget);
  return interpret(cpu, budget);
}
