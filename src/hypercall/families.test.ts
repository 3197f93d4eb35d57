/** The smaller families: version, HVM parameters, grant table, scheduling, vm_assist, and what is not offered. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { gpaOf } from "../abi/address.js";
import {
  __HYPERVISOR_event_channel_op, __HYPERVISOR_grant_table_op, __HYPERVISOR_hvm_op, __HYPERVISOR_memory_op,
  __HYPERVISOR_sched_op, __HYPERVISOR_vm_assist, __HYPERVISOR_xen_version, DOMID_SELF, EFAULT, EINVAL, ENOSYS, EPERM, ESRCH,
  evtchn_bind_ipi, EVTCHNOP_bind_ipi, EVTCHNOP_send, gnttab_query_size, GNTTABOP_get_version, GNTTABOP_query_size,
  GNTTABOP_set_version, HVMOP_get_param, HVMOP_get_time, HVMOP_pagetable_dying, HVMOP_set_param, sched_poll, SCHEDOP_block,
  SCHEDOP_poll, SCHEDOP_shutdown, SCHEDOP_yield, SHUTDOWN_reboot, xen_feature_info, xen_hvm_param, XENMEM_add_to_physmap,
  XENVER_extraversion, XENVER_get_features, XENVER_guest_handle, XENVER_pagesize, XENVER_version,
} from "../abi/xen/index.js";
import { ARGUMENT_GVA, CONSOLE_GFN, structOf, TestDomain, UNMAPPED_GVA, XENSTORE_GFN } from "./testing/test-domain.js";

function withDomain(body: (domain: TestDomain) => void): () => void {
  return () => {
    const domain = new TestDomain();
    body(domain);
    domain.close();
  };
}

test("xen_version says 4.17, the features of a PVH guest, and the handle", withDomain((domain) => {
  const version = (operation: number, pointer: number | bigint = ARGUMENT_GVA): number =>
    domain.call(__HYPERVISOR_xen_version, [operation, pointer]);
  assert.equal(version(XENVER_version), 0x0004_0011);
  assert.equal(version(XENVER_pagesize), 4096);
  domain.put(structOf(8, [xen_feature_info.submap_idx, 4, 0]));
  assert.equal(version(XENVER_get_features), 0);
  assert.equal(domain.answer(8).u32(xen_feature_info.submap), 0x12305);
  domain.put(structOf(8, [xen_feature_info.submap_idx, 4, 2]));
  assert.equal(version(XENVER_get_features), -EINVAL);
  assert.equal(version(XENVER_extraversion), 0);
  assert.equal(String.fromCharCode(...domain.answer(11).bytes), ".0-unpinned");
  assert.equal(version(XENVER_guest_handle), 0);
  assert.deepEqual([...domain.answer(16).bytes], Array.from({ length: 16 }, (_, i) => i + 1));
  for (const operation of [1, 2, 3, 4, 5, 6, 8, 9]) assert.equal(version(operation, UNMAPPED_GVA), -EFAULT);
  assert.equal(version(10), -ENOSYS);
}));

function param(domain: TestDomain, operation: number, index: number, value: number | bigint = 0, domid = DOMID_SELF): number {
  domain.put(structOf(16, [xen_hvm_param.domid, 2, domid], [xen_hvm_param.index, 4, index], [xen_hvm_param.value, 8, value]));
  return domain.call(__HYPERVISOR_hvm_op, [operation, ARGUMENT_GVA]);
}

test("the callback vector comes from HVM parameter 0", withDomain((domain) => {
  assert.equal(domain.domain.callbackVector(), 0);
  assert.equal(param(domain, HVMOP_set_param, 0, 1), 0);
  assert.equal(domain.domain.callbackVector(), 0);
  assert.equal(param(domain, HVMOP_set_param, 0, (2n << 56n) | 0x03n), -EINVAL);
  assert.equal(param(domain, HVMOP_set_param, 0, (2n << 56n) | 0xf3n), 0);
  assert.equal(domain.domain.callbackVector(), 0xf3);
}));

test("parameters: special pages and ports can be read and not set", withDomain((domain) => {
  for (const [index, value] of [[1, XENSTORE_GFN], [2, 1], [17, CONSOLE_GFN], [18, 2], [19, 0]] as const) {
    assert.equal(param(domain, HVMOP_get_param, index), 0);
    assert.equal(domain.answer(16).u64(xen_hvm_param.value), BigInt(value));
  }
  assert.equal(param(domain, HVMOP_set_param, 17, 5), -EPERM);
  assert.equal(param(domain, HVMOP_get_param, 44), -EINVAL);
  assert.equal(param(domain, HVMOP_set_param, 0xffff_ffff), -EINVAL);
  assert.equal(param(domain, HVMOP_get_param, 1, 0, 2), -ESRCH);
  assert.equal(param(domain, HVMOP_pagetable_dying, 0), -EINVAL);
  assert.equal(param(domain, 23, 0), -ENOSYS);
  assert.equal(domain.call(__HYPERVISOR_hvm_op, [HVMOP_get_param, UNMAPPED_GVA]), -EFAULT);
  assert.equal(domain.call(__HYPERVISOR_hvm_op, [HVMOP_get_time, ARGUMENT_GVA]), 0);
  assert.equal(domain.answer(8).u64(0), 1_000_000n);
}));

test("the grant table has version 1, up to 64 frames", withDomain((domain) => {
  const grant = (operation: number, count = 1): number => domain.call(__HYPERVISOR_grant_table_op, [operation, ARGUMENT_GVA, count]);
  const size = (): number[] => {
    domain.put(structOf(16, [gnttab_query_size.dom, 2, DOMID_SELF]));
    assert.equal(grant(GNTTABOP_query_size), 0);
    const answer = domain.answer(16);
    return [answer.u32(gnttab_query_size.nr_frames), answer.u32(gnttab_query_size.max_nr_frames), answer.u16(gnttab_query_size.status)];
  };
  assert.deepEqual(size(), [1, 64, 0]);
  domain.put(structOf(24, [0, 2, DOMID_SELF], [4, 4, 1], [8, 8, 3], [16, 8, 0x1_8003]));
  assert.equal(domain.call(__HYPERVISOR_memory_op, [XENMEM_add_to_physmap, ARGUMENT_GVA]), 0);
  assert.deepEqual(size(), [4, 64, 0]);
  domain.put(structOf(16, [gnttab_query_size.dom, 2, 9]));
  assert.equal(grant(GNTTABOP_query_size), 0);
  assert.equal(domain.answer(16).u16(gnttab_query_size.status), 0xfffe);
  assert.equal(grant(GNTTABOP_query_size, 2), -EINVAL);
  for (const [version, result] of [[1, 0], [2, -ENOSYS], [3, -EINVAL]] as const) {
    domain.put(structOf(4, [0, 4, version]));
    assert.equal(grant(GNTTABOP_set_version), result);
  }
  domain.put(structOf(8, [0, 2, DOMID_SELF]));
  assert.equal(grant(GNTTABOP_get_version), 0);
  assert.equal(domain.answer(8).u32(4), 1);
  assert.equal(grant(0), -ENOSYS);
  assert.equal(domain.domain.hypercallCounts()["GNTTABOP_map_grant_ref"], 1);
}));

test("yield and shutdown are left for the run loop, once", withDomain((domain) => {
  assert.equal(domain.call(__HYPERVISOR_sched_op, [SCHEDOP_yield]), 0);
  assert.deepEqual(domain.domain.takeSchedulingRequest(0), { kind: "yield" });
  assert.deepEqual(domain.domain.takeSchedulingRequest(0), { kind: "none" });
  assert.equal(domain.domain.shutdownReason(), undefined);
  domain.put(structOf(4, [0, 4, SHUTDOWN_reboot]));
  assert.equal(domain.call(__HYPERVISOR_sched_op, [SCHEDOP_shutdown, ARGUMENT_GVA], 1), 0);
  assert.deepEqual(domain.domain.takeSchedulingRequest(1), { kind: "shutdown", reason: SHUTDOWN_reboot });
  assert.equal(domain.domain.shutdownReason(), SHUTDOWN_reboot);
  domain.put(structOf(4, [0, 4, 0]));
  domain.call(__HYPERVISOR_sched_op, [SCHEDOP_shutdown, ARGUMENT_GVA]);
  assert.equal(domain.domain.shutdownReason(), SHUTDOWN_reboot);
  assert.deepEqual(domain.kicks, [0, 1]);
  assert.equal(domain.call(__HYPERVISOR_sched_op, [SCHEDOP_shutdown, UNMAPPED_GVA]), -EFAULT);
  assert.equal(domain.call(__HYPERVISOR_sched_op, [6, ARGUMENT_GVA]), -ENOSYS);
}));

function openIpi(domain: TestDomain, vcpu: number): number {
  domain.put(structOf(8, [evtchn_bind_ipi.vcpu, 4, vcpu]));
  domain.call(__HYPERVISOR_event_channel_op, [EVTCHNOP_bind_ipi, ARGUMENT_GVA]);
  return domain.answer(8).u32(evtchn_bind_ipi.port);
}

function send(domain: TestDomain, port: number): void {
  domain.put(structOf(4, [0, 4, port]));
  domain.call(__HYPERVISOR_event_channel_op, [EVTCHNOP_send, ARGUMENT_GVA]);
}

function poll(domain: TestDomain, ports: readonly number[], timeout = 0, count = ports.length): number {
  domain.guest.write(gpaOf(0x9000), structOf(ports.length * 4 + 4, ...ports.map((port, i) => [i * 4, 4, port] as const)).bytes);
  domain.put(structOf(24, [sched_poll.ports, 8, 0x9000], [sched_poll.nr_ports, 4, count], [sched_poll.timeout, 8, timeout]));
  return domain.call(__HYPERVISOR_sched_op, [SCHEDOP_poll, ARGUMENT_GVA]);
}

test("poll sleeps until its port is pending, masked or not, and is kicked", withDomain((domain) => {
  domain.put(structOf(24, [0, 2, DOMID_SELF], [16, 8, 1]));
  domain.call(__HYPERVISOR_memory_op, [XENMEM_add_to_physmap, ARGUMENT_GVA]);
  const port = openIpi(domain, 0);
  const other = openIpi(domain, 1);
  domain.guest.write(gpaOf(4096 + 0xa00), new Uint8Array(8).fill(0xff));
  assert.equal(poll(domain, [port], 77), 0);
  assert.deepEqual(domain.domain.takeSchedulingRequest(0), { kind: "poll", deadlineNs: 77 });
  assert.equal(domain.domain.pollReady(0), false);
  send(domain, other);
  assert.deepEqual(domain.kicks, []);
  send(domain, port);
  assert.deepEqual(domain.kicks, [0]);
  assert.equal(domain.domain.pollReady(0), true);
  domain.domain.endPoll(0);
  assert.equal(domain.domain.pollReady(0), false);
  assert.equal(poll(domain, [other, port]), 0);
  assert.deepEqual(domain.domain.takeSchedulingRequest(0), { kind: "none" });
}));

test("poll refuses too many ports, closed ones and unmapped lists", withDomain((domain) => {
  assert.equal(poll(domain, [99]), -EINVAL);
  assert.equal(poll(domain, [], 0, 129), -EINVAL);
  domain.put(structOf(24, [sched_poll.ports, 8, UNMAPPED_GVA], [sched_poll.nr_ports, 4, 1]));
  assert.equal(domain.call(__HYPERVISOR_sched_op, [SCHEDOP_poll, ARGUMENT_GVA]), -EFAULT);
  assert.deepEqual(domain.domain.takeSchedulingRequest(0), { kind: "none" });
  assert.equal(poll(domain, [], 123), 0);
  assert.deepEqual(domain.domain.takeSchedulingRequest(0), { kind: "poll", deadlineNs: 123 });
}));

test("block sleeps only while no upcall is pending", withDomain((domain) => {
  domain.put(structOf(24, [0, 2, DOMID_SELF], [16, 8, 1]));
  domain.call(__HYPERVISOR_memory_op, [XENMEM_add_to_physmap, ARGUMENT_GVA]);
  domain.call(__HYPERVISOR_sched_op, [SCHEDOP_block]);
  assert.deepEqual(domain.domain.takeSchedulingRequest(0), { kind: "block" });
  send(domain, openIpi(domain, 0));
  domain.call(__HYPERVISOR_sched_op, [SCHEDOP_block]);
  assert.deepEqual(domain.domain.takeSchedulingRequest(0), { kind: "none" });
}));

test("vm_assist knows the run state flag only", withDomain((domain) => {
  const assist = (command: number, type: number): number => domain.call(__HYPERVISOR_vm_assist, [command, type]);
  assert.deepEqual([assist(0, 5), assist(1, 5), assist(2, 5), assist(0, 4), assist(0, 64)], [0, 0, -ENOSYS, -EINVAL, -EINVAL]);
}));

test("hypercalls that are not offered answer -ENOSYS and are counted by name", withDomain((domain) => {
  for (const number of [18, 13, 33, 55, 63, 1000, 0xffff_ffff]) assert.equal(domain.call(number, [3]), -ENOSYS);
  assert.deepEqual(domain.domain.hypercallCounts(), {
    multicall: 1, console_io: 1, physdev_op: 1, hypercall_55: 1, "hypercalls from 63 on": 3,
  });
}));
