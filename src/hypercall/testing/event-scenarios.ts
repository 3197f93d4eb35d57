/**
 * Scenarios of the Xen side (guest-page/testing/schedules.ts): events, polls and run states whose pages move while they are used.
 *
 * Events: a sender bumps a word of data, then raises its port; a guest that sees the port reads the word. So an event that got lost leaves
 * a word that the guest never saw. A guest that found nothing sleeps: whatever comes later must kick it.
 */
import { atomicAdd, atomicLoad, atomicStore } from "#sync";
import { gfnOf, gpaOf, gpaOfGfn } from "../../abi/address.js";
import { VM_BLOCK_BASE } from "../../abi/layout.js";
import {
  __HYPERVISOR_event_channel_op, __HYPERVISOR_memory_op, __HYPERVISOR_sched_op, __HYPERVISOR_vcpu_op, __HYPERVISOR_vm_assist, DOMID_SELF, EVTCHNOP_unmask,
  RUNSTATE_blocked, RUNSTATE_running, SCHEDOP_poll, sched_poll, shared_info, vcpu_info, vcpu_register_vcpu_info, vcpu_runstate_info,
  VCPUOP_register_runstate_memory_area, VCPUOP_register_vcpu_info, xen_add_to_physmap, XENMAPSPACE_shared_info, XENMEM_add_to_physmap,
} from "../../abi/xen/index.js";
import { GuestMemory } from "../../guest-page/index.js";
import type { GuestPage } from "../../guest-page/index.js";
import { auditPages } from "../../guest-page/testing/page-audit.js";
import { wirePretendVcpu } from "../../guest-page/testing/pretend-vcpu.js";
import type { Role, RoleParts, Scenario } from "../../guest-page/testing/schedules.js";
import { createSwapFile, SharedSwapStore } from "../../guest-page/testing/shared-swap-store.js";
import { HostMemory } from "../../host-memory/index.js";
import { XenDomain } from "../xen-domain.js";
import { FlatMemory, structOf } from "./test-domain.js";

const testWord = (index: number): number => ((VM_BLOCK_BASE + 0xf000) >>> 2) + (32 + index) * 16;
const WORD_KICKS = testWord(0);
const WORD_CLOCK = testWord(1);
/** Data of port n. */
const wordData = (port: number): number => testWord(4 + port);

