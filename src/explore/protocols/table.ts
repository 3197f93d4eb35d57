/**
 * Which scenario shows which historic bug of KVM's (B01 to B43), and which fault planted in the shipped protocol stands for which of the
 * forty mutations a checker must notice (M1 to M40). What has no scenario says why not.
 */
import { CLOCK_BUGS } from "./bugs/clocks.js";
import { FREED_OBJECTS } from "./bugs/freed-objects.js";
import { LOCK_ORDERS } from "./bugs/lock-orders.js";
import { MEMSLOT_BUGS } from "./bugs/memslots.js";
import { SHARED_INFO_BUGS } from "./bugs/shared-info.js";
import { END_HOOK } from "./end-hook.js";
import { FIRST_GPC } from "./first-gpc.js";
import { KICK } from "./kick.js";
import { MAP_EACH_TIME } from "./map-each-time.js";
import { OUR_EVENTS } from "./ours/event-delivery.js";
import { OUR_MEMSLOTS } from "./ours/memslots.js";
import { OUR_RELOAD } from "./ours/reload.js";
import { OUR_PAGE } from "./ours/revocable-page.js";
import { OUR_RUNSTATE } from "./ours/runstate.js";
import { OUR_VCPU_FLUSH } from "./ours/vcpu-flush.js";
import { PFNCACHE_LIFE } from "./pfncache-life.js";
import { PFNCACHE } from "./pfncache.js";
import { PIN_FOREVER } from "./pin-forever.js";
import { SENTINEL } from "./sentinel.js";
import type { ProtocolScenario } from "./steps.js";
import { USER_HVA } from "./user-hva.js";

/** A scenario in one of its variants; no variant = as it is. */
export interface Place {
  readonly scenario: ProtocolScenario;
  readonly variant?: string;
}

/** A fault and where it is shown. */
export interface FaultRow {
  readonly id: string;
  readonly title: string;
  /** Exploring it finds something. */
  readonly shown?: Place;
  /** The same without the fault: holds. */
  readonly fixed?: Place;
  /** Why nothing is shown, or what there is to know about it. */
  readonly remark?: string;
}

const at = (scenario: ProtocolScenario, variant?: string): Place => (variant === undefined ? { scenario } : { scenario, variant });

