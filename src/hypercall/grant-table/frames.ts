/** Where the guest put the frames of its grant table. */
import { gfnOf, gpaOfGfn } from "../../abi/address.js";
import { PAGE_SIZE } from "../../abi/layout.js";
import { EINVAL, ENOMEM, GRANT_FRAMES_MAX } from "../../abi/xen/index.js";
import { XEN_DOMAIN } from "../../abi/xen-block.js";
import type { Domain } from "../domain.js";
import type { DomainState } from "../state/domain-state.js";
import { GFN_LIMIT } from "../memory/physical-map.js";

/** gfn of grant frame `index`; undefined = not mapped. */
export function grantFrameGfn(state: DomainState, index: number): number | undefined {
  const entry = index < GRANT_FRAMES_MAX ? state.u32(XEN_DOMAIN.grantFrames + index * 4) : 0;
  return entry === 0 ? undefined : entry - 1;
}

/** Frames the table has: up to the highest mapped one, at least one. */
export function grantFrameCount(state: DomainState): number {
  for (let index = GRANT_FRAMES_MAX - 1; index > 0; index--) {
    if (grantFrameGfn(state, index) !== undefined) return index + 1;
  }
  return 1;
}

/** Maps grant frame `index` at `gfn`, where it starts empty or keeps its entries. 0 or a negated errno. */
export function mapGrantFrame(domain: Domain, index: number, gfn: number): number {
  if (index >= GRANT_FRAMES_MAX || gfn >= GFN_LIMIT) return -EINVAL;
  return domain.state.withDomainLock(() => {
    if (!makeRoomLocked(domain, index, gfn)) return -ENOMEM;
    const before = grantFrameGfn(domain.state, index);
    const content = before === undefined ? undefined : domain.guest.read(gpaOfGfn(gfnOf(before)), PAGE_SIZE);
    if (!domain.guest.write(gpaOfGfn(gfnOf(gfn)), content ?? new Uint8Array(PAGE_SIZE))) return -EINVAL;
    domain.state.setU32(XEN_DOMAIN.grantFrames + index * 4, gfn + 1);
    if (before !== undefined && before !== gfn) domain.map.removeLocked(before);
    return 0;
  });
}

/** A guest maps its frames one by one at consecutive gfns: one memslot for all of them where the hole allows. */
function makeRoomLocked(domain: Domain, index: number, gfn: number): boolean {
  if (domain.map.exists(gfn)) return true;
  const base = gfn - index;
  if (domain.map.isHole(base, GRANT_FRAMES_MAX)) return domain.map.addLocked(base, GRANT_FRAMES_MAX);
  return domain.map.addLocked(gfn, 1);
}

/** Forgets a grant frame whose page at `gfn` is taken out of the map. Caller holds domainLock. */
export function forgetGrantFrameLocked(state: DomainState, gfn: number): void {
  for (let index = 0; index < GRANT_FRAMES_MAX; index++) {
    if (grantFrameGfn(state, index) === gfn) state.setU32(XEN_DOMAIN.grantFrames + index * 4, 0);
  }
}
