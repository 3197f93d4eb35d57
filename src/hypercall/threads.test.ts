/**
 * Several threads on one domain: ports are handed out once each, no event is lost. Each thread opens IPI ports for vCPU 0 and
 * sends on them; vCPU 0's side takes events as a guest does, with atomic exchanges.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { gfnOf, gpaOfGfn } from "../abi/address.js";
import { __HYPERVISOR_event_channel_op, EVTCHNOP_bind_ipi, EVTCHNOP_send, shared_info, vcpu_info } from "../abi/xen/index.js";
import { GuestMemory } from "../guest-page/index.js";
import { HostMemory } from "../host-memory/index.js";
import { FlatMemory, structOf, TestDomain } from "./testing/test-domain.js";
import { XenDomain } from "./xen-domain.js";

const THREADS = 3;
const PORTS_PER_THREAD = 40;
const SENDS_PER_THREAD = 4000;
const SHARED_GFN = 1;

function runSender(memory: WebAssembly.Memory, index: number): void {
  const host = HostMemory.attach(memory);
  const guest = new GuestMemory(host);
  const linear = new FlatMemory(guest);
  const domain = new XenDomain({
    host, guest, vcpuCount: 1, clock: { nowNs: () => 0 }, kick: () => {}, ringDevice: () => {},
  });
  const gpa = gpaOfGfn(gfnOf(0x100 + index));
  const call = (operation: number, value: number): bigint => {
    guest.write(gpa, structOf(8, [0, 4, value]).bytes);
    return domain.hypercall(0, __HYPERVISOR_event_channel_op, [BigInt(operation), BigInt(gpa)], linear);
  };
  const ports = Array.from({ length: PORTS_PER_THREAD }, () => {
    assert.equal(call(EVTCHNOP_bind_ipi, 0), 0n);
    return guest.readU32(gpaOfGfn(gfnOf(0x100 + index), 4))!;
  });
  for (let count = 0; count < SENDS_PER_THREAD; count++) assert.equal(call(EVTCHNOP_send, ports[count % ports.length]!), 0n);
  parentPort!.postMessage(ports);
}

/** Takes all pending events as Linux does: upcall byte, selector word, pending words; returns their ports. */
function takeEvents(page: NonNullable<ReturnType<GuestMemory["openPage"]>>): number[] {
  return page.access((view) => {
    const ports: number[] = [];
    view.exchangeU8(vcpu_info.evtchn_upcall_pending, 0);
    const selector = view.exchangeU64(vcpu_info.evtchn_pending_sel, 0n);
    for (let word = 0; word < 64; word++) {
      if ((selector & (1n << BigInt(word))) === 0n) continue;
      const bits = view.exchangeU64(shared_info.evtchn_pending + word * 8, 0n);
      for (let bit = 0; bit < 64; bit++) if ((bits & (1n << BigInt(bit))) !== 0n) ports.push(word * 64 + bit);
    }
    return ports;
  })!;
}

if (!isMainThread) {
  const { memory, index } = workerData as { memory: WebAssembly.Memory; index: number };
  runSender(memory, index);
} else {
  test("three threads get ports of their own and lose no event", async () => {
    const setup = new TestDomain(1);
    setup.put(structOf(24, [0, 2, 0x7ff0], [16, 8, SHARED_GFN]));
    assert.equal(setup.call(12, [7, 0x10_0000]), 0);
    const page = setup.guest.openPage(gpaOfGfn(gfnOf(SHARED_GFN)), 4096, "test")!;
    const seen = new Set<number>();
    const timer = setInterval(() => takeEvents(page).forEach((port) => seen.add(port)), 1);
    const results = await Promise.all(Array.from({ length: THREADS }, (_, index) => new Promise<number[]>((resolve, reject) => {
      const worker = new Worker(new URL(import.meta.url), { workerData: { memory: setup.host.memory, index } });
      worker.once("message", resolve);
      worker.once("error", reject);
    })));
    clearInterval(timer);
    const ports = results.flat();
    assert.equal(new Set(ports).size, THREADS * PORTS_PER_THREAD);
    while (setup.domain.upcallPending(0)) takeEvents(page).forEach((port) => seen.add(port));
    assert.deepEqual([...seen].sort((a, b) => a - b), [...ports].sort((a, b) => a - b));
    // Nothing is pending that nobody was told about.
    assert.ok(page.access((view) => view.copyOut(shared_info.evtchn_pending, 512))!.every((byte) => byte === 0));
    assert.equal(setup.domain.hypercallCounts()["EVTCHNOP_send"], THREADS * SENDS_PER_THREAD);
    setup.close();
  });
}
