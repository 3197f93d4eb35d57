/**
 * The behaviours of KVM's xen_shinfo_test that our guest ABI has. Those that other files test are not repeated:
 *
 *     1  deliveries follow what is mapped over shared_info        here
 *     2  the upcall reaches the guest by its vector               exit/run-loop.test.ts
 *     3  run states grow and come back                            vcpu/vcpu-op.test.ts
 *     4  times add up to the entry time at every look             here; hypercall/testing/event-scenarios.ts under moves
 *     5  steal time                                               not of this ABI
 *     6  a masked port is pending without an interrupt            event-channel/event-channel.test.ts
 *     7  an unmasked one interrupts                               event-channel/event-channel.test.ts
 *     8  deliveries go on behind a change of memslots             here
 *     9  back ends send                                           event-channel/event-channel.test.ts
 *    10  EVTCHNOP_send, also behind a change of memslots          event-channel/event-channel.test.ts, here
 *    11  one-shot timers: set, due, past, stopped                 vcpu/vcpu-op.test.ts
 *    12  SCHEDOP_poll: pending, masked, kicked                    families.test.ts, event-channel/event-channel.test.ts, event-scenarios.ts
 *    13  vcpu_info registered twice                               event-channel/event-channel.test.ts: -EINVAL, as in Xen
 *    14  races A and B: shared_info comes and goes under senders  here
 *    15  EVTCHNOP_reset                                           event-channel/event-channel.test.ts
 *    16  wall clock and time infos have even versions             memory/memory-op.test.ts, vcpu/vcpu-op.test.ts
 *    17  run states at every byte around a page end               here (there are no 32-bit guests to switch from)
 *    18  the update flag can be asked for                         families.test.ts
 *
 * UNPINNED_STRESS_SECONDS makes the races longer.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { atomicLoad, atomicStore } from "#sync";
import { gfnOf, gpaOf } from "../../abi/address.js";
import {
  __HYPERVISOR_event_channel_op, __HYPERVISOR_vcpu_op, __HYPERVISOR_vm_assist, EFAULT, EINVAL, ENOMEM, EVTCHNOP_send, RUNSTATE_blocked, RUNSTATE_running,
  shared_info, vcpu_runstate_info, VCPUOP_register_runstate_memory_area,
} from "../../abi/xen/index.js";
import { auditPages } from "../../guest-page/testing/page-audit.js";
import type { HostMemory } from "../../host-memory/index.js";
import { createDomain, mapSharedInfo, openPages, PORTS, registerVcpuInfo, SHARED_GFN, takeEvents, wordData } from "./domain-thread.js";
import type { DomainThread, Extra } from "./domain-thread.js";
import { SLOT_PAGES, TOGGLED_GFN, TOGGLED_SLOT, WORD_READY, WORD_STOP } from "./shinfo.words.js";
import type { ShinfoJob } from "./shinfo.words.js";
import { ARGUMENT_GVA, structOf, TestDomain } from "./test-domain.js";

const SECONDS = Number(process.env["UNPINNED_STRESS_SECONDS"] ?? 3);
const SENDS = 500_000;

function mapped(): TestDomain {
  const domain = new TestDomain();
  domain.put(structOf(24, [0, 2, 0x7ff0], [16, 8, SHARED_GFN]));
  assert.equal(domain.call(12, [7, ARGUMENT_GVA]), 0);
  return domain;
}

function isPortPending(domain: TestDomain, port: number): boolean {
  return (domain.get(SHARED_GFN * 4096 + shared_info.evtchn_pending, 8).u64(0) & (1n << BigInt(port))) !== 0n;
}

test("1: after something else is mapped over shared_info, deliveries land in the new page", () => {
  const domain = mapped();
  domain.domain.raisePort(1);
  assert.ok(domain.host.remapPages(SHARED_GFN, [new Uint8Array(4096)]));
  assert.ok(!isPortPending(domain, 1) && !domain.domain.upcallPending(0));
  assert.ok(domain.domain.raisePort(2));
  assert.deepEqual([isPortPending(domain, 1), isPortPending(domain, 2), domain.domain.upcallPending(0)], [false, true, true]);
  domain.close();
});

test("8, 10: deliveries and EVTCHNOP_send go on behind changes of memslots that have nothing to do with them", () => {
  const domain = mapped();
  for (let id = 10; id < 20; id++) {
    domain.host.addMemslot({ id, baseGfn: gfnOf(0x1_0000 + id), pageCount: 1 });
    if (id % 2 === 1) domain.host.removeMemslot(id - 1);
    assert.ok(domain.domain.raisePort(1 + (id % 2)));
    domain.put(structOf(8, [0, 4, 2]));
    assert.equal(domain.call(__HYPERVISOR_event_channel_op, [EVTCHNOP_send, ARGUMENT_GVA]), 0);
  }
  assert.ok(isPortPending(domain, 1) && isPortPending(domain, 2));
  domain.close();
});

test("4, 17: run states at every byte around a page end add up at every look, and touch nothing beside their area", () => {
  const domain = mapped();
  assert.equal(domain.call(__HYPERVISOR_vm_assist, [0, 5]), 0);
  const began = BigInt(domain.nowNs);
  for (let back = vcpu_runstate_info.size + 2; back >= -2; back--) {
    const gpa = 0x6000 - back;
    domain.guest.fill(gpaOf(0x5f00), 0x200, 0x5a);
    domain.put(structOf(8, [0, 8, gpa]));
    assert.equal(domain.call(__HYPERVISOR_vcpu_op, [VCPUOP_register_runstate_memory_area, 0, ARGUMENT_GVA]), 0);
    for (const state of [RUNSTATE_blocked, RUNSTATE_running]) {
      domain.nowNs += 1000 + back;
      domain.domain.setRunstate(0, state);
      const area = domain.get(gpa, vcpu_runstate_info.size);
      const times = [0, 1, 2, 3].map((at) => area.u64(vcpu_runstate_info.time + 8 * at));
      const entry = area.u64(vcpu_runstate_info.state_entry_time);
      assert.deepEqual([area.u32(0), entry, times.reduce((sum, time) => sum + time)], [state, BigInt(domain.nowNs), entry - began], `${back} bytes before the page end`);
      assert.deepEqual([domain.get(gpa - 1, 1).bytes[0], domain.get(gpa + vcpu_runstate_info.size, 1).bytes[0]], [0x5a, 0x5a]);
    }
    domain.host.moveFrames([gfnOf(5), gfnOf(6)]);
  }
  domain.close();
});

const pause = (ms: number): Promise<false> => new Promise((resolve) => setTimeout(() => resolve(false), ms));

interface RunOptions {
  /** How long the threads go on, once all are ready; absent: until they end by themselves. */
  readonly seconds?: number;
  readonly onReady?: () => void;
}

