/**
 * Requests to vCPUs from any thread (KVM's contract: Documentation/virt/kvm/vcpu-requests.rst).
 *
 * A request is a bit of VCPU.request. Who waits gets: every vCPU that was in guest mode when its bit was set has been outside since,
 * and none runs guest code again without having seen the bit. It may have seen it already and be back in guest mode. A vCPU that is
 * outside, be it halted, parked, at the gate or in an exit, is not waited for; so is the caller's own.
 */
import { atomicAdd, atomicAddLong, atomicAnd, atomicLoad, atomicLoadLong, atomicOr, notifyWaiters } from "#sync";
import { MACHINE_BLOCK_BASE, REQUEST_COUNTERS } from "../../abi/channels.js";
import { REQUEST_KICK, REQUESTS_QUIET, REQUEST_TLB_FLUSH, VCPU } from "../../abi/layout.js";
import type { VcpuState } from "../../cpu/index.js";
import { guestModeEpoch, waitUntilLeft } from "./guest-mode.js";

const NS_PER_MS = 1e6;

/** How a request is made. */
export interface RequestOptions {
  /** Return only when every vCPU that was in guest mode has left it. Default: no. */
  readonly wait?: boolean;
  /** Wake vCPUs that sleep. Default: unless all bits are of REQUESTS_QUIET. Others must wake: they end a sleep. */
  readonly wake?: boolean;
  /** Wait without sleeping, for callers that must not. Default: no. */
  readonly mustNotSleep?: boolean;
}

/**
 * Sets the bits `request` (REQUEST_*, not 0) at all of `vcpus`; returns whether any of them was in guest mode and had to be waited for.
 * Any thread, outside guest mode. With `wait` it may sleep, unless told not to.
 */
export function makeAllVcpusRequest(vcpus: readonly VcpuState[], request: number, options: RequestOptions = {}): boolean {
  const isQuiet = (request & ~REQUESTS_QUIET) === 0;
  const { wait = false, wake = !isQuiet, mustNotSleep = false } = options;
  if (!wake && !isQuiet) throw new Error(`expected a request that wakes to wake, got 0x${request.toString(16)} with wake: false`);
  for (const vcpu of vcpus) postRequest(vcpu, request, wake);
  if (vcpus.length > 0) count(vcpus[0]!, REQUEST_COUNTERS.made, 1);
  return wait && waitUntilAllLeft(vcpus, mustNotSleep);
}

/** As makeAllVcpusRequest, for those of `vcpus` whose bit of `mask` (bit n = vCPU index n) is set. */
export function makeVcpusRequest(vcpus: readonly VcpuState[], mask: number, request: number, options: RequestOptions = {}): boolean {
  return makeAllVcpusRequest(vcpus.filter(({ index }) => (mask & (1 << index)) !== 0), request, options);
}

/**
 * Returns when every vCPU that is in guest mode at the call has left it once; there is nothing for them to do. Says whether there was one.
 * What the caller wrote before is seen by all guest code from then on. May sleep, unless told not to.
 */
export function waitUntilOutside(vcpus: readonly VcpuState[], mustNotSleep = false): boolean {
  const inside = vcpus.filter((vcpu) => guestModeEpoch(vcpu) !== undefined);
  return inside.length > 0 && makeAllVcpusRequest(inside, REQUEST_KICK, { wait: true, mustNotSleep });
}

/**
 * Makes every vCPU drop its TLB; on return none of them reaches guest memory through a translation from before the call. Neither wakes
 * nor waits for halted, parked and paused ones, which flush before they run again.
 */
export function flushVcpuTlbs(vcpus: readonly VcpuState[], options: { readonly mustNotSleep?: boolean } = {}): void {
  makeAllVcpusRequest(vcpus, REQUEST_TLB_FLUSH, { wait: true, mustNotSleep: options.mustNotSleep ?? false });
}

/** Counters of the requests to the vCPUs of one VM; counts wrap at 2^32. */
export interface RequestStatistics {
  readonly made: number;
  /** vCPUs waited for. */
  readonly waits: number;
  readonly waitNs: number;
}

/** Reads the counters of the VM that `vcpu` belongs to. Any thread. */
export function requestStatistics(vcpu: VcpuState): RequestStatistics {
  return {
    made: atomicLoad(vcpu.words, counterIndex(REQUEST_COUNTERS.made)) >>> 0,
    waits: atomicLoad(vcpu.words, counterIndex(REQUEST_COUNTERS.waits)) >>> 0,
    waitNs: Number(atomicLoadLong(vcpu.longs, counterIndex(REQUEST_COUNTERS.waitNs) >>> 1)),
  };
}

/** Takes gate requests back and lets the vCPUs look: the other half of a gate (gate.ts). Any thread. */
export function clearRequest(vcpus: readonly VcpuState[], request: number): void {
  for (const vcpu of vcpus) {
    atomicAnd(vcpu.words, vcpu.wordIndex(VCPU.request), ~request);
    notifyWaiters(vcpu.words, vcpu.wordIndex(VCPU.request));
  }
}

function postRequest(vcpu: VcpuState, request: number, wake: boolean): void {
  const index = vcpu.wordIndex(VCPU.request);
  atomicOr(vcpu.words, index, request);
  if (wake) notifyWaiters(vcpu.words, index);
}

/** All bits are set and all epochs are seen before the first wait: who comes in meanwhile has looked at its bit. */
function waitUntilAllLeft(vcpus: readonly VcpuState[], mustNotSleep: boolean): boolean {
  const begunMs = performance.now();
  const epochs = vcpus.map(guestModeEpoch);
  let waits = 0;
  for (const [n, epoch] of epochs.entries()) {
    if (epoch === undefined) continue;
    waits++;
    waitUntilLeft(vcpus[n]!, epoch, mustNotSleep);
  }
  if (waits === 0) return false;
  const { longs } = vcpus[0]!;
  count(vcpus[0]!, REQUEST_COUNTERS.waits, waits);
  atomicAddLong(longs, counterIndex(REQUEST_COUNTERS.waitNs) >>> 1, BigInt(Math.round((performance.now() - begunMs) * NS_PER_MS)));
  return true;
}

function count(vcpu: VcpuState, counter: number, amount: number): void {
  atomicAdd(vcpu.words, counterIndex(counter), amount);
}

function counterIndex(counter: number): number {
  return (MACHINE_BLOCK_BASE + counter) >>> 2;
}
