/** hvm_op, public/hvm/hvm_op.h: parameters of the domain. */
import {
  __HYPERVISOR_hvm_op, EFAULT, EINVAL, EPERM, ESRCH, Fields, HVM_NR_PARAMS, HVM_PARAM_CALLBACK_IRQ,
  HVM_PARAM_CALLBACK_TYPE_VECTOR, HVMOP_get_param, HVMOP_get_time, HVMOP_NAMES, HVMOP_pagetable_dying, HVMOP_set_param,
  xen_hvm_get_time, xen_hvm_param,
} from "../../abi/xen/index.js";
import { XEN_DOMAIN } from "../../abi/xen-block.js";
import { firstArgument, isSelf } from "../context.js";
import type { HypercallContext, HypercallFamily } from "../context.js";

const CALLBACK_TYPE_SHIFT = 56n;
/** Vectors below are exceptions. */
const FIRST_VECTOR = 0x10;

/** @hypercall HVMOP_set_param partial(HVM_PARAM_CALLBACK_IRQ; the others belong to the toolstack) */
function setParam(call: HypercallContext): number {
  const fields = call.readStruct(1, xen_hvm_param.size);
  if (fields === undefined) return -EFAULT;
  if (!isSelf(fields.u16(xen_hvm_param.domid))) return -ESRCH;
  const index = fields.u32(xen_hvm_param.index);
  if (index >= HVM_NR_PARAMS) return -EINVAL;
  if (index !== HVM_PARAM_CALLBACK_IRQ) return -EPERM;
  const value = fields.u64(xen_hvm_param.value);
  const isVector = value >> CALLBACK_TYPE_SHIFT === BigInt(HVM_PARAM_CALLBACK_TYPE_VECTOR);
  const vector = isVector ? Number(value & 0xffn) : 0;
  if (isVector && vector < FIRST_VECTOR) return -EINVAL;
  const { state } = call.domain;
  return state.withDomainLock(() => {
    state.setU64(XEN_DOMAIN.hvmParams + index * 8, value);
    state.setU32(XEN_DOMAIN.callbackVector, vector);
    return 0;
  });
}

/** @hypercall HVMOP_get_param yes */
function getParam(call: HypercallContext): number {
  const fields = call.readStruct(1, xen_hvm_param.size);
  if (fields === undefined) return -EFAULT;
  if (!isSelf(fields.u16(xen_hvm_param.domid))) return -ESRCH;
  const index = fields.u32(xen_hvm_param.index);
  if (index >= HVM_NR_PARAMS) return -EINVAL;
  fields.setU64(xen_hvm_param.value, call.domain.state.u64(XEN_DOMAIN.hvmParams + index * 8));
  return call.writeStruct(1, fields) ? 0 : -EFAULT;
}

/** @hypercall HVMOP_get_time yes */
function getTime(call: HypercallContext): number {
  const now = BigInt(Math.floor(call.domain.clock.nowNs()));
  const fields = Fields.zeroed(xen_hvm_get_time.size).setU64(xen_hvm_get_time.now, now);
  return call.writeStruct(1, fields) ? 0 : -EFAULT;
}

/** hvm_op. */
export const hvmOp: HypercallFamily = {
  number: __HYPERVISOR_hvm_op,
  subOperation: firstArgument,
  names: HVMOP_NAMES,
  handlers: {
    [HVMOP_set_param]: setParam,
    [HVMOP_get_param]: getParam,
    /** @hypercall HVMOP_pagetable_dying no: nested paging has no shadow tables to drop; the error is Xen's own. */
    [HVMOP_pagetable_dying]: () => -EINVAL,
    [HVMOP_get_time]: getTime,
  },
};