type Start = Pick<ShinfoJob, "role"> & Partial<ShinfoJob>;

/** Runs threads on a domain until `ends` says so; returns what each answered. Fails when one failed. */
async function runThreads(host: HostMemory, { swapFile }: Extra, starts: readonly Start[], { seconds, onReady = () => undefined }: RunOptions = {}): Promise<unknown[]> {
  const senders = starts.filter(({ role }) => role.endsWith("sender")).length;
  const results = starts.map((start, thread) => new Promise<unknown>((resolve, reject) => {
    const job: ShinfoJob = { memory: host.memory, swapFile, thread, threads: starts.length, port: 1, rounds: Infinity, senders, hasOwnInfo: false, ...start };
    const worker = new Worker(new URL("./shinfo.worker.js", import.meta.url), { workerData: job });
    worker.once("error", reject).once("exit", () => reject(new Error(`the ${start.role} ended without an answer`)));
    worker.once("message", (outcome: { result?: unknown; failure?: string }) => {
      if (outcome.failure === undefined) resolve(outcome.result);
      else reject(new Error(outcome.failure));
    });
  }));
  const all = Promise.all(results);
  // Who died meanwhile has rejected already.
  const isOver = all.then(() => true, () => true);
  while (atomicLoad(host.words, WORD_READY) < starts.length && !(await Promise.race([isOver, pause(2)])));
  onReady();
  if (seconds !== undefined) setTimeout(() => atomicStore(host.words, WORD_STOP, 1), seconds * 1000);
  return all;
}

