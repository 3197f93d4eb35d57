/**
 * Access to pages the guest granted to the back ends (public/grant_table.h, version 1 entries).
 *
 * The back ends live in the hypervisor, so nothing is mapped and the entry's in-use bits are not set: the guest never has to
 * wait for us to end an access. A page whose grant it takes back without closing the device stays open until it does; that is
 * still only a page of its own.
 */
import { gfnOf, gpaOfGfn, gpaPlus } from "../../abi/address.js";
import { PAGE_SIZE } from "../../abi/layout.js";
import {
  DOMID_BACKEND, Fields, GRANT_ENTRIES_PER_FRAME, grant_entry_v1, GTF_permit_access, GTF_readonly, GTF_type_mask,
} from "../../abi/xen/index.js";
import type { GuestMemory, GuestPage } from "../../guest-page/index.js";
import type { DeviceDomain } from "../interfaces.js";

/** A granted page. */
export interface Grant {
  /** The granted guest frame number. */
  readonly gfn: number;
  readonly isReadOnly: boolean;
}

/** Reads entry `reference`; undefined = no such entry, or it grants nothing to the back ends. */
export function readGrant(domain: DeviceDomain, guest: GuestMemory, reference: number): Grant | undefined {
  const frame = domain.grantFrame(Math.floor(reference / GRANT_ENTRIES_PER_FRAME));
  if (frame === undefined) return undefined;
  const entryGpa = gpaPlus(gpaOfGfn(frame), (reference % GRANT_ENTRIES_PER_FRAME) * grant_entry_v1.size);
  const bytes = guest.read(entryGpa, grant_entry_v1.size);
  if (bytes === undefined) return undefined;
  const entry = new Fields(bytes);
  const flags = entry.u16(grant_entry_v1.flags);
  if ((flags & GTF_type_mask) !== GTF_permit_access || entry.u16(grant_entry_v1.domid) !== DOMID_BACKEND) return undefined;
  return { gfn: entry.u32(grant_entry_v1.frame), isReadOnly: (flags & GTF_readonly) !== 0 };
}

/** Opens a granted page for writing; undefined = not granted so, or there is no memory. */
export function openGrantedPage(domain: DeviceDomain, guest: GuestMemory, reference: number): GuestPage | undefined {
  const grant = readGrant(domain, guest, reference);
  return grant === undefined || grant.isReadOnly ? undefined : guest.openPage(gpaOfGfn(gfnOf(grant.gfn)), PAGE_SIZE, "granted page");
}
