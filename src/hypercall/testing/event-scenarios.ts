/**
 * Scenarios of the Xen side (guest-page/testing/schedules.ts): events, polls and run states whose pages move while they are used.
 *
 * Events: a sender bumps a word of data, then raises its port; a guest that sees the port reads the word. So an event that got lost leaves
 * a word that the guest never saw. A guest that found nothing sleeps: whatever comes later must kick it.
 */
import { atomicAdd, atomicLoad, atomicStore } from "#sync";
import { gfnOf, gpaOfGfn } from "../../abi/address.js";
import {
  __HYPERVISOR_event_channel_op, __HYPERVISOR_sched_op, __HYPERVISOR_vcpu_op, __HYPERVISOR_vm_assist, EVTCHNOP_unmask, RUNSTATE_blocked,
  RUNSTATE_running, SCHEDOP_poll, sched_poll, shared_info, vcpu_runstate_info, VCPUOP_register_runstate_memory_area,
} from "../../abi/xen/index.js";
import { auditPages } from "../../guest-page/testing/page-audit.js";
import type { Role, RoleParts, Scenario } from "../../guest-page/testing/schedules.js";
import { HostMemory } from "../../host-memory/index.js";
import { AREA_PAGE, argumentGfn, createDomain, DomainThread, INFO_GFN, mapSharedInfo, openPages, PORTS, registerVcpuInfo, SHARED_GFN, takeEvents, testWord,
  WORD_CLOCK, WORD_KICKS, wordData } from "./domain-thread.js";
import type { Extra } from "./domain-thread.js";
import { FlatMemory } from "./test-domain.js";

const RAISES = 4;

/** Makes a role from its handles. */
function withDomain(thread: number, make: (parts: DomainThread) => Role): (parts: RoleParts) => Role {
  return ({ memory, extra }) => make(new DomainThread(HostMemory.attach(memory), (extra as Extra).swapFile, thread));
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

/** Raises `port` through no page at all: it has none open, and may not open one. The send leaves a note. */
function notingRole(thread: number, port: number): (parts: RoleParts) => Role {
  return (parts) => ({ ...senderRole(thread, port, () => true, 1)(parts), prepare: () => undefined });
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