for (const hasOwnInfo of [false, true]) {
  test(`no event is lost of a million sends while ${hasOwnInfo ? "vcpu_info" : "shared_info"} moves and is swapped out, half of them by who may not sleep`, { timeout: 300_000 }, async (context) => {
    const { host, extra } = createDomain((parts) => {
      mapSharedInfo(parts, SHARED_GFN);
      if (hasOwnInfo) registerVcpuInfo(parts);
    });
    const [sends, sleepless, seen, rounds] = await runThreads(host, extra, [
      { role: "sender", port: 1, rounds: SENDS }, { role: "sleepless sender", port: 2, rounds: SENDS }, { role: "guest", hasOwnInfo }, { role: "mover" },
    ]);
    assert.deepEqual([sends, sleepless], [SENDS, SENDS]);
    assert.deepEqual((seen as number[]).slice(1), PORTS.map((port) => atomicLoad(host.words, wordData(port))));
    const { deferredSends, shadowDeliveries, framesMoved } = host.pageStatistics();
    context.diagnostic(`${rounds} rounds of moves, ${framesMoved} frames moved, ${deferredSends} sends deferred, ${shadowDeliveries} noted`);
    assert.ok((rounds as number) > 10 && deferredSends > 0);
    auditPages(host);
  });
}

test("14: shared_info that comes and goes under senders gives errnos of the ABI and no more, and works in the end", { timeout: 120_000 }, async (context) => {
  let checker: DomainThread | undefined;
  const { host, extra } = createDomain((parts) => {
    mapSharedInfo(parts, SHARED_GFN);
    checker = parts;
  });
  const answers = await runThreads(host, extra, [
    { role: "shared_info toggler" }, { role: "hypercall sender", port: 1 }, { role: "hypercall sender", port: 2 }, { role: "mover", senders: 9 },
  ], { seconds: SECONDS });
  context.diagnostic(`answers: toggler ${answers[0]}, senders ${answers[1]}, ${answers[2]}`);
  for (const answer of answers[0] as number[]) assert.ok([0, -EINVAL, -ENOMEM].includes(answer), `add or remove answered ${answer}`);
  for (const answer of [...(answers[1] as number[]), ...(answers[2] as number[])]) assert.equal(answer, 0);
  const { shared, info } = openPages(checker!, false);
  const seen: number[] = [];
  while (checker!.domain.upcallPending(0)) takeEvents(checker!, shared, info, seen);
  atomicStore(host.words, wordData(1), 77);
  // Mask bits went with a page that was removed, but never come by themselves.
  assert.ok(checker!.domain.raisePort(1) && checker!.domain.upcallPending(0));
  takeEvents(checker!, shared, info, seen);
  assert.equal(seen[1], 77);
  auditPages(host);
});

test("14: two vCPUs that register their pages over and over, in memory that comes and goes, get errnos of the ABI and no more", { timeout: 120_000 }, async (context) => {
  const { host, extra } = createDomain((parts) => mapSharedInfo(parts, SHARED_GFN));
  host.addMemslot({ id: TOGGLED_SLOT, baseGfn: gfnOf(TOGGLED_GFN), pageCount: SLOT_PAGES });
  const answers = await runThreads(host, extra, [
    { role: "registrar", port: 0 }, { role: "registrar", port: 1 }, { role: "slot toggler" }, { role: "mover", senders: 9 }, { role: "hypercall sender", port: 1 },
  ], { seconds: SECONDS });
  context.diagnostic(`answers: ${answers[0]}; ${answers[1]}; ${answers[2]} rounds of memslots`);
  assert.ok((answers[0] as number[]).includes(0) && (answers[2] as number) > 5);
  for (const answer of [...(answers[0] as number[]), ...(answers[1] as number[])]) assert.ok([0, -EINVAL, -EFAULT].includes(answer), `a registration answered ${answer}`);
  auditPages(host);
});

test("a VM that ends at any moment of that lets every thread go", { timeout: 120_000 }, async () => {
  for (let round = 1; round <= 4; round++) {
    const { host, extra } = createDomain((parts) => mapSharedInfo(parts, SHARED_GFN));
    host.addMemslot({ id: TOGGLED_SLOT, baseGfn: gfnOf(TOGGLED_GFN), pageCount: SLOT_PAGES });
    host.setFrameLimit(24);
    await runThreads(host, extra, [
      { role: "registrar", port: 0 }, { role: "shared_info toggler" }, { role: "slot toggler" }, { role: "hypercall sender", port: 2 }, { role: "mover", senders: 9 },
    ], { seconds: 0.1 * round, onReady: () => void setTimeout(() => host.stop(), 80 * round) });
    for (const { id } of host.memslots()) host.removeMemslot(id);
    assert.deepEqual([host.statistics().framesInUse, host.memoryMap().swapSlotsUsed], [0, 0]);
  }
});
