/** Threads of shinfo.test.ts: senders, a guest, and those who take its pages away or put them elsewhere. */
import { parentPort, workerData } from "node:worker_threads";
import { atomicAdd, atomicLoad, atomicStore, waitWhile } from "#sync";
import { gfnOf, gpaOf } from "../../abi/address.js";
import {
  __HYPERVISOR_event_channel_op, __HYPERVISOR_memory_op, __HYPERVISOR_vcpu_op, DOMID_SELF, EVTCHNOP_send, vcpu_register_vcpu_info,
  VCPUOP_register_runstate_memory_area, VCPUOP_register_vcpu_info, VCPUOP_register_vcpu_time_memory_area, xen_add_to_physmap,
  xen_remove_from_physmap, XENMAPSPACE_shared_info, XENMEM_add_to_physmap, XENMEM_remove_from_physmap,
} from "../../abi/xen/index.js";
import { HostMemory } from "../../host-memory/index.js";
import { AREA_PAGE, DomainThread, INFO_GFN, openPages, SHARED_GFN, takeEvents, WORD_CLOCK, WORD_KICKS, wordData } from "./domain-thread.js";
import { HOLE_GFN, SLOT_PAGES, TOGGLED_GFN, TOGGLED_SLOT, WORD_DONE, WORD_READY, WORD_STOP } from "./shinfo.words.js";
import type { ShinfoJob } from "./shinfo.words.js";

const job = workerData as ShinfoJob;
const host = HostMemory.attach(job.memory);
const parts = new DomainThread(host, job.swapFile, job.thread);
const isStopped = (): boolean => atomicLoad(host.words, WORD_STOP) !== 0;

/** Sends as often as told, or until told to stop; returns how often. */
function send(isSleepless: boolean): number {
  let sends = 0;
  for (; sends < job.rounds && !isStopped(); sends++) {
    atomicAdd(host.words, wordData(job.port), 1);
    const isRaised = isSleepless ? parts.domain.raisePortNoSleep(job.port) : parts.domain.raisePort(job.port);
    if (!isRaised) throw new Error(`port ${job.port} is not connected`);
    // As the device thread: looks pages up again where it may sleep.
    if (isSleepless && sends % 64 === 0) parts.domain.refreshDelivery();
  }
  atomicAdd(host.words, WORD_DONE, 1);
  parts.wakeGuest();
  return sends;
}

/** As a guest that halts when there is nothing: sleeps on its kicks. Returns what it last saw of the data of each port. */
function takeAll(): number[] {
  const { shared, info } = openPages(parts, job.hasOwnInfo);
  const seen = [0, 0, 0];
  for (;;) {
    const isOver = atomicLoad(host.words, WORD_DONE) >= job.senders || isStopped();
    const kicks = atomicLoad(host.words, WORD_KICKS);
    if (parts.domain.upcallPending(0)) takeEvents(parts, shared, info, seen);
    else if (isOver) return seen;
    // No time-out but a long one: an event that wakes nobody is to be noticed.
    else if (waitWhile(host.words, WORD_KICKS, kicks, 20_000) === "timed-out") throw new Error("the guest slept for 20 s: an event woke nobody");
  }
}

/** Moves and swaps the guest's pages, nearly without a pause. */
function moveAll(): number {
  let rounds = 0;
  for (; !isStopped() && atomicLoad(host.words, WORD_DONE) < job.senders; rounds++) {
    const gfns = [SHARED_GFN, INFO_GFN, gfnOf(AREA_PAGE), gfnOf(AREA_PAGE + 1)];
    if (rounds % 4 === 3) host.swapOut(gfns);
    else host.moveFrames(gfns);
    // The mutation lock is not fair: others who need it get a chance.
    if (rounds % 4 === 0) waitWhile(host.words, WORD_STOP, 0, 0.1);
  }
  return rounds;
}

function physmap(operation: number, gfn: number): number {
  return operation === XENMEM_add_to_physmap
    ? parts.call(__HYPERVISOR_memory_op, [operation], [xen_add_to_physmap.domid, 2, DOMID_SELF], [xen_add_to_physmap.space, 4, XENMAPSPACE_shared_info], [xen_add_to_physmap.gpfn, 8, gfn])
    : parts.call(__HYPERVISOR_memory_op, [operation], [xen_remove_from_physmap.domid, 2, DOMID_SELF], [xen_remove_from_physmap.gpfn, 8, gfn]);
}

