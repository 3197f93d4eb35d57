/**
 * Gate requests: bits of REQUESTS_GATE that a vCPU never takes. While one is set, its thread stands at the gate, outside guest mode and
 * outside everything else, until who set the bits takes them back (clearRequest) or REQUEST_STOP comes.
 *
 *     controlling thread                       vCPU thread
 *     request |= gate bit                      atGate = 0
 *     atGate = 1? then it stands               gate bit set? then atGate = 1 again
 *
 * The vCPU looks for the bits once more behind atGate = 0. So a controller that set its bit first and then sees atGate = 1 knows
 * that the thread does nothing until the bit is gone, even where it had been let go a moment ago.
 */
import { atomicLoad, atomicStore } from "#sync";
import { REQUEST_STOP, REQUESTS_GATE, VCPU } from "../../abi/layout.js";
import type { VcpuState } from "../../cpu/index.js";

/** Whether a vCPU whose request word is `requests` is to stand at the gate. */
export function isGateClosed(requests: number): boolean {
  return (requests & REQUESTS_GATE) !== 0 && (requests & REQUEST_STOP) === 0;
}

/**
 * vCPU thread: stands at the gate until it is open; calls `onStand` each time it has begun to, and `onLook` before each sleep, which ends when the
 * request word changes. Sleeps.
 */
export function standAtGate(vcpu: VcpuState, onStand: () => void, onLook?: () => void): void {
  const atGate = vcpu.wordIndex(VCPU.atGate);
  while (isGateClosed(vcpu.requests)) {
    atomicStore(vcpu.words, atGate, 1);
    onStand();
    for (let { requests } = vcpu; isGateClosed(requests); { requests } = vcpu) {
      onLook?.();
      vcpu.waitForRequest(requests, Infinity);
    }
    atomicStore(vcpu.words, atGate, 0);
  }
}

/** Any thread: whether the vCPU's thread stands still. Precondition: the caller has set a gate request before. */
export function isAtGate(vcpu: VcpuState): boolean {
  return atomicLoad(vcpu.words, vcpu.wordIndex(VCPU.atGate)) !== 0;
}
