/** vcpu_op, public/vcpu.h. */
import { gfnOf, gpaOfGfn } from "../../abi/address.js";
import { PAGE_SIZE } from "../../abi/layout.js";
import {
  __HYPERVISOR_vcpu_op, EFAULT, EINVAL, ENOENT, ETIME, Fields, PERIODIC_TIMER_NS_MIN,
  vcpu_info, vcpu_register_vcpu_info, vcpu_set_periodic_timer, vcpu_set_singleshot_timer, vcpu_time_info,
  VCPU_SSHOTTMR_future, VCPUOP_down, VCPUOP_get_runstate_info, VCPUOP_is_up, VCPUOP_NAMES, VCPUOP_register_runstate_memory_area,
  VCPUOP_register_vcpu_info, VCPUOP_register_vcpu_time_memory_area, VCPUOP_send_nmi, VCPUOP_set_periodic_timer,
  VCPUOP_set_singleshot_timer, VCPUOP_stop_periodic_timer, VCPUOP_stop_singleshot_timer, VCPUOP_up,
} from "../../abi/xen/index.js";
import { VCPU_FLAG_INITIALISED, VCPU_FLAG_UP, XEN_VCPU } from "../../abi/xen-block.js";
import { firstArgument } from "../context.js";
import type { HypercallContext, HypercallFamily, HypercallHandler } from "../context.js";
import { GFN_LIMIT } from "../memory/physical-map.js";
import { vcpuField } from "../state/domain-state.js";
import { GuestArea, registerAreaLocked } from "../state/guest-area.js";
import { timeInfoBytes } from "../state/time-info.js";

const VCPU_INFO_ALIGNMENT = 8;

/** The vCPU the call is about. */
function target(call: HypercallContext): number {
  return call.argU32(1);
}

/** Pointer arguments of this family come third. */
const STRUCT = 2;

/** Refuses vCPUs that do not exist before `handler` sees them. */
function forExisting(handler: HypercallHandler): HypercallHandler {
  return (call) => (target(call) < call.domain.vcpuCount ? handler(call) : -ENOENT);
}

/** Refuses vCPUs other than the caller. */
function forSelf(handler: HypercallHandler): HypercallHandler {
  return (call) => (target(call) === call.vcpu ? handler(call) : -EINVAL);
}

/** @hypercall VCPUOP_register_vcpu_info yes */
function registerVcpuInfo(call: HypercallContext): number {
  const fields = call.readStruct(STRUCT, vcpu_register_vcpu_info.size);
  if (fields === undefined) return -EFAULT;
  const gfn = fields.u64(vcpu_register_vcpu_info.mfn);
  const offset = fields.u32(vcpu_register_vcpu_info.offset);
  if (offset > PAGE_SIZE - vcpu_info.size || offset % VCPU_INFO_ALIGNMENT !== 0) return -EINVAL;
  if (gfn >= BigInt(GFN_LIMIT) || !call.domain.map.exists(Number(gfn))) return -EINVAL;
  return moveVcpuInfo(call, Number(gfn), offset);
}

/** Xen marks everything pending, so that nothing raised while the place changed is lost. */
function moveVcpuInfo(call: HypercallContext, gfn: number, offset: number): number {
  const { state, delivery, guest } = call.domain;
  const vcpu = target(call);
  return state.withEventLock(() => {
    if (state.u32(vcpuField(vcpu, XEN_VCPU.vcpuInfoGfn)) !== 0) return -EINVAL;
    const info = new Fields(delivery.copyVcpuInfo(vcpu) ?? freshVcpuInfo());
    info.bytes[vcpu_info.evtchn_upcall_pending] = 1;
    info.setU64(vcpu_info.evtchn_pending_sel, (1n << 64n) - 1n);
    if (!guest.write(gpaOfGfn(gfnOf(gfn), offset), info.bytes)) return -EINVAL;
    state.setU32(vcpuField(vcpu, XEN_VCPU.vcpuInfoOffset), offset);
    state.setU32(vcpuField(vcpu, XEN_VCPU.vcpuInfoGfn), gfn + 1);
    call.domain.kick(vcpu);
    return 0;
  });
}

function freshVcpuInfo(): Uint8Array {
  const bytes = new Uint8Array(vcpu_info.size);
  bytes.set(timeInfoBytes(), vcpu_info.time);
  return bytes;
}

/** @hypercall VCPUOP_register_runstate_memory_area yes */
function registerRunstate(call: HypercallContext): number {
  const gva = call.readStruct(STRUCT, 8)?.u64(0);
  if (gva === undefined) return -EFAULT;
  const { runstates, clock } = call.domain;
  return runstates.register(target(call), gva, call.linear, clock.nowNs()) ? 0 : -EFAULT;
}

