/** grant_table_op, public/grant_table.h. The guest grants; nobody grants to the guest, so it has nothing to map. */
import {
  __HYPERVISOR_grant_table_op, EFAULT, EINVAL, ENOSYS, Fields, gnttab_get_version, gnttab_query_size, gnttab_set_version,
  GNTST_bad_domain, GNTST_okay, GNTTABOP_get_version, GNTTABOP_NAMES, GNTTABOP_query_size, GNTTABOP_set_version,
  GRANT_FRAMES_MAX,
} from "../../abi/xen/index.js";
import { firstArgument, isSelf } from "../context.js";
import type { HypercallContext, HypercallFamily } from "../context.js";
import { grantFrameCount } from "./frames.js";

/** Argument 2 is a count of structures; these operations take exactly one. */
function isSingle(call: HypercallContext): boolean {
  return call.argU32(2) === 1;
}

/** @hypercall GNTTABOP_query_size yes */
function querySize(call: HypercallContext): number {
  if (!isSingle(call)) return -EINVAL;
  const fields = call.readStruct(1, gnttab_query_size.size);
  if (fields === undefined) return -EFAULT;
  const isOwn = isSelf(fields.u16(gnttab_query_size.dom));
  fields.setU16(gnttab_query_size.status, isOwn ? GNTST_okay : GNTST_bad_domain);
  if (isOwn) {
    fields.setU32(gnttab_query_size.nr_frames, grantFrameCount(call.domain.state));
    fields.setU32(gnttab_query_size.max_nr_frames, GRANT_FRAMES_MAX);
  }
  return call.writeStruct(1, fields) ? 0 : -EFAULT;
}

/** @hypercall GNTTABOP_set_version partial(version 1) */
function setVersion(call: HypercallContext): number {
  if (!isSingle(call)) return -EINVAL;
  const version = call.readStruct(1, gnttab_set_version.size)?.u32(gnttab_set_version.version);
  if (version === undefined) return -EFAULT;
  if (version === 2) return -ENOSYS;
  return version === 1 ? 0 : -EINVAL;
}

/** @hypercall GNTTABOP_get_version yes */
function getVersion(call: HypercallContext): number {
  if (!isSingle(call)) return -EINVAL;
  const fields = call.readStruct(1, gnttab_get_version.size);
  if (fields === undefined) return -EFAULT;
  if (!isSelf(fields.u16(gnttab_get_version.dom))) return -EINVAL;
  return call.writeStruct(1, new Fields(fields.bytes).setU32(gnttab_get_version.version, 1)) ? 0 : -EFAULT;
}

/** grant_table_op. */
export const grantTableOp: HypercallFamily = {
  number: __HYPERVISOR_grant_table_op,
  subOperation: firstArgument,
  names: GNTTABOP_NAMES,
  handlers: {
    [GNTTABOP_query_size]: querySize, [GNTTABOP_set_version]: setVersion, [GNTTABOP_get_version]: getVersion,
  },
};
