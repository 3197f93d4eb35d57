/** A pause of the whole VM, by its operator or by a debugger, as one vCPU's thread goes through it. */
import { isGateClosed, standAtGate } from "./requests/gate.js";
import type { VcpuContext } from "./vcpu-context.js";

/** Stands still as long as the VM is paused; the guest's watchdogs learn of it afterwards, where there is a way to tell them. Sleeps. */
export function standWhilePaused({ state, machine, kvm, index }: VcpuContext): void {
  if (!isGateClosed(state.requests)) return;
  standAtGate(state, () => machine.paused(), () => machine.serveDebugger());
  kvm?.domain.resumed(index);
}
