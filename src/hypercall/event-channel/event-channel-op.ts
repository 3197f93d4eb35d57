/** event_channel_op, public/event_channel.h. The FIFO operations stay refused: the guest then takes the 2-level ABI. */
import {
  __HYPERVISOR_event_channel_op, DOMID_BACKEND, DOMID_GUEST, DOMID_SELF, EFAULT, EINVAL, ESRCH, evtchn_alloc_unbound,
  evtchn_bind_interdomain, evtchn_bind_ipi, evtchn_bind_vcpu, evtchn_bind_virq, evtchn_close, evtchn_reset, evtchn_send,
  evtchn_status, evtchn_unmask, EVTCHN_2L_NR_CHANNELS, EVTCHNOP_alloc_unbound, EVTCHNOP_bind_interdomain, EVTCHNOP_bind_ipi,
  EVTCHNOP_bind_vcpu, EVTCHNOP_bind_virq, EVTCHNOP_close, EVTCHNOP_NAMES, EVTCHNOP_reset, EVTCHNOP_send, EVTCHNOP_status,
  EVTCHNOP_unmask, EVTCHNSTAT_interdomain, EVTCHNSTAT_unbound, EVTCHNSTAT_virq,
} from "../../abi/xen/index.js";
import type { Fields } from "../../abi/xen/index.js";
import { firstArgument, isSelf } from "../context.js";
import type { HypercallContext, HypercallFamily, HypercallHandler } from "../context.js";

/** Reads the structure, runs `use`, and answers its result. */
function withStruct(size: number, use: (call: HypercallContext, fields: Fields) => number): HypercallHandler {
  return (call) => {
    const fields = call.readStruct(1, size);
    return fields === undefined ? -EFAULT : use(call, fields);
  };
}

/** Writes a new port into the structure; if that fails the port is given back. */
function answerPort(call: HypercallContext, fields: Fields, offset: number, port: number): number {
  if (port < 0) return port;
  if (call.writeStruct(1, fields.setU32(offset, port))) return 0;
  call.domain.ports.close(port);
  return -EFAULT;
}

/** @hypercall EVTCHNOP_alloc_unbound yes */
function allocUnbound(call: HypercallContext, fields: Fields): number {
  if (!isSelf(fields.u16(evtchn_alloc_unbound.dom))) return -ESRCH;
  const remote = fields.u16(evtchn_alloc_unbound.remote_dom);
  const port = call.domain.ports.allocateUnbound(remote === DOMID_SELF ? DOMID_GUEST : remote);
  return answerPort(call, fields, evtchn_alloc_unbound.port, port);
}

/** @hypercall EVTCHNOP_bind_interdomain partial(both ends in this domain) */
function bindInterdomain(call: HypercallContext, fields: Fields): number {
  const remote = fields.u16(evtchn_bind_interdomain.remote_dom);
  if (!isSelf(remote)) return remote === DOMID_BACKEND ? -EINVAL : -ESRCH;
  const port = call.domain.ports.bindInterdomain(fields.u32(evtchn_bind_interdomain.remote_port));
  return answerPort(call, fields, evtchn_bind_interdomain.local_port, port);
}

/** @hypercall EVTCHNOP_bind_virq yes */
function bindVirq(call: HypercallContext, fields: Fields): number {
  const port = call.domain.ports.bindVirq(fields.u32(evtchn_bind_virq.virq), fields.u32(evtchn_bind_virq.vcpu));
  return answerPort(call, fields, evtchn_bind_virq.port, port);
}

/** @hypercall EVTCHNOP_bind_ipi yes */
function bindIpi(call: HypercallContext, fields: Fields): number {
  return answerPort(call, fields, evtchn_bind_ipi.port, call.domain.ports.bindIpi(fields.u32(evtchn_bind_ipi.vcpu)));
}

/** @hypercall EVTCHNOP_status yes */
function status(call: HypercallContext, fields: Fields): number {
  if (!isSelf(fields.u16(evtchn_status.dom))) return -ESRCH;
  const port = fields.u32(evtchn_status.port);
  if (port >= EVTCHN_2L_NR_CHANNELS) return -EINVAL;
  const entry = call.domain.ports.entry(port);
  fields.setU32(evtchn_status.status, entry.state).setU32(evtchn_status.vcpu, entry.vcpu);
  if (entry.state === EVTCHNSTAT_unbound) fields.setU16(evtchn_status.u, entry.remote);
  if (entry.state === EVTCHNSTAT_virq) fields.setU32(evtchn_status.u, entry.remote);
  if (entry.state === EVTCHNSTAT_interdomain) {
    fields.setU16(evtchn_status.u, entry.remote).setU32(evtchn_status.u + 4, entry.remotePort);
  }
  return call.writeStruct(1, fields) ? 0 : -EFAULT;
}

/** @hypercall EVTCHNOP_bind_vcpu yes */
function bindVcpu(call: HypercallContext, fields: Fields): number {
  return call.domain.ports.bindVcpu(fields.u32(evtchn_bind_vcpu.port), fields.u32(evtchn_bind_vcpu.vcpu));
}

/** @hypercall EVTCHNOP_reset yes */
function reset(call: HypercallContext, fields: Fields): number {
  if (!isSelf(fields.u16(evtchn_reset.dom))) return -ESRCH;
  call.domain.ports.reset();
  return 0;
}

/** event_channel_op. */
export const eventChannelOp: HypercallFamily = {
  number: __HYPERVISOR_event_channel_op,
  subOperation: firstArgument,
  names: EVTCHNOP_NAMES,
  handlers: {
    [EVTCHNOP_bind_interdomain]: withStruct(evtchn_bind_interdomain.size, bindInterdomain),
    [EVTCHNOP_bind_virq]: withStruct(evtchn_bind_virq.size, bindVirq),
    /** @hypercall EVTCHNOP_close yes */
    [EVTCHNOP_close]: withStruct(evtchn_close.size, (call, fields) => call.domain.ports.close(fields.u32(evtchn_close.port))),
    /** @hypercall EVTCHNOP_send yes */
    [EVTCHNOP_send]: withStruct(evtchn_send.size, (call, fields) => call.domain.ports.send(fields.u32(evtchn_send.port))),
    [EVTCHNOP_status]: withStruct(evtchn_status.size, status),
    [EVTCHNOP_alloc_unbound]: withStruct(evtchn_alloc_unbound.size, allocUnbound),
    [EVTCHNOP_bind_ipi]: withStruct(evtchn_bind_ipi.size, bindIpi),
    [EVTCHNOP_bind_vcpu]: withStruct(evtchn_bind_vcpu.size, bindVcpu),
    /** @hypercall EVTCHNOP_unmask yes */
    [EVTCHNOP_unmask]: withStruct(evtchn_unmask.size, (call, fields) => call.domain.ports.unmask(fields.u32(evtchn_unmask.port))),
    [EVTCHNOP_reset]: withStruct(evtchn_reset.size, reset),
  },
};