/** The historic bugs. */
export const BUGS: readonly FaultRow[] = [
  { id: "B01", title: "kvmclock writes to a pinned page whose memslot is gone", shown: at(PIN_FOREVER, "slot-deleted"), fixed: at(MAP_EACH_TIME, "cached, generation changes") },
  { id: "B02", title: "APIC page moved without a reload", shown: at(KICK, "no hook"), fixed: at(KICK) },
  { id: "B03", title: "APIC page reloaded before the entry is cleared", shown: at(KICK, "no retry"), fixed: at(KICK, "requested after clear") },
  { id: "B04", title: "reload requested, and waited for, in a callback that may not sleep", shown: at(KICK, "requested in the TLB callback"), fixed: at(KICK) },
  { id: "B05", title: "FLUSH_TLB overwritten", shown: at(USER_HVA, "copied in and out"), fixed: at(USER_HVA) },
  { id: "B06", title: "steal time by a cached pfn after the address was mapped anew", shown: at(MAP_EACH_TIME, "cached, remap"), fixed: at(USER_HVA) },
  { id: "B07", title: "in_progress raised behind the cache's invalidation", shown: at(FIRST_GPC, "valid last, unpinned"), fixed: at(FIRST_GPC, "valid last, unpinned, count tested") },
  { id: "B07b", title: "valid before it is looked up", shown: at(FIRST_GPC), fixed: at(PFNCACHE) },
  { id: "B08", title: "two refreshes of one cache at a time", shown: at(PFNCACHE_LIFE, "no refresh mutex"), fixed: at(PFNCACHE_LIFE) },
  { id: "B09", title: "a reference more at each refresh", shown: at(PFNCACHE, "reference kept"), fixed: at(PFNCACHE) },
  { id: "B10", title: "shared_info marked dirty without a running vCPU", remark: "one thread alone: a precondition of the dirty ring that the caller did not meet" },
  { id: "B11", title: "shared_info's address mapped anew", shown: at(PIN_FOREVER, "remap"), fixed: at(PFNCACHE) },
  { id: "B12", title: "sentinel pointer", shown: at(SENTINEL), fixed: at(PFNCACHE) },
  { id: "B13", title: "run state written from sched_out, sleeping", shown: at(SHARED_INFO_BUGS, "B13, sleeping lock in sched_out"), fixed: at(USER_HVA, "atomic context") },
  { id: "B14", title: "run queue lock against the cache's lock", shown: at(LOCK_ORDERS, "B14"), fixed: at(LOCK_ORDERS) },
  { id: "B15", title: "refresh of an inactive cache", shown: at(PFNCACHE_LIFE, "refresh of an inactive cache"), fixed: at(PFNCACHE_LIFE) },
  { id: "B16", title: "locks initialised at each activation", shown: at(PFNCACHE_LIFE, "lock initialised again"), fixed: at(PFNCACHE_LIFE) },
  { id: "B17", title: "deactivation without the refresh mutex", shown: at(PFNCACHE_LIFE, "deactivate without mutex"), fixed: at(PFNCACHE_LIFE) },
  { id: "B18", title: "vcpu_info copied while active", shown: at(SHARED_INFO_BUGS, "B18, copied while active"), fixed: at(SHARED_INFO_BUGS) },
  { id: "B19", title: "kvm->lock under vcpu->mutex", shown: at(LOCK_ORDERS, "B19"), fixed: at(LOCK_ORDERS) },
  { id: "B20", title: "timer event sent under the lock that sending takes", shown: at(LOCK_ORDERS, "B20"), fixed: at(LOCK_ORDERS) },
  { id: "B21", title: "mode read twice", shown: at(SHARED_INFO_BUGS, "B21, mode read twice"), fixed: at(SHARED_INFO_BUGS, "B21, mode read once") },
  { id: "B22", title: "offset of the old address", shown: at(PFNCACHE_LIFE, "offset not recomputed"), fixed: at(PFNCACHE_LIFE), remark: "needs one thread only" },
  { id: "B23", title: "length checked behind the activation", shown: at(PFNCACHE_LIFE, "length checked after activation"), fixed: at(PFNCACHE_LIFE) },
  { id: "B24", title: "memslots read outside srcu", shown: at(MEMSLOT_BUGS, "B24, read without srcu"), fixed: at(MEMSLOT_BUGS) },
  { id: "B25", title: "memslot generation bumped once", shown: at(MEMSLOT_BUGS, "B25, generation bumped once"), fixed: at(MEMSLOT_BUGS) },
  { id: "B26", title: "waits for an IPI with a lock that is taken with interrupts off", shown: at(KICK, "waits under an irq lock"), fixed: at(KICK) },
  { id: "B27", title: "start without end", shown: at(MEMSLOT_BUGS, "B27, end not called"), fixed: at(MEMSLOT_BUGS) },
  { id: "B28", title: "memslots change between start and end", shown: at(MEMSLOT_BUGS, "B28, update between start and end"), fixed: at(MEMSLOT_BUGS) },
  { id: "B29", title: "pages without a reference count", shown: at(FREED_OBJECTS, "B29, page without references"), fixed: at(FREED_OBJECTS, "B29, refused") },
  { id: "B30", title: "the tree's nodes are not under srcu", shown: at(FREED_OBJECTS, "B30, rcu not taken"), fixed: at(FREED_OBJECTS) },
  { id: "B31", title: "synchronize_srcu under kvm->lock", shown: at(LOCK_ORDERS, "B31"), fixed: at(LOCK_ORDERS) },
  { id: "B32", title: "run state's flag in a store that is torn", shown: at(SHARED_INFO_BUGS, "B32, flag in the long store"), fixed: at(SHARED_INFO_BUGS, "B32, flag in its own byte"), remark: "holds for a guest that reads high, low, high (get64); one that reads the flag first and once is still torn" },
  { id: "B33", title: "kvmclock's version", shown: at(CLOCK_BUGS, "B33, version once at the end"), fixed: at(CLOCK_BUGS) },
  { id: "B34", title: "steal time's key without the gpa", shown: at(MAP_EACH_TIME, "cached, key without gpa"), fixed: at(MAP_EACH_TIME, "cached, key with gpa") },
  { id: "B35", title: "GUEST_STOPPED in the wrong clock", shown: at(CLOCK_BUGS, "B35, one copy for two clocks"), fixed: at(CLOCK_BUGS), remark: "needs one thread only" },
  { id: "B36", title: "circle through cpu_hotplug_lock, slots_lock and srcu", shown: at(LOCK_ORDERS, "B36"), fixed: at(LOCK_ORDERS, "B36 fixed") },
  { id: "B37", title: "a cache whose address is in no memslot", shown: at(PFNCACHE, "hva outside memslots"), fixed: at(PFNCACHE, "hva outside memslots, own sequence") },
  { id: "B38", title: "64-bit atomic on a 32-bit selector", remark: "no interleaving: a locked access that crosses into the next field or page is one step, at the wrong place" },
  { id: "B39", title: "a request bit nobody takes", shown: at(KICK, "request nobody takes"), fixed: at(KICK, "eviction without a bit") },
  { id: "B40", title: "invalidation in the end hook", shown: at(END_HOOK), fixed: at(END_HOOK, "invalidated in start and end") },
  { id: "B41", title: "end without start", shown: at(MEMSLOT_BUGS, "B41, end without start"), fixed: at(MEMSLOT_BUGS, "B41, underflow refused") },
  { id: "B42", title: "dirty cache lines of an encrypted page", shown: at(FREED_OBJECTS, "B42, no write-back"), fixed: at(FREED_OBJECTS, "B42, written back") },
  { id: "B43", title: "counter's offset before the clock", shown: at(CLOCK_BUGS, "B43, clock update only requested"), fixed: at(CLOCK_BUGS, "B43, updated at once") },
];

