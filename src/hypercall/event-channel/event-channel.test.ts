/** Event channels: the port operations with their errors, and 2-level delivery as the guest sees it in its pages. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  __HYPERVISOR_event_channel_op, __HYPERVISOR_memory_op, __HYPERVISOR_sched_op, __HYPERVISOR_vcpu_op, DOMID_GUEST, DOMID_SELF, EEXIST, EFAULT,
  EINVAL, ENOENT, ENOSPC, ENOSYS, ESRCH, evtchn_alloc_unbound, evtchn_bind_interdomain, evtchn_bind_ipi, evtchn_bind_vcpu,
  evtchn_bind_virq, evtchn_send, evtchn_status, EVTCHNOP_alloc_unbound, EVTCHNOP_bind_interdomain, EVTCHNOP_bind_ipi,
  EVTCHNOP_bind_vcpu, EVTCHNOP_bind_virq, EVTCHNOP_close, EVTCHNOP_reset, EVTCHNOP_send, EVTCHNOP_status, EVTCHNOP_unmask,
  SCHEDOP_poll, shared_info, vcpu_info, vcpu_register_vcpu_info, VCPUOP_register_vcpu_info, VIRQ_TIMER, xen_add_to_physmap,
  XENMAPSPACE_shared_info, XENMEM_add_to_physmap,
} from "../../abi/xen/index.js";
import { gfnOf, gpaOf } from "../../abi/address.js";
import { DomainState } from "../state/domain-state.js";
import { ARGUMENT_GVA, structOf, TestDomain, UNMAPPED_GVA } from "../testing/test-domain.js";

const SHARED_GFN = 1;
const SHARED = SHARED_GFN * 4096;

type FieldValue = Parameters<typeof structOf>[1];

function op(domain: TestDomain, operation: number, ...values: FieldValue[]): number {
  domain.put(structOf(24, ...values));
  return domain.call(__HYPERVISOR_event_channel_op, [operation, ARGUMENT_GVA]);
}

function onPort(domain: TestDomain, operation: number, port: number): number {
  return op(domain, operation, [evtchn_send.port, 4, port]);
}

function bindVirq(domain: TestDomain, virq: number, vcpu: number): number {
  const result = op(domain, EVTCHNOP_bind_virq, [evtchn_bind_virq.virq, 4, virq], [evtchn_bind_virq.vcpu, 4, vcpu]);
  return result === 0 ? domain.answer(12).u32(evtchn_bind_virq.port) : result;
}

function bindIpi(domain: TestDomain, vcpu: number): number {
  const result = op(domain, EVTCHNOP_bind_ipi, [evtchn_bind_ipi.vcpu, 4, vcpu]);
  return result === 0 ? domain.answer(8).u32(evtchn_bind_ipi.port) : result;
}

function allocUnbound(domain: TestDomain, remote: number): number {
  const result = op(domain, EVTCHNOP_alloc_unbound, [evtchn_alloc_unbound.dom, 2, DOMID_SELF],
    [evtchn_alloc_unbound.remote_dom, 2, remote]);
  return result === 0 ? domain.answer(8).u32(evtchn_alloc_unbound.port) : result;
}

function mapSharedInfo(domain: TestDomain): void {
  domain.put(structOf(24, [xen_add_to_physmap.domid, 2, DOMID_SELF], [xen_add_to_physmap.space, 4, XENMAPSPACE_shared_info],
    [xen_add_to_physmap.gpfn, 8, SHARED_GFN]));
  assert.equal(domain.call(__HYPERVISOR_memory_op, [XENMEM_add_to_physmap, ARGUMENT_GVA]), 0);
}

function bit(domain: TestDomain, array: number, port: number): boolean {
  return (domain.get(SHARED + array + (port >>> 3), 1).bytes[0]! & (1 << (port & 7))) !== 0;
}

function setMask(domain: TestDomain, port: number): void {
  const gpa = gpaOf(SHARED + shared_info.evtchn_mask + (port >>> 3));
  domain.guest.write(gpa, Uint8Array.of(domain.get(gpa, 1).bytes[0]! | (1 << (port & 7))));
}

function clearUpcall(domain: TestDomain, vcpu: number): void {
  const info = SHARED + vcpu * vcpu_info.size;
  domain.guest.write(gpaOf(info), Uint8Array.of(0));
  domain.guest.writeU64(gpaOf(info + vcpu_info.evtchn_pending_sel), 0n);
}

function withDomain(body: (domain: TestDomain) => void): () => void {
  return () => {
    const domain = new TestDomain();
    try {
      body(domain);
    } finally {
      domain.close();
    }
  };
}

test("xenstore has port 1, the console port 2, the guest's first is 3", withDomain((domain) => {
  assert.equal(domain.domain.param(2), 1);
  assert.equal(domain.domain.param(18), 2);
  assert.equal(bindIpi(domain, 0), 3);
}));

test("an IPI sets pending, selector and upcall, and kicks its vCPU once", withDomain((domain) => {
  mapSharedInfo(domain);
  const port = bindIpi(domain, 1);
  assert.equal(onPort(domain, EVTCHNOP_send, port), 0);
  assert.ok(bit(domain, shared_info.evtchn_pending, port));
  assert.equal(domain.get(SHARED + 64, 1).bytes[0], 1);
  assert.equal(domain.get(SHARED + 64 + vcpu_info.evtchn_pending_sel, 8).u64(0), 1n);
  assert.ok(domain.domain.upcallPending(1));
  assert.ok(!domain.domain.upcallPending(0));
  assert.deepEqual(domain.kicks, [1]);
  assert.equal(onPort(domain, EVTCHNOP_send, port), 0);
  assert.deepEqual(domain.kicks, [1]);
}));

test("the selector bit of a port above 63 is that of its word", withDomain((domain) => {
  mapSharedInfo(domain);
  let port = 0;
  while (port < 130) port = bindIpi(domain, 0);
  onPort(domain, EVTCHNOP_send, port);
  assert.equal(domain.get(vcpu_info.evtchn_pending_sel + SHARED, 8).u64(0), 1n << 2n);
}));

test("a masked event stays pending without an upcall until unmask delivers it", withDomain((domain) => {
  mapSharedInfo(domain);
  const port = bindIpi(domain, 0);
  setMask(domain, port);
  onPort(domain, EVTCHNOP_send, port);
  assert.ok(bit(domain, shared_info.evtchn_pending, port));
  assert.ok(!domain.domain.upcallPending(0));
  assert.equal(onPort(domain, EVTCHNOP_unmask, port), 0);
  assert.ok(!bit(domain, shared_info.evtchn_mask, port));
  assert.ok(domain.domain.upcallPending(0));
  clearUpcall(domain, 0);
  // Unmasking what is not masked raises nothing, pending or not.
  assert.equal(onPort(domain, EVTCHNOP_unmask, port), 0);
  assert.ok(!domain.domain.upcallPending(0));
}));

test("what was raised before shared_info is there when it appears", withDomain((domain) => {
  assert.ok(domain.domain.raisePort(2));
  assert.ok(!domain.domain.upcallPending(0));
  mapSharedInfo(domain);
  assert.ok(bit(domain, shared_info.evtchn_pending, 2));
  assert.ok(domain.domain.upcallPending(0));
}));

test("shared_info moves with its content", withDomain((domain) => {
  mapSharedInfo(domain);
  const port = bindIpi(domain, 0);
  setMask(domain, port);
  domain.put(structOf(24, [xen_add_to_physmap.domid, 2, DOMID_SELF], [xen_add_to_physmap.gpfn, 8, 0x200]));
  assert.equal(domain.call(__HYPERVISOR_memory_op, [XENMEM_add_to_physmap, ARGUMENT_GVA]), 0);
  onPort(domain, EVTCHNOP_send, port);
  assert.equal(domain.get(0x20_0000 + shared_info.evtchn_pending, 8).u64(0), 1n << BigInt(port));
  assert.ok(!domain.domain.upcallPending(0));
}));

test("register_vcpu_info carries clock and events over and marks everything pending", withDomain((domain) => {
  mapSharedInfo(domain);
  const time = domain.get(SHARED + vcpu_info.time, 32).bytes;
  const register = (mfn: number | bigint, offset: number): number => {
    domain.put(structOf(16, [vcpu_register_vcpu_info.mfn, 8, mfn], [vcpu_register_vcpu_info.offset, 4, offset]));
    return domain.call(__HYPERVISOR_vcpu_op, [VCPUOP_register_vcpu_info, 0, ARGUMENT_GVA]);
  };
  assert.equal(register(0x20, 4096 - 56), -EINVAL);
  assert.equal(register(0x20, 4), -EINVAL);
  assert.equal(register(0x9_0000, 0), -EINVAL);
  assert.equal(register(1n << 60n, 0), -EINVAL);
  assert.equal(register(0x20, 4096 - 64), 0);
  assert.equal(register(0x21, 0), -EINVAL);
  const info = domain.get(0x20 * 4096 + 4096 - 64, 64);
  assert.equal(info.bytes[0], 1);
  assert.equal(info.u64(vcpu_info.evtchn_pending_sel), (1n << 64n) - 1n);
  assert.deepEqual(info.bytes.subarray(vcpu_info.time), time);
  domain.guest.write(gpaOf(0x20 * 4096 + 4096 - 64), new Uint8Array(16));
  assert.ok(!domain.domain.upcallPending(0));
  const port = bindIpi(domain, 0);
  onPort(domain, EVTCHNOP_send, port);
  assert.ok(domain.domain.upcallPending(0));
  assert.equal(domain.get(SHARED, 1).bytes[0], 0);
}));

test("bind_virq refuses unknown, global on vCPU 1, absent vCPU and a second binding", withDomain((domain) => {
  assert.equal(bindVirq(domain, 24, 0), -EINVAL);
  assert.equal(bindVirq(domain, 2, 1), -EINVAL);
  assert.equal(bindVirq(domain, VIRQ_TIMER, 2), -ENOENT);
  const port = bindVirq(domain, VIRQ_TIMER, 1);
  assert.equal(port, 3);
  assert.equal(bindVirq(domain, VIRQ_TIMER, 1), -EEXIST);
  assert.equal(onPort(domain, EVTCHNOP_send, port), -EINVAL);
  assert.equal(onPort(domain, EVTCHNOP_close, port), 0);
  assert.equal(bindVirq(domain, VIRQ_TIMER, 1), port);
}));

test("operations on closed and impossible ports answer -EINVAL", withDomain((domain) => {
  mapSharedInfo(domain);
  for (const port of [0, 9, 4095, 4096, 0xffff_ffff]) {
    for (const operation of [EVTCHNOP_send, EVTCHNOP_close, EVTCHNOP_unmask, EVTCHNOP_bind_vcpu]) {
      assert.equal(onPort(domain, operation, port), -EINVAL, `port ${port} operation ${operation}`);
    }
  }
}));

test("an unmapped argument answers -EFAULT and gives the port back", withDomain((domain) => {
  assert.equal(domain.call(__HYPERVISOR_event_channel_op, [EVTCHNOP_send, UNMAPPED_GVA]), -EFAULT);
  assert.equal(domain.call(__HYPERVISOR_event_channel_op, [EVTCHNOP_bind_ipi, UNMAPPED_GVA]), -EFAULT);
  assert.equal(bindIpi(domain, 0), 3);
}));

test("FIFO operations and unknown ones are -ENOSYS and counted by name", withDomain((domain) => {
  for (const operation of [11, 12, 13, 63, 64, 0x1234_5678]) assert.equal(onPort(domain, operation, 1), -ENOSYS);
  const counts = domain.domain.hypercallCounts();
  assert.equal(counts["EVTCHNOP_init_control"], 1);
  assert.equal(counts["EVTCHNOP_set_priority"], 1);
  assert.equal(counts["event_channel_op.63 and above"], 3);
}));

test("a port for the back ends connects once they bind it, and carries events both ways", withDomain((domain) => {
  mapSharedInfo(domain);
  const port = allocUnbound(domain, 0);
  assert.equal(onPort(domain, EVTCHNOP_send, port), 0);
  assert.deepEqual(domain.domain.takeDeviceEvents(), []);
  assert.ok(!domain.domain.raisePort(port));
  assert.ok(domain.domain.bindPort(port));
  assert.equal(onPort(domain, EVTCHNOP_send, port), 0);
  assert.equal(onPort(domain, EVTCHNOP_send, port), 0);
  assert.equal(onPort(domain, EVTCHNOP_send, 2), 0);
  assert.equal(domain.doorbells, 2);
  assert.deepEqual(domain.domain.takeDeviceEvents(), [2, port]);
  assert.deepEqual(domain.domain.takeDeviceEvents(), []);
  assert.ok(domain.domain.raisePort(port));
  assert.ok(bit(domain, shared_info.evtchn_pending, port));
  assert.equal(onPort(domain, EVTCHNOP_close, port), 0);
  assert.ok(!bit(domain, shared_info.evtchn_pending, port));
  assert.ok(!domain.domain.raisePort(port));
  assert.ok(!domain.domain.bindPort(allocUnbound(domain, 5)));
}));

test("two ports of the domain notify each other; closing one leaves the other unbound", withDomain((domain) => {
  mapSharedInfo(domain);
  const first = allocUnbound(domain, DOMID_SELF);
  const bind = (remote: number, port: number): number => op(domain, EVTCHNOP_bind_interdomain,
    [evtchn_bind_interdomain.remote_dom, 2, remote], [evtchn_bind_interdomain.remote_port, 4, port]);
  assert.equal(bind(7, first), -ESRCH);
  assert.equal(bind(DOMID_SELF, 2), -EINVAL);
  assert.equal(bind(DOMID_GUEST, first), 0);
  const second = domain.answer(12).u32(evtchn_bind_interdomain.local_port);
  assert.ok(bit(domain, shared_info.evtchn_pending, second));
  assert.equal(onPort(domain, EVTCHNOP_send, second), 0);
  assert.ok(bit(domain, shared_info.evtchn_pending, first));
  assert.equal(bind(DOMID_GUEST, first), -EINVAL);
  onPort(domain, EVTCHNOP_close, second);
  op(domain, EVTCHNOP_status, [evtchn_status.dom, 2, DOMID_SELF], [evtchn_status.port, 4, first]);
  assert.equal(domain.answer(24).u32(evtchn_status.status), 1);
}));

test("bind_vcpu redirects a port; IPIs and timer ports stay", withDomain((domain) => {
  mapSharedInfo(domain);
  const port = allocUnbound(domain, 0);
  domain.domain.bindPort(port);
  const bind = (to: number, vcpu: number): number =>
    op(domain, EVTCHNOP_bind_vcpu, [evtchn_bind_vcpu.port, 4, to], [evtchn_bind_vcpu.vcpu, 4, vcpu]);
  assert.equal(bind(port, 2), -ENOENT);
  assert.equal(bind(port, 1), 0);
  domain.domain.raisePort(port);
  assert.ok(domain.domain.upcallPending(1));
  assert.equal(bind(bindIpi(domain, 0), 1), -EINVAL);
  assert.equal(bind(bindVirq(domain, VIRQ_TIMER, 0), 1), -EINVAL);
}));

test("status tells virq and remote domain", withDomain((domain) => {
  const port = bindVirq(domain, 1, 1);
  const status = (dom: number, at: number): number =>
    op(domain, EVTCHNOP_status, [evtchn_status.dom, 2, dom], [evtchn_status.port, 4, at]);
  assert.equal(status(DOMID_SELF, port), 0);
  const answer = domain.answer(24);
  assert.deepEqual([answer.u32(evtchn_status.status), answer.u32(evtchn_status.vcpu), answer.u32(evtchn_status.u)], [4, 1, 1]);
  assert.equal(status(DOMID_SELF, 4096), -EINVAL);
  assert.equal(status(3, 1), -ESRCH);
  assert.equal(status(DOMID_SELF, 100), 0);
  assert.equal(domain.answer(24).u32(evtchn_status.status), 0);
}));

test("all 4095 ports can be used, then -ENOSPC; reset closes them", withDomain((domain) => {
  for (let port = 3; port < 4096; port++) assert.equal(domain.call(__HYPERVISOR_event_channel_op, [EVTCHNOP_bind_ipi, ARGUMENT_GVA]), 0);
  assert.equal(bindIpi(domain, 0), -ENOSPC);
  assert.equal(op(domain, EVTCHNOP_reset, [0, 2, DOMID_SELF]), 0);
  assert.equal(bindIpi(domain, 0), 1);
}));

/** A port of the back ends, with shared_info mapped and windows open. */
function backendPort(domain: TestDomain): number {
  mapSharedInfo(domain);
  const port = domain.domain.param(18);
  assert.ok(domain.domain.raisePort(port));
  clearUpcall(domain, 0);
  domain.guest.write(gpaOf(SHARED + shared_info.evtchn_pending), new Uint8Array(512));
  domain.kicks.length = 0;
  return port;
}