/** Ports that the back ends have from the start: xenstore's and the console's. */
const PORTS = [1, 2] as const;
const SHARED_GFN = gfnOf(1);
const INFO_GFN = gfnOf(2);
const AREA_PAGE = 5;
const RAM_PAGES = 32;
const argumentGfn = (thread: number): number => 16 + thread;
const RAISES = 4;

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
      kick: () => void atomicAdd(host.words, WORD_KICKS, 1), ringDevice: () => undefined,
    });
  }

  /** A hypercall of vCPU 0 with a structure as its last argument. */
  call(number: number, args: readonly number[], ...values: Parameters<typeof structOf>[1][]): number {
    this.guest.write(gpaOf(this.#argument), structOf(32, ...values).bytes);
    const rax = this.domain.hypercall(0, number, [...args, this.#argument].map(BigInt), this.#linear);
    return Number(BigInt.asIntN(64, rax));
  }
}

interface Extra {
  readonly swapFile: SharedArrayBuffer;
}

/** Makes a role from its handles. */
function withDomain(thread: number, make: (parts: DomainThread) => Role): (parts: RoleParts) => Role {
  return ({ memory, extra }) => make(new DomainThread(HostMemory.attach(memory), (extra as Extra).swapFile, thread));
}

/** Takes all pending events as Linux does: upcall byte, selector word, pending words. Says what it saw of each port's data. */
function takeEvents(parts: DomainThread, shared: GuestPage, info: GuestPage, seen: number[]): void {
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
function openPages({ guest }: DomainThread, hasOwnInfo: boolean): { shared: GuestPage; info: GuestPage } {
  const shared = guest.openPage(gpaOfGfn(SHARED_GFN), 4096, "test")!;
  const info = hasOwnInfo ? guest.openPage(gpaOfGfn(INFO_GFN, 64), vcpu_info.size, "test")! : shared;
  return { shared, info };
}

/** vCPU 0's guest: looks a few times, masks and unmasks, and sleeps when it finds nothing. */
function guestRole(hasOwnInfo: boolean): (parts: RoleParts) => Role {
  return withDomain(0, (parts) => {
    const { shared, info } = openPages(parts, hasOwnInfo);
    return {
      run: (round) => {
        const seen = [0, 0, 0];
        let kicksBefore = 0;
        let isAsleep = false;
        for (let look = 0; look < 4 && !isAsleep; look++) {
          const masks = round % 3 === 0 && look === 0;
          if (masks) shared.access((view) => view.testAndSetBit(2, shared_info.evtchn_mask));
          kicksBefore = atomicLoad(parts.host.words, WORD_KICKS);
          isAsleep = !parts.domain.upcallPending(0);
          if (!isAsleep) takeEvents(parts, shared, info, seen);
          if (masks) {
            parts.call(__HYPERVISOR_event_channel_op, [EVTCHNOP_unmask], [0, 4, 2]);
            isAsleep = false;
          }
        }
        return [isAsleep ? 1 : 0, kicksBefore, seen[1]!, seen[2]!];
      },
    };
  });
}

/** Raises `port` several times, without a sleep in some of them. */
function senderRole(thread: number, port: number, sleepless: (round: number, turn: number) => boolean, raises = RAISES): (parts: RoleParts) => Role {
  return withDomain(thread, (parts) => ({
    prepare: () => parts.domain.refreshDelivery(),
    run: (round) => {
      for (let turn = 0; turn < raises; turn++) {
        atomicAdd(parts.host.words, wordData(port), 1);
        const isRaised = sleepless(round, turn) ? parts.domain.raisePortNoSleep(port) : parts.domain.raisePort(port);
        if (!isRaised) throw new Error(`port ${port} is not connected`);
      }
      return [];
    },
  }));
}

/** Raises `port` through no page at all: it has none open, and may not open one. Each send leaves a note. */
function notingRole(thread: number, port: number): (parts: RoleParts) => Role {
  return (parts) => ({ ...senderRole(thread, port, () => true, 2)(parts), prepare: () => undefined });
}

/** Takes the pages away in every way that keeps contents. */
function moverRole(thread: number): (parts: RoleParts) => Role {
  return withDomain(thread, ({ host }) => ({
    run: (round) => {
      for (let turn = 0; turn < 2; turn++) {
        const draw = (Math.imul(round, 0x9e37_79b1) >>> 9) + turn;
        if (draw % 3 === 0) host.moveFrames([SHARED_GFN, INFO_GFN, gfnOf(AREA_PAGE), gfnOf(AREA_PAGE + 1)]);
        else if (draw % 3 === 1) host.swapOut([INFO_GFN, SHARED_GFN, gfnOf(AREA_PAGE + 1)]);
        else host.mergeEqualPages();
      }
      return [];
    },
  }));
}

function createDomain(configure: (parts: DomainThread) => void): { host: HostMemory; extra: Extra } {
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

function mapSharedInfo(parts: DomainThread, gfn: number): void {
  const result = parts.call(__HYPERVISOR_memory_op, [XENMEM_add_to_physmap], [xen_add_to_physmap.domid, 2, DOMID_SELF],
    [xen_add_to_physmap.space, 4, XENMAPSPACE_shared_info], [xen_add_to_physmap.gpfn, 8, gfn]);
  if (result !== 0) throw new Error(`add_to_physmap answered ${result}`);
}

function registerVcpuInfo(parts: DomainThread): void {
  const result = parts.call(__HYPERVISOR_vcpu_op, [VCPUOP_register_vcpu_info, 0], [vcpu_register_vcpu_info.mfn, 8, INFO_GFN],
    [vcpu_register_vcpu_info.offset, 4, 64]);
  if (result !== 0) throw new Error(`register_vcpu_info answered ${result}`);
}

/** What stays between rounds: the checker's own handles, made once a host. */
const checkers = new WeakMap<HostMemory, DomainThread>();

function checkerOf(host: HostMemory, extra: unknown): DomainThread {
  const found = checkers.get(host) ?? new DomainThread(host, (extra as Extra).swapFile, 14);
  checkers.set(host, found);
  return found;
}

/** After a round: what the guest finds when it looks once more, and whether it was woken for it. */
function checkEvents(parts: DomainThread, hasOwnInfo: boolean, guest: readonly number[]): void {
  const { shared, info } = openPages(parts, hasOwnInfo);
  const [isAsleep, kicksBefore, ...seen] = guest;
  const all = [0, ...seen];
  const kicks = atomicLoad(parts.host.words, WORD_KICKS);
  let found = 0;
  for (; parts.domain.upcallPending(0); found++) takeEvents(parts, shared, info, all);
  if (isAsleep === 1 && found > 0 && kicks === kicksBefore) throw new Error("an event came while the guest slept, and nobody woke it");
  for (const port of PORTS) {
    const data = atomicLoad(parts.host.words, wordData(port));
    const isPending = shared.access((view) => view.testBit(port, shared_info.evtchn_pending));
    if (isPending === true) throw new Error(`port ${port} is pending, and nothing tells the guest`);
    if (all[port] !== data) throw new Error(`an event of port ${port} is lost: its data is ${data}, the guest last saw ${all[port]}`);
  }
  for (const page of new Set([shared, info])) page.deactivate();
}

function resetEvents(host: HostMemory): void {
  for (const port of PORTS) atomicStore(host.words, wordData(port), 0);
  atomicStore(host.words, WORD_KICKS, 0);
}

function eventScenario(name: string, hasOwnInfo: boolean, others: Scenario["roles"]): Scenario {
  return {
    name,
    roles: [guestRole(hasOwnInfo), ...others],
    create: () => createDomain((parts) => {
      mapSharedInfo(parts, SHARED_GFN);
      if (hasOwnInfo) registerVcpuInfo(parts);
      const { shared, info } = openPages(parts, hasOwnInfo);
      while (parts.domain.upcallPending(0)) takeEvents(parts, shared, info, []);
    }),
    before: (host) => resetEvents(host),
    after: (host, extra, _round, results) => {
      checkEvents(checkerOf(host, extra), hasOwnInfo, results[0]!);
      auditPages(host);
    },
  };
}

/** Polls the masked console port as the run loop does (exit/scheduling.ts): what comes behind its last look must kick it. */
const pollerRole = withDomain(0, (parts) => ({
  prepare: () => void parts.guest.writeU32(gpaOfGfn(gfnOf(argumentGfn(0)), 128), 2),
  run: () => {
    const result = parts.call(__HYPERVISOR_sched_op, [SCHEDOP_poll], [sched_poll.ports, 8, argumentGfn(0) * 4096 + 128], [sched_poll.nr_ports, 4, 1]);
    if (result !== 0) throw new Error(`poll answered ${result}`);
    if (parts.domain.takeSchedulingRequest(0).kind !== "poll") return [0, 0];
    const kicksBefore = atomicLoad(parts.host.words, WORD_KICKS);
    return [parts.domain.pollReady(0) ? 0 : 1, kicksBefore];
  },
  finish: () => parts.domain.endPoll(0),
}));

const pollScenario: Scenario = {
  name: "a poller and senders",
  roles: [pollerRole, senderRole(1, 2, (round) => round % 2 === 0), moverRole(2)],
  create: () => createDomain((parts) => {
    mapSharedInfo(parts, SHARED_GFN);
    const { shared } = openPages(parts, false);
    shared.access((view) => view.testAndSetBit(2, shared_info.evtchn_mask));
  }),
  before: (host, extra) => {
    resetEvents(host);
    const { domain, guest } = checkerOf(host, extra);
    domain.upcallPending(0);
    const shared = guest.openPage(gpaOfGfn(SHARED_GFN), 4096, "test")!;
    shared.access((view) => view.testAndClearBit(2, shared_info.evtchn_pending));
    shared.deactivate();
    atomicStore(host.words, WORD_KICKS, 0);
  },
  after: (host, _extra, _round, results) => {
    const [isAsleep, kicksBefore] = results[0]!;
    if (isAsleep === 1 && atomicLoad(host.words, WORD_KICKS) === kicksBefore) throw new Error("a poller sleeps while its port is pending");
  },
};

/** Changes of the run state, each at a later time; the state follows from the time, so that a reader can check one by the other. */
const runnerRole = withDomain(0, (parts) => ({
  run: () => {
    for (let turn = 0; turn < 3; turn++) {
      const now = atomicAdd(parts.host.words, WORD_CLOCK, 1) + 1;
      parts.domain.setRunstate(0, stateAt(now));
    }
    return [];
  },
}));

function stateAt(now: number): number {
  return now % 2 === 0 ? RUNSTATE_running : RUNSTATE_blocked;
}

const wordArea = testWord(2);
const ENTRY = vcpu_runstate_info.state_entry_time;

/** Another vCPU's guest reads the area by the update flag's protocol, a byte an access: nothing but the protocol keeps it whole. */
const readerRole = withDomain(1, ({ host, guest }) => {
  const pages = [AREA_PAGE, AREA_PAGE + 1].map((gfn) => guest.openPage(gpaOfGfn(gfnOf(gfn)), 4096, "test")!);
  const byteAt = (gpa: number): number => pages[Math.floor(gpa / 4096) - AREA_PAGE]!.access((view) => view.loadU8(gpa % 4096)) ?? 0;
  const numberAt = (gpa: number, size: number): bigint => {
    let value = 0n;
    for (let byte = 0; byte < size; byte++) value |= BigInt(byteAt(gpa + byte)) << BigInt(8 * byte);
    return value;
  };
  return {
    run: () => {
      const area = atomicLoad(host.words, wordArea);
      const entry = numberAt(area + ENTRY, 8);
      const state = Number(numberAt(area, 4));
      const times = [0, 1, 2, 3].map((at) => numberAt(area + vcpu_runstate_info.time + 8 * at, 8));
      const again = numberAt(area + ENTRY, 8);
      if ((entry & (1n << 63n)) !== 0n || entry !== again) return [0];
      const sum = times.reduce((total, time) => total + time, 0n);
      if (sum !== entry) throw new Error(`run state times ${times} add up to ${sum}, the entry time is ${entry}`);
      if (state !== stateAt(Number(entry))) throw new Error(`run state ${state} at entry time ${entry}`);
      return [1];
    },
  };
});

const runstateScenario: Scenario = {
  name: "run states over two pages, a reader and a mover",
  roles: [runnerRole, readerRole, moverRole(2)],
  create: () => createDomain((parts) => {
    const result = Number(parts.domain.hypercall(0, __HYPERVISOR_vm_assist, [0n, 5n], new FlatMemory(parts.guest)));
    if (result !== 0) throw new Error(`vm_assist answered ${result}`);
  }),
  before: (host, extra, round) => {
    const parts = checkerOf(host, extra);
    // Every byte alignment, on both sides of the page end, one after the other.
    const area = (AREA_PAGE + 1) * 4096 - (round % (vcpu_runstate_info.size + 2));
    atomicStore(host.words, wordArea, area);
    const now = atomicLoad(host.words, WORD_CLOCK);
    if (stateAt(now) !== parts.domain.runstate(0)) parts.domain.setRunstate(0, stateAt(now));
    const result = parts.call(__HYPERVISOR_vcpu_op, [VCPUOP_register_runstate_memory_area, 0], [0, 8, area]);
    if (result !== 0) throw new Error(`register_runstate_memory_area answered ${result}`);
  },
  after: (host) => auditPages(host),
};

const SENDERS_AND_MOVER = [senderRole(1, 1, () => false), senderRole(2, 2, () => true), moverRole(3)];

/** All of them. */
export const SCENARIOS: readonly Scenario[] = [
  eventScenario("events in shared_info, a guest and a mover", false, SENDERS_AND_MOVER),
  eventScenario("events with a vcpu_info of its own, a guest and a mover", true, SENDERS_AND_MOVER),
  eventScenario("notes of senders that may not sleep, and a guest", false, [notingRole(1, 1), notingRole(2, 2)]),
  pollScenario,
  runstateScenario,
];
