/** What the three ways to run have in common. */
import { errorForExit, type GuestExit, type VirtualMachine, type VirtualMachineOptions } from "../machine/index.js";
import type { RunArguments } from "./arguments.js";

/** A VM on its way, and how to make the run end early. */
export interface RunContext {
  readonly args: RunArguments;
  /** Aborted by --timeout and by signals, with the error that says so. */
  readonly signal: AbortSignal;
  /** Boots the guest. The VM is disposed of by the caller of the mode. */
  boot(options: VirtualMachineOptions): Promise<VirtualMachine>;
}

/** A way to run: resolves with the program's exit status. */
export type RunMode = (context: RunContext) => Promise<number>;

/** Waits for the guest's end. Status 0 when it was the guest's own decision, else throws what went wrong. */
export async function statusAtEnd(vm: VirtualMachine, signal: AbortSignal): Promise<number> {
  const exit = await vm.ended;
  signal.throwIfAborted();
  if (isOrderly(exit)) return 0;
  throw errorForExit(exit);
}

function isOrderly({ reason }: GuestExit): boolean {
  return reason === "power-off" || reason === "reboot" || reason === "suspend";
}
