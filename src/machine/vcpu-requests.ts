/** Requests to the vCPUs from any thread. */
import { REQUEST_CODE_INVALIDATE, REQUEST_TLB_FLUSH, VCPU_IN_GUEST_MODE } from "../abi/layout.js";
import type { VcpuState } from "../cpu/index.js";
import type { VcpuFlush } from "../host-memory/index.js";

/** Longest sleep before the mode word is looked at again: leaving guest mode wakes nobody by itself. */
const RECHECK_MS = 1;

/**
 * Makes every vCPU drop its TLB; returns when none of them can be in guest mode with an old translation.
 *
 *   this thread                        vCPU thread
 *   request |= TLB_FLUSH               guestMode = IN
 *   guestMode = IN? -> wait            poll request -> leave, guestMode = OUTSIDE, flush, request &= ~TLB_FLUSH
 *
 * Both sides write first and read second, so not both can miss the other.
 */
export function flushVcpuTlbs(vcpus: readonly VcpuState[]): void {
  for (const vcpu of vcpus) vcpu.postRequest(REQUEST_TLB_FLUSH);
  for (const vcpu of vcpus) {
    for (;;) {
      const requests = vcpu.requests;
      if ((requests & REQUEST_TLB_FLUSH) === 0 || vcpu.guestMode !== VCPU_IN_GUEST_MODE) break;
      vcpu.waitForRequest(requests, RECHECK_MS);
    }
  }
}

/** How a thread without a vCPU of its own reaches all of them. */
export function vcpuFlush(vcpus: readonly VcpuState[]): VcpuFlush {
  return {
    tlbs: () => flushVcpuTlbs(vcpus),
    code: () => vcpus.forEach((vcpu) => vcpu.postRequest(REQUEST_CODE_INVALIDATE)),
  };
}
