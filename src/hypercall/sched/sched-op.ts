/** sched_op, public/sched.h. The handlers only note what is wanted; the run loop does it. */
import {
  __HYPERVISOR_sched_op, EFAULT, EINVAL, EVTCHNSTAT_closed, Fields, POLL_PORTS_MAX, sched_poll, sched_shutdown,
  SCHEDOP_block, SCHEDOP_NAMES, SCHEDOP_poll, SCHEDOP_shutdown, SCHEDOP_yield,
} from "../../abi/xen/index.js";
import { XEN_DOMAIN } from "../../abi/xen-block.js";
import { firstArgument } from "../context.js";
import type { HypercallContext, HypercallFamily } from "../context.js";

const PORT_BYTES = 4;

/** @hypercall SCHEDOP_yield yes */
function yieldVcpu(call: HypercallContext): number {
  call.domain.scheduling.request(call.vcpu, { kind: "yield" });
  return 0;
}

/** @hypercall SCHEDOP_block yes */
function block(call: HypercallContext): number {
  if (!call.domain.delivery.upcallPending(call.vcpu)) call.domain.scheduling.request(call.vcpu, { kind: "block" });
  return 0;
}

/** @hypercall SCHEDOP_shutdown yes */
function shutdown(call: HypercallContext): number {
  const reason = call.readStruct(1, sched_shutdown.size)?.u32(sched_shutdown.reason);
  if (reason === undefined) return -EFAULT;
  // Xen keeps eight bits of the reason and lets the toolstack judge them.
  call.domain.state.claimU32(XEN_DOMAIN.shutdown, (reason & 0xff) + 1);
  call.domain.scheduling.request(call.vcpu, { kind: "shutdown", reason: reason & 0xff });
  for (let vcpu = 0; vcpu < call.domain.vcpuCount; vcpu++) if (vcpu !== call.vcpu) call.domain.kick(vcpu);
  return 0;
}

/** @hypercall SCHEDOP_poll yes */
function poll(call: HypercallContext): number {
  const fields = call.readStruct(1, sched_poll.size);
  if (fields === undefined) return -EFAULT;
  const portCount = fields.u32(sched_poll.nr_ports);
  if (portCount > POLL_PORTS_MAX) return -EINVAL;
  const bytes = portCount === 0 ? new Uint8Array() : call.linear.read(fields.u64(sched_poll.ports), portCount * PORT_BYTES);
  if (bytes === undefined) return -EFAULT;
  const list = new Fields(bytes);
  const ports = Array.from({ length: portCount }, (_, index) => list.u32(index * PORT_BYTES));
  if (ports.some((port) => call.domain.ports.entry(port).state === EVTCHNSTAT_closed)) return -EINVAL;
  const timeout = fields.u64(sched_poll.timeout);
  call.domain.scheduling.poll(call.vcpu, ports, timeout === 0n ? Infinity : Number(timeout));
  return 0;
}

/** sched_op. */
export const schedOp: HypercallFamily = {
  number: __HYPERVISOR_sched_op,
  subOperation: firstArgument,
  names: SCHEDOP_NAMES,
  handlers: {
    [SCHEDOP_yield]: yieldVcpu, [SCHEDOP_block]: block, [SCHEDOP_shutdown]: shutdown, [SCHEDOP_poll]: poll,
  },
};
