/** Hypercalls without a family of their own: vm_assist and set_timer_op. */
import {
  __HYPERVISOR_set_timer_op, __HYPERVISOR_vm_assist, EINVAL, ENOSYS, VMASST_CMD_disable, VMASST_CMD_enable,
  VMASST_TYPE_runstate_update_flag,
} from "../../abi/xen/index.js";
import { XEN_DOMAIN } from "../../abi/xen-block.js";
import type { HypercallContext, HypercallFamily } from "../context.js";

/** @hypercall vm_assist partial(runstate_update_flag, the one type of a translated guest) */
function assist(call: HypercallContext): number {
  if (call.argU32(1) !== VMASST_TYPE_runstate_update_flag) return -EINVAL;
  const bit = 1 << VMASST_TYPE_runstate_update_flag;
  switch (call.argU32(0)) {
    case VMASST_CMD_enable:
      call.domain.state.orU32(XEN_DOMAIN.vmAssist, bit);
      return 0;
    case VMASST_CMD_disable:
      call.domain.state.andU32(XEN_DOMAIN.vmAssist, ~bit);
      return 0;
    default:
      return -ENOSYS;
  }
}

/** @hypercall set_timer_op yes */
function setTimer(call: HypercallContext): number {
  const deadline = call.arg(0);
  if (deadline === 0n) call.domain.timers.stopSingleshot(call.vcpu);
  else call.domain.timers.setSingleshot(call.vcpu, deadline);
  return 0;
}

/** vm_assist. */
export const vmAssist: HypercallFamily = {
  number: __HYPERVISOR_vm_assist, names: { 0: "vm_assist" }, handlers: { 0: assist },
};
/** set_timer_op. */
export const setTimerOp: HypercallFamily = {
  number: __HYPERVISOR_set_timer_op, names: { 0: "set_timer_op" }, handlers: { 0: setTimer },
};
