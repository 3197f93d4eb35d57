/** memory_op, public/memory.h. Every operation completes in one go; a continuation a guest repeats is still honoured. */
import {
  __HYPERVISOR_memory_op, EFAULT, EINVAL, ENOSYS, ESRCH, EXTENT_ORDER_MAX, Fields, MEMOP_CMD_MASK, MEMOP_EXTENT_SHIFT,
  xen_add_to_physmap, xen_memory_reservation, xen_remove_from_physmap, XENMAPSPACE_grant_table, XENMAPSPACE_shared_info,
  XENMEM_add_to_physmap, XENMEM_current_reservation, XENMEM_decrease_reservation, XENMEM_maximum_ram_page,
  XENMEM_maximum_reservation, XENMEM_NAMES, XENMEM_populate_physmap, XENMEM_remove_from_physmap,
} from "../../abi/xen/index.js";
import { XEN_DOMAIN } from "../../abi/xen-block.js";
import { isSelf } from "../context.js";
import type { HypercallContext, HypercallFamily } from "../context.js";
import { forgetGrantFrameLocked, mapGrantFrame } from "../grant-table/frames.js";
import { GFN_LIMIT } from "./physical-map.js";
import { adoptSharedInfo } from "./shared-info.js";

const GFN_BYTES = 8;
/** Most extents taken in one call; the guest's batches have 512. */
const EXTENTS_MAX = 1 << 20;

/** @hypercall XENMEM_add_to_physmap partial(spaces shared_info and grant_table) */
function addToPhysmap(call: HypercallContext): number {
  const fields = call.readStruct(1, xen_add_to_physmap.size);
  if (fields === undefined) return -EFAULT;
  if (!isSelf(fields.u16(xen_add_to_physmap.domid))) return -ESRCH;
  const gfn = fields.u64(xen_add_to_physmap.gpfn);
  const index = fields.u64(xen_add_to_physmap.idx);
  if (gfn >= BigInt(GFN_LIMIT)) return -EINVAL;
  switch (fields.u32(xen_add_to_physmap.space)) {
    case XENMAPSPACE_shared_info:
      return index === 0n ? adoptSharedInfo(call.domain, Number(gfn)) : -EINVAL;
    case XENMAPSPACE_grant_table:
      return index <= 0xffff_ffffn ? mapGrantFrame(call.domain, Number(index), Number(gfn)) : -EINVAL;
    default:
      return -ENOSYS;
  }
}

/** @hypercall XENMEM_remove_from_physmap yes */
function removeFromPhysmap(call: HypercallContext): number {
  const fields = call.readStruct(1, xen_remove_from_physmap.size);
  if (fields === undefined) return -EFAULT;
  if (!isSelf(fields.u16(xen_remove_from_physmap.domid))) return -ESRCH;
  const gfn = fields.u64(xen_remove_from_physmap.gpfn);
  if (gfn >= BigInt(GFN_LIMIT)) return -EINVAL;
  const { state, map } = call.domain;
  return state.withDomainLock(() => {
    forgetGrantFrameLocked(state, Number(gfn));
    return map.removeLocked(Number(gfn)) ? 0 : -EINVAL;
  });
}

/** Applies `change` to each page of the reservation in argument 1; the result counts the extents done. */
function forEachExtent(call: HypercallContext, change: (gfn: number) => boolean): number {
  const start = call.argU32(0) >>> MEMOP_EXTENT_SHIFT;
  const fields = call.readStruct(1, xen_memory_reservation.size);
  if (fields === undefined) return start === 0 ? -EFAULT : start;
  if (!isSelf(fields.u16(xen_memory_reservation.domid))) return start === 0 ? -ESRCH : start;
  const order = fields.u32(xen_memory_reservation.extent_order);
  const count = Math.min(Number(fields.u64(xen_memory_reservation.nr_extents)), EXTENTS_MAX);
  if (order > EXTENT_ORDER_MAX) return start;
  const list = fields.u64(xen_memory_reservation.extent_start);
  return call.domain.state.withDomainLock(() => {
    for (let extent = start; extent < count; extent++) {
      const gfn = readGfn(call, list + BigInt(extent * GFN_BYTES));
      if (gfn === undefined || gfn % 2 ** order !== 0) return extent;
      for (let page = 0; page < 2 ** order; page++) if (!change(gfn + page)) return extent;
    }
    return count;
  });
}

function readGfn(call: HypercallContext, gva: bigint): number | undefined {
  const bytes = call.linear.read(BigInt.asUintN(64, gva), GFN_BYTES);
  const gfn = bytes && new Fields(bytes).u64(0);
  return gfn === undefined || gfn >= BigInt(GFN_LIMIT) ? undefined : Number(gfn);
}

/** memory_op: the sub-operation is in the low bits of the first argument. */
export const memoryOp: HypercallFamily = {
  number: __HYPERVISOR_memory_op,
  subOperation: (call) => call.argU32(0) & MEMOP_CMD_MASK,
  names: XENMEM_NAMES,
  handlers: {
    /** @hypercall XENMEM_decrease_reservation yes */
    [XENMEM_decrease_reservation]: (call) => forEachExtent(call, (gfn) => call.domain.map.releaseLocked(gfn)),
    /** @hypercall XENMEM_populate_physmap yes */
    [XENMEM_populate_physmap]: (call) => forEachExtent(call, (gfn) => call.domain.map.populateLocked(gfn)),
    /** @hypercall XENMEM_maximum_ram_page yes */
    [XENMEM_maximum_ram_page]: (call) => call.domain.state.u64(XEN_DOMAIN.highestGfn),
    /** @hypercall XENMEM_current_reservation yes */
    [XENMEM_current_reservation]: (call) => call.domain.state.u64(XEN_DOMAIN.currentPages),
    /** @hypercall XENMEM_maximum_reservation yes */
    [XENMEM_maximum_reservation]: (call) => call.domain.state.u64(XEN_DOMAIN.maximumPages),
    [XENMEM_add_to_physmap]: addToPhysmap,
    [XENMEM_remove_from_physmap]: removeFromPhysmap,
  },
};
