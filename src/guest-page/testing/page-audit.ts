/** What must hold when nobody changes anything: every frame in use belongs to pages or pins, counted; every way leads to the page's frame. */
import { gfnOf, hvaPageOf, pfnOf } from "../../abi/address.js";
import type { Pfn } from "../../abi/address.js";
import { NPT_PRESENT, NPT_WRITABLE } from "../../abi/layout.js";
import { AddressSpace, HVA_BUSY, HVA_SHARED, HVA_SWAPPED, hasFrame, pfnOfEntry, slotOfEntry, stateOfEntry } from "../../host-memory/address-space.js";
import type { HostMemory } from "../../host-memory/index.js";
import { INVALIDATION_BUCKET_COUNT, WORD_INVALIDATION_BUCKETS } from "../../host-memory/layout.js";

/**
 * Throws an Error that names the first thing that is wrong. `held` has the frames that a test holds itself, once a reference.
 * Precondition: no other thread uses the host.
 */
export function auditPages(host: HostMemory, held: Iterable<Pfn> = []): void {
  const users = new Map<Pfn, number>();
  for (const pfn of held) users.set(pfn, (users.get(pfn) ?? 0) + 1);
  const pages = auditEntries(host, users);
  const { framesInUse, guestPagesPresent } = host.statistics();
  expect(framesInUse === users.size, `${users.size} frames in use by pages and tests, the pool counts ${framesInUse}`);
  expect(guestPagesPresent === pages.present, `${pages.present} pages with a frame, the host counts ${guestPagesPresent}`);
  for (const [pfn, count] of users) {
    const { references } = host.pool.describe(pfn);
    expect(references === count, `frame ${pfn} has ${count} users and ${references} references`);
  }
  const { swapSlotsUsed } = host.memoryMap();
  expect(pages.slots.size === swapSlotsUsed, `${pages.slots.size} slots of the swap file have a page, ${swapSlotsUsed} are in use`);
  for (let bucket = 0; bucket < INVALIDATION_BUCKET_COUNT; bucket++) {
    const active = host.words[WORD_INVALIDATION_BUCKETS + 2 * bucket + 1]!;
    expect(active === 0, `the active count of bucket ${bucket} is ${active} at rest`);
  }
}

/** Looks at every page; adds its frame's users to `users`. */
function auditEntries(host: HostMemory, users: Map<Pfn, number>): { present: number; slots: Set<number> } {
  const addressSpace = new AddressSpace(host.words);
  const slots = new Set<number>();
  let present = 0;
  for (const memslot of host.memslots()) {
    addressSpace.forEachEntry(memslot.baseHvaPage, memslot.pageCount, (page, entry) => {
      const gfn = gfnOf(memslot.baseGfn + page - memslot.baseHvaPage);
      expect(stateOfEntry(entry) !== HVA_BUSY, `gfn ${gfn} is BUSY at rest`);
      if (stateOfEntry(entry) === HVA_SWAPPED) {
        expect(!slots.has(slotOfEntry(entry)), `gfn ${gfn} has a slot of the swap file that another page has too`);
        slots.add(slotOfEntry(entry));
      }
      if (hasFrame(entry)) {
        present++;
        users.set(pfnOfEntry(entry), (users.get(pfnOfEntry(entry)) ?? 0) + 1);
      }
      auditWay(host.nptEntry(gfn), entry, gfn);
    });
    auditAbsent(host, memslot);
  }
  return { present, slots };
}

/** The processor's way, if it has one, leads to the page's frame, and to one that others share only for reading. */
function auditWay(nptEntry: number, entry: number, gfn: number): void {
  if ((nptEntry & NPT_PRESENT) === 0) return;
  const led = pfnOf(nptEntry >>> 12);
  expect(hasFrame(entry) && led === pfnOfEntry(entry), `the processor is led from gfn ${gfn} to frame ${led}, the page's entry is ${entry}`);
  const isSafe = stateOfEntry(entry) !== HVA_SHARED || (nptEntry & NPT_WRITABLE) === 0;
  expect(isSafe, `the processor may write the shared frame of gfn ${gfn}`);
}

function auditAbsent(host: HostMemory, memslot: { readonly baseGfn: number; readonly pageCount: number; readonly baseHvaPage: number }): void {
  const addressSpace = new AddressSpace(host.words);
  for (let page = 0; page < memslot.pageCount; page++) {
    const gfn = gfnOf(memslot.baseGfn + page);
    if (addressSpace.entry(hvaPageOf(memslot.baseHvaPage + page)) !== 0) continue;
    expect((host.nptEntry(gfn) & NPT_PRESENT) === 0, `the processor has a way from gfn ${gfn}, whose page is absent`);
  }
}

function expect(holds: boolean, what: string): void {
  if (!holds) throw new Error(`audit: ${what}`);
}
