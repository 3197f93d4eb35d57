/**
 * The guest's clock: the TSC counts ns since VM start, so system time equals the TSC and what is published once stays
 * true (Xen public/xen.h, struct vcpu_time_info): ns = ((tsc - tsc_timestamp) << tsc_shift) * mul >> 32 + system_time.
 */
import { Fields, vcpu_time_info, XEN_PVCLOCK_TSC_STABLE_BIT } from "../../abi/xen/index.js";

/** 1 GHz: shifting by one and multiplying by one half gives ns = ticks, with all bits of mul in use. */
const TSC_TO_SYSTEM_MUL = 0x8000_0000;
const TSC_SHIFT = 1;
/** Even: not being changed. */
const SETTLED_VERSION = 2;

/** The 32 bytes of struct vcpu_time_info, the same for every vCPU. */
export function timeInfoBytes(): Uint8Array {
  const fields = Fields.zeroed(vcpu_time_info.size);
  fields.setU32(vcpu_time_info.version, SETTLED_VERSION);
  fields.setU32(vcpu_time_info.tsc_to_system_mul, TSC_TO_SYSTEM_MUL);
  fields.bytes[vcpu_time_info.tsc_shift] = TSC_SHIFT;
  fields.bytes[vcpu_time_info.flags] = XEN_PVCLOCK_TSC_STABLE_BIT;
  return fields.bytes;
}
