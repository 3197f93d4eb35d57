/** A thread of a test domain, on a real host memory, and what tests of events agree on: pages, ports, words by which they talk. */
import { atomicAdd, atomicLoad, notifyWaiters } from "#sync";
import { gfnOf, gpaOf, gpaOfGfn } from "../../abi/address.js";
import { VM_BLOCK_BASE } from "../../abi/layout.js";
import {
  __HYPERVISOR_memory_op, __HYPERVISOR_vcpu_op, DOMID_SELF, shared_info, vcpu_info, vcpu_register_vcpu_info, VCPUOP_register_vcpu_info,
  xen_add_to_physmap, XENMAPSPACE_shared_info, XENMEM_add_to_physmap,
} from "../../abi/xen/index.js";
import { GuestMemory } from "../../guest-page/index.js";
import type { GuestPage } from "../../guest-page/index.js";
import { wirePretendVcpu } from "../../guest-page/testing/pretend-vcpu.js";
import { createSwapFile, SharedSwapStore } from "../../guest-page/testing/shared-swap-store.js";
import { HostMemory } from "../../host-memory/index.js";
import { XenDomain } from "../xen-domain.js";
import { FlatMemory, structOf } from "./test-domain.js";

/** Words in a part of the VM block that only tests use. */
export const testWord = (index: number): number => ((VM_BLOCK_BASE + 0xf000) >>> 2) + (32 + index) * 16;
export const WORD_KICKS = testWord(0);
export const WORD_CLOCK = testWord(1);
/** Data of port n. */
export const wordData = (port: number): number => testWord(4 + port);

/** Ports that the back ends have from the start: xenstore's and the console's. */
export const PORTS = [1, 2] as const;
export const SHARED_GFN = gfnOf(1);
export const INFO_GFN = gfnOf(2);
export const AREA_PAGE = 5;
export const RAM_PAGES = 32;
export const argumentGfn = (thread: number): number => 16 + thread;

/** A thread's handles on the domain. */
export class DomainThread {
  readonly host: HostMemory;
  readonly guest: GuestMemory;
  readonly domain: XenDomain;
  readonly #linear: FlatMemory;
  readonly #argument: number;

  constructor(host: HostMemory, swapFile: SharedArrayBuffer, thread: number) {
    this.host = host;
    host.setSwapStore(new SharedSwapStore(swapFile, () => void atomicLoad(host.words, 0)));
    wirePretendVcpu(host);
    this.guest = new GuestMemory(host);
    this.#linear = new FlatMemory(this.guest);
    this.#argument = argumentGfn(thread) * 4096;
    this.domain = new XenDomain({
      host, guest: this.guest, vcpuCount: 2, clock: { nowNs: () => atomicLoad(host.words, WORD_CLOCK) },
      kick: () => this.wakeGuest(), ringDevice: () => undefined,
    });
  }

  /** What a kick does here: counts, and wakes who sleeps on the count. */
  wakeGuest(): void {
    atomicAdd(this.host.words, WORD_KICKS, 1);
    notifyWaiters(this.host.words, WORD_KICKS);
  }

  /** A hypercall of vCPU 0 with a structure as its last argument. */
  call(number: number, args: readonly number[], ...values: Parameters<typeof structOf>[1][]): number {
    this.guest.write(gpaOf(this.#argument), structOf(32, ...values).bytes);
    const rax = this.domain.hypercall(0, number, [...args, this.#argument].map(BigInt), this.#linear);
    return Number(BigInt.asIntN(64, rax));
  }
}

/** What threads share besides the host memory. */
export interface Extra {
  readonly swapFile: SharedArrayBuffer;
}

/** Takes all pending events as Linux does: upcall byte, selector word, pending words. Says what it saw of each port's data. */
export function takeEvents(parts: DomainThread, shared: GuestPage, info: GuestPage, seen: number[]): void {
  info.access((view) => void view.exchangeU8(vcpu_info.evtchn_upcall_pending, 0));
  const selector = info.access((view) => view.exchangeU64(vcpu_info.evtchn_pending_sel, 0n)) ?? 0n;
  if ((selector & 1n) === 0n) return;
  const masked = shared.access((view) => view.loadU64(shared_info.evtchn_mask)) ?? 0n;
  for (const port of PORTS) {
    if ((masked & (1n << BigInt(port))) !== 0n) continue;
    if (shared.access((view) => view.testAndClearBit(port, shared_info.evtchn_pending)) !== true) continue;
    seen[port] = atomicLoad(parts.host.words, wordData(port));
  }
}

/** The guest's pages: shared_info, and its own vcpu_info wherever it is. */
export function openPages({ guest }: DomainThread, hasOwnInfo: boolean): { shared: GuestPage; info: GuestPage } {
  const shared = guest.openPage(gpaOfGfn(SHARED_GFN), 4096, "test")!;
  const info = hasOwnInfo ? guest.openPage(gpaOfGfn(INFO_GFN, 64), vcpu_info.size, "test")! : shared;
  return { shared, info };
}

/** A domain with both back end ports; `configure` does the rest. */
export function createDomain(configure: (parts: DomainThread) => void): { host: HostMemory; extra: Extra } {
  const host = HostMemory.create({ guestMemoryBytes: 0x10_0000, vcpuCount: 2 });
  host.addMemslot({ id: 1, baseGfn: gfnOf(0), pageCount: RAM_PAGES });
  const extra = { swapFile: createSwapFile(8) };
  const parts = new DomainThread(host, extra.swapFile, 15);
  parts.domain.initialise({
    consoleGfn: gfnOf(12), xenstoreGfn: gfnOf(13), memoryPages: RAM_PAGES, highestGfn: gfnOf(RAM_PAGES - 1), wallClockMs: 1_700_000_000_000,
  });
  configure(parts);
  parts.domain.close();
  return { host, extra };
}

/** XENMEM_add_to_physmap of shared_info. */
export function mapSharedInfo(parts: DomainThread, gfn: number): void {
  const result = parts.call(__HYPERVISOR_memory_op, [XENMEM_add_to_physmap], [xen_add_to_physmap.domid, 2, DOMID_SELF],
    [xen_add_to_physmap.space, 4, XENMAPSPACE_shared_info], [xen_add_to_physmap.gpfn, 8, gfn]);
  if (result !== 0) throw new Error(`add_to_physmap answered ${result}`);
}

/** VCPUOP_register_vcpu_info of vCPU 0. */
export function registerVcpuInfo(parts: DomainThread): void {
  const result = parts.call(__HYPERVISOR_vcpu_op, [VCPUOP_register_vcpu_info, 0], [vcpu_register_vcpu_info.mfn, 8, INFO_GFN],
    [vcpu_register_vcpu_info.offset, 4, 64]);
  if (result !== 0) throw new Error(`register_vcpu_info answered ${result}`);
}