test("a send that may not sleep goes straight to the guest while its pages are mapped", withDomain((domain) => {
  const port = backendPort(domain);
  domain.domain.refreshDelivery();
  assert.ok(domain.domain.raisePortNoSleep(port));
  assert.ok(bit(domain, shared_info.evtchn_pending, port));
  assert.deepEqual(domain.kicks, [0]);
  assert.equal(domain.host.pageStatistics().deferredSends, 0);
  assert.ok(!domain.domain.raisePortNoSleep(999));
}));

test("a send that may not sleep and finds shared_info revoked is finished by the vCPU, once", withDomain((domain) => {
  const port = backendPort(domain);
  domain.host.moveFrames([gfnOf(SHARED_GFN)]);
  assert.ok(domain.domain.raisePortNoSleep(port));
  assert.ok(domain.domain.raisePortNoSleep(port));
  assert.ok(!bit(domain, shared_info.evtchn_pending, port), "nothing was looked up by the sender");
  assert.deepEqual(domain.kicks, [0, 0]);
  assert.ok(domain.domain.upcallPending(0));
  assert.ok(bit(domain, shared_info.evtchn_pending, port));
  assert.equal(domain.host.pageStatistics().deferredSends, 2);
}));

test("a send that may not sleep and finds vcpu_info revoked leaves its selector bit in our memory, and the vCPU moves it over", withDomain((domain) => {
  const port = backendPort(domain);
  domain.put(structOf(vcpu_register_vcpu_info.size, [vcpu_register_vcpu_info.mfn, 8, 9], [vcpu_register_vcpu_info.offset, 4, 128]));
  assert.equal(domain.call(__HYPERVISOR_vcpu_op, [VCPUOP_register_vcpu_info, 0, ARGUMENT_GVA]), 0);
  domain.domain.refreshDelivery();
  const infoGpa = 9 * 4096 + 128;
  domain.guest.write(gpaOf(infoGpa), new Uint8Array(16));
  domain.host.moveFrames([gfnOf(9)]);
  assert.ok(domain.domain.raisePortNoSleep(port));
  assert.equal(domain.host.pageStatistics().shadowDeliveries, 1);
  assert.deepEqual(Array.from(domain.get(infoGpa, 16).bytes), new Array<number>(16).fill(0));
  assert.ok(domain.domain.upcallPending(0));
  assert.equal(domain.get(infoGpa, 16).u64(vcpu_info.evtchn_pending_sel), 1n);
  assert.equal(domain.get(infoGpa, 1).bytes[0], 1);
  domain.guest.write(gpaOf(infoGpa), new Uint8Array(16));
  assert.ok(!domain.domain.upcallPending(0), "a bit that was moved over does not come again");
}));