/** @hypercall VCPUOP_register_vcpu_time_memory_area yes */
function registerTime(call: HypercallContext): number {
  const gva = call.readStruct(STRUCT, 8)?.u64(0);
  if (gva === undefined) return -EFAULT;
  const { state, guest } = call.domain;
  const vcpu = target(call);
  const places = {
    gpa: vcpuField(vcpu, XEN_VCPU.timeGpa), gpaRest: vcpuField(vcpu, XEN_VCPU.timeGpaRest),
    firstBytes: vcpuField(vcpu, XEN_VCPU.timeFirstBytes),
  };
  return state.withDomainLock(() => {
    const area = { gva, size: vcpu_time_info.size, linear: call.linear, guest };
    if (!registerAreaLocked(state, places, area)) return -EFAULT;
    // What is published stays true, so it is written once.
    const written = new GuestArea(state, guest, { user: "time info", fields: places, size: vcpu_time_info.size });
    written.write(timeInfoBytes());
    written.close();
    return 0;
  });
}

/** @hypercall VCPUOP_get_runstate_info yes */
function getRunstate(call: HypercallContext): number {
  const fields = call.domain.runstates.snapshot(target(call), call.domain.clock.nowNs());
  return call.writeStruct(STRUCT, fields) ? 0 : -EFAULT;
}

/** @hypercall VCPUOP_set_singleshot_timer yes */
function setSingleshot(call: HypercallContext): number {
  const fields = call.readStruct(STRUCT, vcpu_set_singleshot_timer.size);
  if (fields === undefined) return -EFAULT;
  const deadline = fields.u64(vcpu_set_singleshot_timer.timeout_abs_ns);
  const mustBeFuture = (fields.u32(vcpu_set_singleshot_timer.flags) & VCPU_SSHOTTMR_future) !== 0;
  if (mustBeFuture && Number(deadline) < call.domain.clock.nowNs()) return -ETIME;
  call.domain.timers.setSingleshot(call.vcpu, deadline);
  return 0;
}

/** @hypercall VCPUOP_stop_singleshot_timer yes */
function stopSingleshot(call: HypercallContext): number {
  call.domain.timers.stopSingleshot(call.vcpu);
  return 0;
}

/** @hypercall VCPUOP_set_periodic_timer yes */
function setPeriodic(call: HypercallContext): number {
  const period = call.readStruct(STRUCT, vcpu_set_periodic_timer.size)?.u64(vcpu_set_periodic_timer.period_ns);
  if (period === undefined) return -EFAULT;
  if (period < PERIODIC_TIMER_NS_MIN || period >= 1n << 62n) return -EINVAL;
  call.domain.timers.setPeriodic(target(call), period);
  if (target(call) !== call.vcpu) call.domain.kick(target(call));
  return 0;
}

/** @hypercall VCPUOP_stop_periodic_timer yes */
function stopPeriodic(call: HypercallContext): number {
  call.domain.timers.setPeriodic(target(call), 0n);
  return 0;
}

/** @hypercall VCPUOP_up partial(a vCPU that ran before; the first start is by INIT and SIPI) */
function up(call: HypercallContext): number {
  const { state } = call.domain;
  const flags = vcpuField(target(call), XEN_VCPU.flags);
  if ((state.u32(flags) & VCPU_FLAG_INITIALISED) === 0) return -EINVAL;
  if ((state.orU32(flags, VCPU_FLAG_UP) & VCPU_FLAG_UP) === 0) call.domain.kick(target(call));
  return 0;
}

/** @hypercall VCPUOP_down yes */
function down(call: HypercallContext): number {
  const flags = vcpuField(target(call), XEN_VCPU.flags);
  call.domain.state.andU32(flags, ~VCPU_FLAG_UP);
  if (target(call) === call.vcpu) call.domain.scheduling.request(call.vcpu, { kind: "down" });
  else call.domain.kick(target(call));
  return 0;
}

/** @hypercall VCPUOP_is_up yes */
function isUp(call: HypercallContext): number {
  return (call.domain.state.u32(vcpuField(target(call), XEN_VCPU.flags)) & VCPU_FLAG_UP) === 0 ? 0 : 1;
}

/** @hypercall VCPUOP_send_nmi yes */
function sendNmi(call: HypercallContext): number {
  call.domain.state.setU32(vcpuField(target(call), XEN_VCPU.nmi), 1);
  call.domain.kick(target(call));
  return 0;
}

/** vcpu_op: sub-operation, vCPU, pointer. */
export const vcpuOp: HypercallFamily = {
  number: __HYPERVISOR_vcpu_op,
  subOperation: firstArgument,
  names: VCPUOP_NAMES,
  handlers: {
    [VCPUOP_up]: forExisting(up),
    [VCPUOP_down]: forExisting(down),
    [VCPUOP_is_up]: forExisting(isUp),
    [VCPUOP_get_runstate_info]: forExisting(getRunstate),
    [VCPUOP_register_runstate_memory_area]: forExisting(registerRunstate),
    [VCPUOP_set_periodic_timer]: forExisting(setPeriodic),
    [VCPUOP_stop_periodic_timer]: forExisting(stopPeriodic),
    [VCPUOP_set_singleshot_timer]: forExisting(forSelf(setSingleshot)),
    [VCPUOP_stop_singleshot_timer]: forExisting(forSelf(stopSingleshot)),
    [VCPUOP_register_vcpu_info]: forExisting(registerVcpuInfo),
    [VCPUOP_send_nmi]: forExisting(sendNmi),
    [VCPUOP_register_vcpu_time_memory_area]: forExisting(registerTime),
  },
};