const PRIVATE = "a GuestPage belongs to one thread: what it remembers is no shared word, and there is nothing to publish, lock or list";

/** The mutations, planted in the shipped protocol. */
export const MUTATIONS: readonly FaultRow[] = [
  { id: "M1", title: "sequence not checked", shown: at(OUR_PAGE, "sequence not compared in the access"), remark: "left out of the refresh alone it does no harm: what is published carries its sequence, and each access compares it" },
  { id: "M2", title: "count not checked", shown: at(OUR_PAGE, "active not tested") },
  { id: "M3", title: "waits for readers, retracts nothing", shown: at(OUR_PAGE, "sequence not bumped in begin") },
  { id: "M4", title: "looks at a count that rises later", shown: at(OUR_PAGE, "active raised behind the wait") },
  { id: "M5", title: "sequence sampled behind the look-up", shown: at(OUR_PAGE, "sequence sampled behind the look-up") },
  { id: "M6", title: "sequence tested before count", remark: "does no harm in ours, as M1's second half (our-page, \"sequence tested before active\" holds); in pfncache it is found" },
  { id: "M7", title: "count dropped before the sequence", shown: at(OUR_PAGE, "active dropped before sequence") },
  { id: "M8", title: "looks for users before it raises the count", shown: at(OUR_PAGE, "waits before it begins") },
  { id: "M9", title: "sequence not bumped for some", shown: at(OUR_PAGE, "sequence not bumped in end") },
  { id: "M10", title: "invalidated in end", shown: at(OUR_PAGE, "readers not waited for"), remark: "ours retracts by the same word at both ends; M3 is its other half" },
  { id: "M11", title: "valid before it is looked up", remark: PRIVATE },
  { id: "M12", title: "no refresh mutex", remark: PRIVATE },
  { id: "M13", title: "deactivation without the mutex", remark: PRIVATE },
  { id: "M14", title: "locks initialised at activation", remark: PRIVATE },
  { id: "M15", title: "refresh of an inactive cache", remark: `${PRIVATE}; refresh asserts that it is active` },
  { id: "M16", title: "checks, leaves, then uses", shown: at(OUR_PAGE, "section left before the use") },
  { id: "M17", title: "reads the frame again outside", remark: `${PRIVATE}: enter answers with the frame` },
  { id: "M18", title: "check and section in the wrong order", shown: at(OUR_PAGE, "checked before the section") },
  { id: "M19", title: "reference kept", shown: at(PIN_FOREVER, "offline"), remark: "--page-access pinned is just that; the revocable page takes none" },
  { id: "M20", title: "reference dropped too early", remark: "there is none; the old frame freed before the end does no harm either (our-page, \"freed before end\" holds): all ways to it were cut before" },
  { id: "M21", title: "key without generation", shown: at(OUR_MEMSLOTS, "generation not compared") },
  { id: "M22", title: "offset of the old address", remark: "a GuestPage is opened for one range and keeps it; PageSlot opens another when gfn, offset or length differ" },
  { id: "M23", title: "shadow cleared wholesale", shown: at(OUR_EVENTS, "shadow cleared wholesale") },
  { id: "M24", title: "upcall before selector", shown: at(OUR_EVENTS, "upcall before selector") },
  { id: "M25", title: "version or flag out of order", shown: at(OUR_RUNSTATE, "flag cleared before the rest") },
  { id: "M26", title: "kicked, not waited for; or waited for, no retry", shown: at(OUR_RELOAD, "no retry"), remark: "its first half: \"kicked, not waited for\"" },
  { id: "M27", title: "request looked at before guest mode", shown: at(OUR_VCPU_FLUSH, "request looked at before guest mode") },
  { id: "M28", title: "waits for sections that sleep", shown: at(OUR_PAGE, "refresh inside the section") },
  { id: "M29", title: "waits with a lock that is waited for", shown: at(OUR_VCPU_FLUSH, "waits with a lock the guest takes") },
  { id: "M30", title: "sleeps in a non-blockable start", shown: at(OUR_PAGE, "non-blockable sleeps for readers") },
  { id: "M31", title: "gives up behind begin", shown: at(OUR_PAGE, "gives up behind begin") },
  { id: "M32", title: "memslots change outside of an invalidation", shown: at(OUR_MEMSLOTS, "removed without an invalidation") },
  { id: "M33", title: "generation looked at once", shown: at(OUR_MEMSLOTS, "search without a second look") },
  { id: "M34", title: "blocking lock where nobody may sleep", shown: at(OUR_EVENTS, "blocking lock in the sender") },
  { id: "M35", title: "two words read at two times", shown: at(OUR_EVENTS, "place in two reads, no lock"), remark: "there is one mode only, 64-bit; gfn and offset of a vcpu_info are such a pair" },
  { id: "M36", title: "length checked too late", remark: "the constructor asserts it before there is anything to undo" },
  { id: "M37", title: "two pages' locks in either order", remark: "pages have no locks; a run state's two pages are accessed one after the other, under its own lock alone" },
  { id: "M38", title: "poller publishes behind its look", shown: at(OUR_EVENTS, "poll, published behind its look") },
  { id: "M39", title: "page-table walk nobody waits for", shown: at(OUR_VCPU_FLUSH, "walk outside guest mode") },
  { id: "M40", title: "waits with its lock held", shown: at(OUR_PAGE, "waits with the mmu lock held") },
];
