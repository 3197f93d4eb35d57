/** memory_op: shared_info, grant frames, the balloon, and arguments that make no sense. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { gfnOf, gpaOf, gpaOfGfn } from "../../abi/address.js";
import {
  __HYPERVISOR_memory_op, DOMID_SELF, EFAULT, EINVAL, ENOSYS, ESRCH, shared_info, vcpu_info, vcpu_time_info,
  xen_add_to_physmap, xen_memory_reservation, xen_remove_from_physmap, XENMAPSPACE_grant_table, XENMAPSPACE_shared_info,
  XENMEM_add_to_physmap, XENMEM_current_reservation, XENMEM_decrease_reservation, XENMEM_maximum_ram_page,
  XENMEM_maximum_reservation, XENMEM_populate_physmap, XENMEM_remove_from_physmap,
} from "../../abi/xen/index.js";
import { ARGUMENT_GVA, RAM_PAGES, structOf, TestDomain, UNMAPPED_GVA } from "../testing/test-domain.js";

const LIST_GVA = 0x11_0000;

function withDomain(body: (domain: TestDomain) => void, memoryPagesMax?: number): () => void {
  return () => {
    const domain = new TestDomain(2, memoryPagesMax);
    body(domain);
    domain.close();
  };
}

function addToPhysmap(domain: TestDomain, space: number, index: number | bigint, gfn: number | bigint, domid = DOMID_SELF): number {
  domain.put(structOf(24, [xen_add_to_physmap.domid, 2, domid], [xen_add_to_physmap.space, 4, space],
    [xen_add_to_physmap.idx, 8, index], [xen_add_to_physmap.gpfn, 8, gfn]));
  return domain.call(__HYPERVISOR_memory_op, [XENMEM_add_to_physmap, ARGUMENT_GVA]);
}

function reserve(domain: TestDomain, operation: number, gfns: readonly number[], order = 0): number {
  domain.guest.write(gpaOf(LIST_GVA), structOf(8 * gfns.length, ...gfns.map((gfn, i) => [8 * i, 8, gfn] as const)).bytes);
  domain.put(structOf(32, [xen_memory_reservation.extent_start, 8, LIST_GVA], [xen_memory_reservation.nr_extents, 8, gfns.length],
    [xen_memory_reservation.extent_order, 4, order], [xen_memory_reservation.domid, 2, DOMID_SELF]));
  return domain.call(__HYPERVISOR_memory_op, [operation, ARGUMENT_GVA]);
}

test("shared_info replaces what the page held by a valid clock and wall clock", withDomain((domain) => {
  domain.guest.write(gpaOf(4096), new Uint8Array(4096).fill(0xaa));
  assert.equal(addToPhysmap(domain, XENMAPSPACE_shared_info, 0, 1), 0);
  const page = domain.get(4096, 4096);
  for (const vcpu of [0, 1]) {
    const time = vcpu * vcpu_info.size + vcpu_info.time;
    assert.equal(page.u32(time + vcpu_time_info.version) % 2, 0);
    assert.equal(page.u32(time + vcpu_time_info.tsc_to_system_mul), 0x8000_0000);
    assert.deepEqual([page.bytes[time + vcpu_time_info.tsc_shift], page.bytes[time + vcpu_time_info.flags]], [1, 1]);
  }
  assert.equal(page.u32(shared_info.wc_sec), 1_700_000_000);
  assert.equal(page.u32(shared_info.wc_nsec), 123_000_000);
  assert.equal(page.u32(shared_info.wc_version) % 2, 0);
  assert.ok(page.bytes.subarray(shared_info.evtchn_pending, shared_info.wc_version).every((byte) => byte === 0));
}));

test("shared_info may be put into a hole", withDomain((domain) => {
  assert.equal(addToPhysmap(domain, XENMAPSPACE_shared_info, 0, 0x8_0000), 0);
  assert.equal(domain.get(0x8000_0000 + shared_info.wc_sec, 4).u32(0), 1_700_000_000);
}));

test("add_to_physmap refuses strangers, other spaces, and frames that cannot be", withDomain((domain) => {
  assert.equal(addToPhysmap(domain, XENMAPSPACE_shared_info, 0, 1, 3), -ESRCH);
  assert.equal(addToPhysmap(domain, XENMAPSPACE_shared_info, 1, 1), -EINVAL);
  assert.equal(addToPhysmap(domain, 5, 0, 1), -ENOSYS);
  for (const gfn of [1 << 28, 1n << 52n, (1n << 64n) - 1n]) {
    assert.equal(addToPhysmap(domain, XENMAPSPACE_shared_info, 0, gfn), -EINVAL);
    assert.equal(addToPhysmap(domain, XENMAPSPACE_grant_table, 0, gfn), -EINVAL);
  }
  assert.equal(addToPhysmap(domain, XENMAPSPACE_grant_table, 64, 0x1_8000), -EINVAL);
  assert.equal(addToPhysmap(domain, XENMAPSPACE_grant_table, 1n << 63n, 0x1_8000), -EINVAL);
  assert.equal(domain.call(__HYPERVISOR_memory_op, [XENMEM_add_to_physmap, UNMAPPED_GVA]), -EFAULT);
  assert.equal(domain.call(__HYPERVISOR_memory_op, [40, ARGUMENT_GVA]), -ENOSYS);
}));

test("grant frames appear in a hole, zeroed, and all in one memslot", withDomain((domain) => {
  const slots = domain.host.memslots().length;
  for (const index of [3, 2, 1, 0]) assert.equal(addToPhysmap(domain, XENMAPSPACE_grant_table, index, 0x1_8000 + index), 0);
  assert.equal(domain.host.memslots().length, slots + 1);
  assert.equal(domain.domain.grantFrame(2), 0x1_8002);
  assert.equal(domain.domain.grantFrame(4), undefined);
  assert.ok(domain.guest.writeU32(gpaOfGfn(gfnOf(0x1_8000), 8), 5));
}));

test("a grant frame that moves keeps its entries, one that is removed is forgotten", withDomain((domain) => {
  addToPhysmap(domain, XENMAPSPACE_grant_table, 0, 0x1_8000);
  domain.guest.writeU32(gpaOfGfn(gfnOf(0x1_8000), 64), 0x1234);
  assert.equal(addToPhysmap(domain, XENMAPSPACE_grant_table, 0, 0x2_0000), 0);
  assert.equal(domain.get(0x2000_0040, 4).u32(0), 0x1234);
  domain.put(structOf(16, [xen_remove_from_physmap.domid, 2, DOMID_SELF], [xen_remove_from_physmap.gpfn, 8, 0x2_0000]));
  assert.equal(domain.call(__HYPERVISOR_memory_op, [XENMEM_remove_from_physmap, ARGUMENT_GVA]), 0);
  assert.equal(domain.domain.grantFrame(0), undefined);
}));

test("the balloon gives frames back and fills them with zeros again", withDomain((domain) => {
  const gfns = Array.from({ length: 512 }, (_, index) => 0x200 + index).slice(0, 200);
  for (const gfn of gfns) domain.guest.writeU32(gpaOfGfn(gfnOf(gfn)), 0xdead);
  for (const gpa of [ARGUMENT_GVA, LIST_GVA]) domain.guest.writeU32(gpaOf(gpa), 0);
  const before = domain.host.statistics().guestPagesPresent;
  assert.equal(reserve(domain, XENMEM_decrease_reservation, gfns), 200);
  assert.equal(domain.host.statistics().guestPagesPresent, before - 200);
  assert.equal(domain.domain.currentPages(), RAM_PAGES - 200);
  assert.equal(reserve(domain, XENMEM_decrease_reservation, gfns), 0);
  assert.equal(reserve(domain, XENMEM_populate_physmap, gfns), 200);
  assert.equal(domain.domain.currentPages(), RAM_PAGES);
  assert.equal(domain.get(0x20_0000, 4).u32(0), 0);
  assert.equal(reserve(domain, XENMEM_populate_physmap, gfns), 0);
}));

test("an extent of order 9 counts as one", withDomain((domain) => {
  assert.equal(reserve(domain, XENMEM_decrease_reservation, [0x201], 9), 0);
  assert.equal(reserve(domain, XENMEM_decrease_reservation, [0x200], 10), 0);
  assert.equal(reserve(domain, XENMEM_decrease_reservation, [0x200], 9), 1);
  assert.equal(domain.domain.currentPages(), RAM_PAGES - 512);
}));

test("a reservation stops at the first frame that does not exist", withDomain((domain) => {
  assert.equal(reserve(domain, XENMEM_decrease_reservation, [0x210, 0x211, 0x5_0000, 0x212]), 2);
  assert.equal(reserve(domain, XENMEM_decrease_reservation, [2 ** 40]), 0);
  assert.equal(domain.domain.currentPages(), RAM_PAGES - 2);
}));

test("memory can be added above RAM up to the maximum", withDomain((domain) => {
  assert.equal(reserve(domain, XENMEM_populate_physmap, [0x8000, 0x8001, 0x8002, 0x8003, 0x8004]), 4);
  assert.ok(domain.guest.writeU32(gpaOfGfn(gfnOf(0x8003)), 1));
  assert.equal(domain.call(__HYPERVISOR_memory_op, [XENMEM_maximum_ram_page]), 0x8003);
  assert.equal(domain.call(__HYPERVISOR_memory_op, [XENMEM_current_reservation]), RAM_PAGES + 4);
  assert.equal(domain.call(__HYPERVISOR_memory_op, [XENMEM_maximum_reservation]), RAM_PAGES + 4);
  assert.equal(reserve(domain, XENMEM_decrease_reservation, [0x8001]), 1);
  assert.equal(reserve(domain, XENMEM_populate_physmap, [0x8004]), 1);
}, RAM_PAGES + 4));

test("a continued operation goes on at its start extent", withDomain((domain) => {
  assert.equal(reserve(domain, XENMEM_decrease_reservation | (2 << 6), [0x220, 0x221, 0x222]), 3);
  assert.equal(domain.domain.currentPages(), RAM_PAGES - 1);
}));

test("unmapped lists and structures change nothing", withDomain((domain) => {
  domain.put(structOf(32, [xen_memory_reservation.extent_start, 8, UNMAPPED_GVA], [xen_memory_reservation.nr_extents, 8, 5],
    [xen_memory_reservation.domid, 2, DOMID_SELF]));
  assert.equal(domain.call(__HYPERVISOR_memory_op, [XENMEM_decrease_reservation, ARGUMENT_GVA]), 0);
  assert.equal(domain.call(__HYPERVISOR_memory_op, [XENMEM_decrease_reservation, UNMAPPED_GVA]), -EFAULT);
  domain.put(structOf(32, [xen_memory_reservation.domid, 2, 9]));
  assert.equal(domain.call(__HYPERVISOR_memory_op, [XENMEM_decrease_reservation, ARGUMENT_GVA]), -ESRCH);
  assert.equal(domain.domain.currentPages(), RAM_PAGES);
}));
