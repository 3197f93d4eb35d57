/**
 * What the debugger outside the guest sees of a vCPU: it stops behind a step, at a breakpoint and behind an access to a watchpoint
 * (interpreter/host-debug.ts), and all the others with it. Who stops says why in VCPU.debugStop, and then closes the gate for all.
 */
import { DEBUG_STOP_STEP } from "../abi/layout.js";
import type { VcpuContext } from "./vcpu-context.js";

/** Handles EXIT_DEBUG. */
export function handleDebugStop({ state, machine }: VcpuContext): undefined {
  // Without a reason the core has only undone an access, to run its instruction again alone.
  if (state.debugStop !== 0) machine.stopForDebugger();
}

/** A step is done where the vCPU executes HLT, not where it wakes up: the debugger sees it halted, and it sleeps on when it is let go. */
export function endStepInHalt({ state, machine }: VcpuContext): void {
  if (!state.isStepping) return;
  state.debugStop = DEBUG_STOP_STEP;
  machine.stopForDebugger();
}
