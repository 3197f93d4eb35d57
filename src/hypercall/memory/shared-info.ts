/** Where the guest's shared_info is, and what it holds when it appears. */
import { gfnOf, gpaOfGfn } from "../../abi/address.js";
import { PAGE_SIZE } from "../../abi/layout.js";
import { EINVAL, ENOMEM, Fields, shared_info, vcpu_info } from "../../abi/xen/index.js";
import { XEN_DOMAIN } from "../../abi/xen-block.js";
import type { Domain } from "../domain.js";
import { timeInfoBytes } from "../state/time-info.js";

/**
 * Makes `gfn` the shared_info page: the first time it starts from zeros with clock and wall clock filled in, later the
 * content moves along from where it was. Events raised before are announced. 0 or a negated errno.
 */
export function adoptSharedInfo(domain: Domain, gfn: number): number {
  return domain.state.withDomainLock(() => {
    if (!domain.map.ensureLocked(gfn)) return domain.map.isHole(gfn, 1) ? -ENOMEM : -EINVAL;
    return domain.state.withEventLock(() => {
      const content = domain.delivery.sharedInfo()?.access((view) => view.copyOut(0, PAGE_SIZE));
      if (!domain.guest.write(gpaOfGfn(gfnOf(gfn)), content ?? initialSharedInfo(domain))) return -EINVAL;
      domain.state.setU32(XEN_DOMAIN.sharedInfoGfn, gfn + 1);
      domain.ports.announceShadowLocked();
      return 0;
    });
  });
}

function initialSharedInfo(domain: Domain): Uint8Array {
  const fields = Fields.zeroed(PAGE_SIZE);
  for (let vcpu = 0; vcpu < domain.vcpuCount; vcpu++) {
    fields.bytes.set(timeInfoBytes(), shared_info.vcpu_info + vcpu * vcpu_info.size + vcpu_info.time);
  }
  fields.setU32(shared_info.wc_version, 2);
  fields.setU32(shared_info.wc_sec, domain.state.u32(XEN_DOMAIN.wallSecondsLow));
  fields.setU32(shared_info.wc_sec_hi, domain.state.u32(XEN_DOMAIN.wallSecondsHigh));
  fields.setU32(shared_info.wc_nsec, domain.state.u32(XEN_DOMAIN.wallNanoseconds));
  return fields.bytes;
}
