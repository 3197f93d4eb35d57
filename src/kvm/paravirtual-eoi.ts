/**
 * The end of an interrupt in memory (msr.rst, MSR_KVM_PV_EOI_EN): a bit that the guest tests and clears; when it was set, the guest need not
 * write its APIC's EOI register, and so does not exit.
 *
 *     before guest mode                        in guest mode            behind it
 *     one interrupt only, waiting or           EOI: bit set? clear it   bit still set: clear it, no EOI was given
 *     in service: set the bit                  else write the register  bit clear: do what the EOI register does
 *
 * Only the vCPU itself and its own thread touch the byte, never both at a time.
 */
import { KVM_PV_EOI_BIT } from "../abi/kvm/index.js";
import type { PageView } from "../guest-page/index.js";

/** Lets the guest end its interrupt in memory. */
export function offerEoi(view: PageView): void {
  view.testAndSetBit(KVM_PV_EOI_BIT);
}

/** Takes the offer back; whether the guest has used it, so that its interrupt has ended. */
export function takeEoi(view: PageView): boolean {
  return !view.testAndClearBit(KVM_PV_EOI_BIT);
}
