/**
 * Whether a vCPU is in guest mode, and how another thread waits until it has been outside.
 *
 * VCPU.guestEpoch is bumped at each entry and each exit; odd = in guest mode. Its two races:
 *
 *     requesting thread                        vCPU thread
 *     request |= bit                           guestEpoch = odd
 *     guestEpoch odd? then wait                request = 0? otherwise guestEpoch = even, and no guest code
 *
 * Each writes first and reads second, all sequentially consistent. Should the requester see an even epoch, then the entry behind it
 * sees the bit; should the vCPU see no bit, then the requester sees the odd epoch and waits.
 *
 *     waiting thread                           vCPU thread
 *     guestEpochWaiters += 1                   guestEpoch = even
 *     sleep while guestEpoch is what it was    guestEpochWaiters > 0? then notify
 *
 * Should the vCPU see no waiter, then the sleep, which compares the word itself, finds another epoch and does not begin. Bad outcome
 * of either race without its order: a frame is copied while the guest writes to it, or a thread that sleeps for ever.
 *
 * What is waited for is a change of the epoch, not a cleared bit: the vCPU may have left, dealt with the request and entered again
 * before the waiter looks, and the guest code that then runs is none of the waiter's business.
 */
import { atomicAdd, atomicLoad, notifyWaiters, spinUntilChanged, waitWhile } from "#sync";
import { REQUEST_CODE_LOG, VCPU } from "../../abi/layout.js";
import type { VcpuState } from "../../cpu/index.js";

/** Looks at the epoch before the first sleep. A trace of the guest takes a microsecond or so, a sleep and wake-up tens. */
const SPIN_COUNT = 2000;

/**
 * vCPU thread: says that guest code runs from now on. False = a request came first, and the vCPU is outside. The code log is left to
 * the core, which reads it before its first instruction.
 */
export function enterGuestMode(vcpu: VcpuState): boolean {
  atomicAdd(vcpu.words, vcpu.wordIndex(VCPU.guestEpoch), 1);
  if ((atomicLoad(vcpu.words, vcpu.wordIndex(VCPU.request)) & ~REQUEST_CODE_LOG) === 0) return true;
  leaveGuestMode(vcpu);
  return false;
}

/** vCPU thread: says that no guest code runs any more. Precondition: the last enterGuestMode answered true. */
export function leaveGuestMode(vcpu: VcpuState): void {
  const epoch = vcpu.wordIndex(VCPU.guestEpoch);
  atomicAdd(vcpu.words, epoch, 1);
  if (atomicLoad(vcpu.words, vcpu.wordIndex(VCPU.guestEpochWaiters)) !== 0) notifyWaiters(vcpu.words, epoch);
}

/**
 * vCPU thread, outside guest mode: has the processor read guest memory by the nested page table for `body`, without a TLB, as a walk for
 * a hypercall's argument does. The vCPU counts as in guest mode meanwhile: a change of pages waits for it once it has cut the
 * pages off, and a walk that begins later finds them cut. Requests are left for the entry.
 */
export function asInGuestMode<T>(vcpu: VcpuState, body: () => T): T {
  atomicAdd(vcpu.words, vcpu.wordIndex(VCPU.guestEpoch), 1);
  try {
    return body();
  } finally {
    leaveGuestMode(vcpu);
  }
}

/** The epoch under which a vCPU is in guest mode; undefined = it is outside. Any thread. */
export function guestModeEpoch(vcpu: VcpuState): number | undefined {
  const epoch = atomicLoad(vcpu.words, vcpu.wordIndex(VCPU.guestEpoch));
  return (epoch & 1) === 0 ? undefined : epoch;
}

/** Whether a vCPU is in guest mode at this moment. Any thread. */
export function isInGuestMode(vcpu: VcpuState): boolean {
  return guestModeEpoch(vcpu) !== undefined;
}

/**
 * Returns when the vCPU has left guest mode once since `epoch` was seen. Never called by the vCPU's own thread in guest mode.
 * May be called with locks held: guest mode takes none but the core's split lock (docs/locking.md). `mustNotSleep` only spins.
 */
export function waitUntilLeft(vcpu: VcpuState, epoch: number, mustNotSleep: boolean): void {
  const { words } = vcpu;
  const index = vcpu.wordIndex(VCPU.guestEpoch);
  if (spinUntilChanged(words, index, epoch, mustNotSleep ? Infinity : SPIN_COUNT)) return;
  const waiters = vcpu.wordIndex(VCPU.guestEpochWaiters);
  atomicAdd(words, waiters, 1);
  while (atomicLoad(words, index) === epoch) waitWhile(words, index, epoch);
  atomicAdd(words, waiters, -1);
}