test("a send that may not sleep does not wait for the event lock: the vCPU finishes it", withDomain((domain) => {
  const port = backendPort(domain);
  domain.domain.refreshDelivery();
  const state = new DomainState(domain.host.memory.buffer);
  state.withEventLock(() => assert.ok(domain.domain.raisePortNoSleep(port)));
  assert.ok(!bit(domain, shared_info.evtchn_pending, port));
  assert.ok(domain.domain.upcallPending(0));
  assert.ok(bit(domain, shared_info.evtchn_pending, port));
}));

test("a poller sees a send that could not sleep, made before or during its poll", withDomain((domain) => {
  mapSharedInfo(domain);
  setMask(domain, 2);
  domain.put(structOf(24, [0, 8, ARGUMENT_GVA + 64], [8, 4, 1]));
  domain.guest.writeU32(gpaOf(ARGUMENT_GVA + 64), 2);
  assert.equal(domain.call(__HYPERVISOR_sched_op, [SCHEDOP_poll, ARGUMENT_GVA]), 0);
  assert.equal(domain.domain.takeSchedulingRequest(0).kind, "poll");
  assert.ok(!domain.domain.pollReady(0));
  // The page is revoked: the send leaves a note.
  domain.host.moveFrames([gfnOf(SHARED_GFN)]);
  assert.ok(domain.domain.raisePortNoSleep(2));
  assert.deepEqual(domain.kicks, [0]);
  assert.ok(domain.domain.pollReady(0));
  domain.domain.endPoll(0);
}));

test("an event raised while the memory of shared_info is away is there when shared_info is back", withDomain((domain) => {
  const put = (gfn: number): number => {
    domain.put(structOf(24, [xen_add_to_physmap.domid, 2, DOMID_SELF], [xen_add_to_physmap.gpfn, 8, gfn]));
    return domain.call(__HYPERVISOR_memory_op, [XENMEM_add_to_physmap, ARGUMENT_GVA]);
  };
  assert.equal(put(0x5_0000), 0);
  // Opens this thread's window on the page.
  assert.ok(domain.domain.raisePort(1));
  domain.host.removeMemslot(domain.host.findMemslot(gfnOf(0x5_0000))!.id);
  assert.ok(domain.domain.raisePort(2));
  assert.ok(domain.domain.raisePortNoSleep(1));
  assert.ok(!domain.domain.upcallPending(0));
  assert.equal(put(SHARED_GFN), 0);
  assert.ok(bit(domain, shared_info.evtchn_pending, 1) && bit(domain, shared_info.evtchn_pending, 2));
  assert.ok(domain.domain.upcallPending(0));
}));