/** Race A of xen_shinfo_test: shared_info goes to RAM, into a hole, away, and back. Returns the answers it got. */
function toggleSharedInfo(): number[] {
  const answers = new Set<number>();
  while (!isStopped()) {
    answers.add(physmap(XENMEM_add_to_physmap, HOLE_GFN));
    answers.add(physmap(XENMEM_remove_from_physmap, HOLE_GFN));
    answers.add(physmap(XENMEM_add_to_physmap, SHARED_GFN));
    host.moveFrames([SHARED_GFN]);
  }
  answers.add(physmap(XENMEM_add_to_physmap, SHARED_GFN));
  return [...answers];
}

/** Hypercalls and back ends that send while pages come and go; every answer must be one of the ABI's. */
function sendThroughHypercalls(): number[] {
  const answers = new Set<number>();
  while (!isStopped()) {
    answers.add(parts.call(__HYPERVISOR_event_channel_op, [EVTCHNOP_send], [0, 4, job.port]));
    parts.domain.raisePort(job.port);
    parts.domain.raisePortNoSleep(job.port);
    parts.domain.upcallPending(0);
  }
  return [...answers];
}

/** Registers areas and a vcpu_info of its vCPU, in RAM, over page ends, and in a memslot that comes and goes. */
function register(): number[] {
  const answers = new Set<number>();
  const places = [AREA_PAGE * 4096 + 4096 - 20, TOGGLED_GFN * 4096 + 4096 - 20, (TOGGLED_GFN + SLOT_PAGES) * 4096 - 20, AREA_PAGE * 4096 + 7];
  for (let round = 0; !isStopped(); round++) {
    const gpa = places[round % places.length]!;
    for (const operation of [VCPUOP_register_runstate_memory_area, VCPUOP_register_vcpu_time_memory_area]) {
      answers.add(parts.call(__HYPERVISOR_vcpu_op, [operation, job.port], [0, 8, gpa]));
    }
    const offset = [64, 4096 - 64, 4096 - 56, 12][round % 4]!;
    answers.add(parts.call(__HYPERVISOR_vcpu_op, [VCPUOP_register_vcpu_info, job.port],
      [vcpu_register_vcpu_info.mfn, 8, [TOGGLED_GFN, HOLE_GFN, TOGGLED_GFN + 1][round % 3]!], [vcpu_register_vcpu_info.offset, 4, offset]));
    atomicAdd(host.words, WORD_CLOCK, 1);
    parts.domain.setRunstate(job.port, parts.domain.runstate(job.port) === 0 ? 2 : 0);
  }
  return [...answers];
}

/** The memslot in which pages are registered comes and goes, moves, and is discarded. */
function toggleSlot(): number {
  let rounds = 0;
  for (; !isStopped(); rounds++) {
    host.removeMemslot(TOGGLED_SLOT);
    host.addMemslot({ id: TOGGLED_SLOT, baseGfn: gfnOf(TOGGLED_GFN), pageCount: SLOT_PAGES });
    host.discardPages(gfnOf(TOGGLED_GFN), SLOT_PAGES);
    host.moveFrames([gfnOf(TOGGLED_GFN), gfnOf(TOGGLED_GFN + 1)]);
  }
  return rounds;
}

const ROLES: Readonly<Record<ShinfoJob["role"], () => unknown>> = {
  sender: () => send(false), "sleepless sender": () => send(true), guest: takeAll, mover: moveAll, "shared_info toggler": toggleSharedInfo,
  "hypercall sender": sendThroughHypercalls, registrar: register, "slot toggler": toggleSlot,
};

function run(): { readonly result: unknown } | { readonly failure: string } {
  try {
    return { result: ROLES[job.role]() };
  } catch (error) {
    atomicStore(host.words, WORD_STOP, 1);
    return { failure: `${job.role}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}` };
  }
}

atomicAdd(host.words, WORD_READY, 1);
while (atomicLoad(host.words, WORD_READY) < job.threads) waitWhile(host.words, WORD_READY, atomicLoad(host.words, WORD_READY), 1);
const outcome = run();
parts.domain.close();
host.detach();
parentPort!.postMessage(outcome);
