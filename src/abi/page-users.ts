/**
 * Who uses guest pages outside guest mode: the names under which statistics count revocations and refreshes, and by which a
 * refused memory operation says who holds a page. A user's number is its place in the list.
 */
export const PAGE_USER_NAMES = [
  "hypercall arguments", "shared_info", "vcpu_info", "time info", "runstate", "console ring", "xenstore ring", "granted page",
  "kvmclock", "steal time", "PV EOI", "wall clock", "APIC access page", "test",
] as const;

/** Name of one user of guest pages. */
export type PageUser = (typeof PAGE_USER_NAMES)[number];

/** Most users that the shared counters have room for. */
export const PAGE_USER_COUNT_MAX = 32;

/** Number of a user in shared tables. */
export function pageUserNumber(user: PageUser): number {
  return PAGE_USER_NAMES.indexOf(user);
}
