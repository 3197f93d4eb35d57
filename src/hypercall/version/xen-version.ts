/** xen_version, public/version.h: who we are. */
import {
  __HYPERVISOR_xen_version, EFAULT, EINVAL, Fields, XEN_CAPABILITIES_INFO_LEN, XEN_CHANGESET_INFO_LEN, XEN_COMMANDLINE_LEN,
  xen_compile_info, XEN_EXTRAVERSION_LEN, xen_feature_info, XEN_VERSION, XENFEAT_SUBMAP_0, XENVER_capabilities,
  XENVER_changeset, XENVER_commandline, XENVER_compile_info, XENVER_extraversion, XENVER_get_features, XENVER_guest_handle,
  XENVER_NAMES, XENVER_pagesize, XENVER_platform_parameters, XENVER_version,
} from "../../abi/xen/index.js";
import { PAGE_SIZE } from "../../abi/layout.js";
import { XEN_DOMAIN } from "../../abi/xen-block.js";
import { firstArgument } from "../context.js";
import type { HypercallContext, HypercallFamily } from "../context.js";

const GUEST_HANDLE_BYTES = 16;

/** Puts ASCII text into a fixed field, NUL-terminated. */
function putText(fields: Fields, offset: number, text: string): void {
  for (let index = 0; index < text.length; index++) fields.bytes[offset + index] = text.charCodeAt(index);
}

function answerText(call: HypercallContext, length: number, text: string): number {
  const fields = Fields.zeroed(length);
  putText(fields, 0, text);
  return call.writeStruct(1, fields) ? 0 : -EFAULT;
}

/** @hypercall XENVER_compile_info yes */
function compileInfo(call: HypercallContext): number {
  const fields = Fields.zeroed(xen_compile_info.size);
  putText(fields, xen_compile_info.compiler, "unpinned");
  putText(fields, xen_compile_info.compile_by, "unpinned");
  return call.writeStruct(1, fields) ? 0 : -EFAULT;
}

/** @hypercall XENVER_get_features yes */
function getFeatures(call: HypercallContext): number {
  const fields = call.readStruct(1, xen_feature_info.size);
  if (fields === undefined) return -EFAULT;
  const submap = fields.u32(xen_feature_info.submap_idx);
  if (submap > 1) return -EINVAL;
  fields.setU32(xen_feature_info.submap, submap === 0 ? XENFEAT_SUBMAP_0 : 0);
  return call.writeStruct(1, fields) ? 0 : -EFAULT;
}

/** @hypercall XENVER_guest_handle yes */
function guestHandle(call: HypercallContext): number {
  const fields = Fields.zeroed(GUEST_HANDLE_BYTES);
  for (let offset = 0; offset < GUEST_HANDLE_BYTES; offset += 4) {
    fields.setU32(offset, call.domain.state.u32(XEN_DOMAIN.guestHandle + offset));
  }
  return call.writeStruct(1, fields) ? 0 : -EFAULT;
}

/** xen_version. */
export const xenVersion: HypercallFamily = {
  number: __HYPERVISOR_xen_version,
  subOperation: firstArgument,
  names: XENVER_NAMES,
  handlers: {
    /** @hypercall XENVER_version yes */
    [XENVER_version]: () => XEN_VERSION,
    /** @hypercall XENVER_extraversion yes */
    [XENVER_extraversion]: (call) => answerText(call, XEN_EXTRAVERSION_LEN, ".0-unpinned"),
    [XENVER_compile_info]: compileInfo,
    /** @hypercall XENVER_capabilities yes */
    [XENVER_capabilities]: (call) => answerText(call, XEN_CAPABILITIES_INFO_LEN, "hvm-3.0-x86_64"),
    /** @hypercall XENVER_changeset yes */
    [XENVER_changeset]: (call) => answerText(call, XEN_CHANGESET_INFO_LEN, ""),
    /** @hypercall XENVER_platform_parameters yes */
    [XENVER_platform_parameters]: (call) => (call.writeStruct(1, Fields.zeroed(8)) ? 0 : -EFAULT),
    [XENVER_get_features]: getFeatures,
    /** @hypercall XENVER_pagesize yes */
    [XENVER_pagesize]: () => PAGE_SIZE,
    [XENVER_guest_handle]: guestHandle,
    /** @hypercall XENVER_commandline yes */
    [XENVER_commandline]: (call) => answerText(call, XEN_COMMANDLINE_LEN, "<denied>"),
  },
};
