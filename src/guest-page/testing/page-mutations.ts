/**
 * Faults in the protocols of host-memory and guest-page. M1 to M40 are the mutations that a checker of KVM's gfn_to_pfn_cache has to
 * notice, each a bug that was in a kernel once or one step from one; the protocol here is another one (host-memory/invalidation.ts), so
 * each stands for the line that has its part. P1 and following are our own.
 */
import type { Mutation } from "./mutation.js";
import { catcher, caught, edit, from, harmless, impossible, pageScenario } from "./mutation.js";

const INVALIDATION = "host-memory/invalidation.js";
const ACCESS = "guest-page/page-access.js";
const FAULTS = "host-memory/page-faults.js";
const MOVES = "host-memory/migration.js";
const DROPS = "host-memory/discarding.js";
const MERGES = "host-memory/merging.js";
const CHANGES = "host-memory/page-changes.js";
const REQUESTS = "exit/requests/vcpu-requests.js";

const user = pageScenario("a user and a change");
const userMove = pageScenario("a user and a move");
const processorMove = pageScenario("a processor and a move");
const processorMerge = pageScenario("a processor and a merge");
const processorDiscard = pageScenario("a processor and a discard");
const crowd = pageScenario("users, a processor and two changers");
const slots = pageScenario("two changers, one of memslots");
const holders = pageScenario("a holder of references and changes that keep contents");
const check = (name: string): ReturnType<typeof catcher> => catcher("guest-page/testing/page-checks.js", name);

const BEGIN_BODY = `        forEachBucket(ranges, (index) => {
            atomicAdd(this.#words, index + 1, 1);
            atomicAdd(this.#words, index, 1);
        });
        return synchronizeReaders(this.#domain, mustNotSleep);`;
const END_BODY = `            atomicAdd(this.#words, index, 1);
            const active = atomicAdd(this.#words, index + 1, -1);`;
const SAMPLE = "const sequence = this.#invalidations.sequence(index);";
const GENERATION = "const generation = this.host.memslotGeneration;";
const LOOK_UP = "const pfn = this.host.presentPfn(page);";
const FIND_PAGE = "const page = this.host.findHvaPage(this.gfn);";
const ENTER_TEST = "if (this.#invalidations.enterAndLook(this.#sequenceIndex) === this.#sequence)\n            return this.#frameBase;";
const CUT_ALL = "journey.nptBefore = journey.pages.map((name) => changes.cutLocked(name, journey.source));\n        });\n        changes.flushVcpuTlbs();";

/** The lookups of a page and their invalidation. */
const REFRESH: readonly Mutation[] = [
  caught("M1", "drop the sequence check", userMove, edit(ACCESS, ENTER_TEST, "if (this.#invalidations.enterAndLook(this.#sequenceIndex) !== undefined)\n            return this.#frameBase;")),
  harmless("M1a", "drop the sequence check of the lookup alone", "a use compares again with the sequence from before the lookup", userMove,
    edit(INVALIDATION, "return atomicLoad(this.#words, index) === sequence;", "return true;")),
  caught("M2", "drop the active-count check", userMove, edit(INVALIDATION, "if (atomicLoad(this.#words, index + 1) !== 0) {", "if (ends === undefined) {")),
  caught("M3", "invalidate by waiting for users without revoking their mappings", userMove,
    edit(INVALIDATION, "atomicAdd(this.#words, index + 1, 1);\n            atomicAdd(this.#words, index, 1);", "atomicAdd(this.#words, index + 1, 1);"),
    edit(INVALIDATION, END_BODY, "const active = atomicAdd(this.#words, index + 1, -1);")),
  caught("M4", "raise the count only behind the wait for users", check("a move that begins during a use waits for it"), edit(INVALIDATION, BEGIN_BODY, `
        forEachBucket(ranges, (index) => atomicAdd(this.#words, index, 1));
        const waited = synchronizeReaders(this.#domain, mustNotSleep);
        forEachBucket(ranges, (index) => atomicAdd(this.#words, index + 1, 1));
        return waited;`)),
  caught("M5", "sample the sequence behind the lookup", userMove, edit(ACCESS, SAMPLE, ""), edit(ACCESS, LOOK_UP, `${LOOK_UP} ${SAMPLE}`)),
  harmless("M6", "test the sequence before the count", "a use compares the sequence once more, behind both tests", userMove,
    edit(INVALIDATION, "const ends = atomicLoad(this.#words, WORD_INVALIDATION_ENDS);", "const same = atomicLoad(this.#words, index) === sequence; const ends = atomicLoad(this.#words, WORD_INVALIDATION_ENDS);"),
    edit(INVALIDATION, "return atomicLoad(this.#words, index) === sequence;", "return same;")),
  caught("M7", "drop the count before bumping the sequence", check("a page looked up during a move is not used before its end is complete"), edit(INVALIDATION, END_BODY,
    "const active = atomicAdd(this.#words, index + 1, -1);\n            atomicAdd(this.#words, index, 1);")),
  caught("M8", "wait for users before revoking their mappings", userMove, edit(INVALIDATION, BEGIN_BODY, `
        const waited = synchronizeReaders(this.#domain, mustNotSleep);
        forEachBucket(ranges, (index) => { atomicAdd(this.#words, index + 1, 1); atomicAdd(this.#words, index, 1); });
        return waited;`)),
  caught("M9", "do not bump the sequence at the end", from(985, userMove), edit(INVALIDATION, END_BODY, "const active = atomicAdd(this.#words, index + 1, -1);")),
  caught("M10", "revoke mappings at the end of a change", userMove,
    edit(INVALIDATION, "atomicAdd(this.#words, index + 1, 1);\n            atomicAdd(this.#words, index, 1);", "atomicAdd(this.#words, index + 1, 1);")),
  impossible("M11", "valid before the lookup", "a GuestPage is one thread's: nobody can use it while its own thread looks it up"),
  impossible("M12", "no refresh mutex", "a GuestPage is one thread's: two lookups of one object cannot meet"),
  impossible("M13", "deactivate without the refresh mutex", "a GuestPage is one thread's, and holds nothing that could be unmapped under another"),
  impossible("M14", "initialise locks again at activation", "a GuestPage has no lock"),
  caught("M15", "refresh a page that was deactivated", check("a deactivated page refuses a refresh"),
    edit("guest-page/guest-page.js", "assert(this.#active, ", "assert(true, ")),
  caught("M16", "check, leave the section, then use", userMove, edit(ACCESS, ENTER_TEST,
    "if (this.#invalidations.enterAndLook(this.#sequenceIndex) === this.#sequence) { this.#invalidations.leave(); return this.#frameBase; }"),
    edit(ACCESS, "return this.host.leaveWritten(nptEntryIndex);", "return this.host.markWritten(nptEntryIndex);"),
    edit(ACCESS, "    leave() {\n        this.#invalidations.leave();\n    }", "    leave() { }")),
  caught("M17", "use the address behind the section", check("a view kept beyond its callback is dead"),
    edit("guest-page/guest-page.js", "if (--this.#depth === 0)\n                this.#view.close();", "--this.#depth;")),
  caught("M18", "do not test again under the lock what was found without it: a swapped page", from(610, crowd),
    edit(FAULTS, "if (stateOfEntry(entry) !== HVA_SWAPPED)\n            return \"again\";", "")),
  caught("M18a", "do not test again under the lock what was found without it: a page's guest frame", slots,
    edit(CHANGES, "return this.parts.memslots.findHvaPage(gfn) === page;", "return gfn !== undefined;")),
  caught("M19", "keep a reference behind the lookup", userMove, edit(ACCESS, "this.#frameBase = frameAddress(pfn);", "this.#frameBase = frameAddress(pfn); this.host.pool.addReference(pfn);")),
  caught("M20", "free the frame before nobody can reach it", from(1300, processorDiscard), edit(DROPS, "changes.flushVcpuTlbs(form);", "changes.releaseFrames(left.frames.splice(0)); changes.flushVcpuTlbs(form);")),
  caught("M21", "look up without regard to the memslots' generation", check("a page is not that of a memslot which left before its sequence was seen"),
    edit(ACCESS, "if (this.host.memslotGeneration !== generation)\n                continue;", "")),
  caught("M21a", "keep a mapping without regard to the address", check("pages whose numbers collide in the cache are told apart"),
    edit("guest-page/guest-memory.js", "if (cached !== undefined && cached.gpa === gpa)", "if (cached !== undefined)")),
];

/** Waiting, sleeping, memslots, requests. */
const WAITS: readonly Mutation[] = [
  caught("M26", "ask vCPUs to drop their TLBs without waiting", processorMove, edit(REQUESTS, "{ wait: true, mustNotSleep: options.mustNotSleep ?? false }", "{ wait: false }")),
  caught("M26a", "wait for vCPUs while they can still find the old frame", processorMove, edit(MOVES, CUT_ALL,
    "journey.nptBefore = journey.pages.map(({ gfn }) => changes.parts.npt.entry(gfn));\n        });\n        changes.flushVcpuTlbs();"),
    edit(MOVES, "changes.settleLocked(name, state,", "changes.cutLocked(name, source); changes.settleLocked(name, state,"),
    edit(MOVES, "assert(stateOfEntry(addressSpace.entry(name.page)) === HVA_BUSY,", "assert(addressSpace.entry(name.page) !== undefined || HVA_BUSY,")),
  caught("M27", "look at the vCPU's mode before the request is set", check("a move waits for a store of the processor"),
    edit(REQUESTS, "    for (const vcpu of vcpus)\n        postRequest(vcpu, request, wake);\n    if (vcpus.length > 0)\n        count(vcpus[0], REQUEST_COUNTERS.made, 1);\n    return wait && waitUntilAllLeft(vcpus, mustNotSleep);",
      "    const inside = vcpus.filter((vcpu) => guestModeEpoch(vcpu) !== undefined);\n    for (const vcpu of vcpus)\n        postRequest(vcpu, request, wake);\n    if (vcpus.length > 0)\n        count(vcpus[0], REQUEST_COUNTERS.made, 1);\n    return wait && waitUntilAllLeft(inside, mustNotSleep);")),
  caught("M27a", "the vCPU looks for requests before it says that it is in guest mode", processorMove,
    edit("exit/requests/guest-mode.js", "    atomicAdd(vcpu.words, vcpu.wordIndex(VCPU.guestEpoch), 1);\n    if ((atomicLoad(vcpu.words, vcpu.wordIndex(VCPU.request)) & ~REQUEST_CODE_LOG) === 0)\n        return true;",
      "    const isAsked = (atomicLoad(vcpu.words, vcpu.wordIndex(VCPU.request)) & ~REQUEST_CODE_LOG) !== 0;\n    atomicAdd(vcpu.words, vcpu.wordIndex(VCPU.guestEpoch), 1);\n    if (!isAsked)\n        return true;")),
  caught("M28", "let a section sleep while it is waited for", check("whatever may sleep is refused inside a section"),
    edit(INVALIDATION, "assert(!this.#slot.isInside,", "assert(true,")),
  impossible("M29", "wait for vCPUs with a lock held that they take", "guest mode and read sections take no lock of host-memory; sections that try are refused (M28)"),
  caught("M30", "sleep in a change that must not", check("a change that must not sleep spins for an open section"),
    edit(INVALIDATION, "return synchronizeReaders(this.#domain, mustNotSleep);", "return synchronizeReaders(this.#domain, mustNotSleep === undefined);")),
  impossible("M31", "give up a change behind the start of its invalidation", "a change gives up at the mutation lock or not at all; nothing was raised by then"),
  caught("M32", "change the memslots while an invalidation is active", slots,
    edit("host-memory/host-memory.js", "    moveMemslot(id, baseGfn) {\n        return this.#changes.mutate(() => {", "    moveMemslot(id, baseGfn) {\n        return ((change) => change())(() => {")),
  caught("M33", "take the generation behind the search of the memslots", check("a page is not that of a memslot which left before its generation was seen"),
    edit(ACCESS, GENERATION, ""), edit(ACCESS, FIND_PAGE, `${FIND_PAGE} ${GENERATION}`)),
  caught("M39", "search the memslots without noticing that they are rewritten", check("a search of memslots that change sees one whole set"),
    edit("host-memory/memslots.js", "const page = entry < 0 ? NO_HVA_PAGE : this.#hvaPageAt(entry, gfn);\n            if (this.generation === generation)\n                return page;",
      "const page = entry < 0 ? NO_HVA_PAGE : this.#hvaPageAt(entry, gfn);\n            return page;")),
  caught("M40", "sleep with the lock held that the waker needs", user, edit(FAULTS,
    "const step = this.#changes.withMmuLock(() => this.#stepLocked(gfn, write));",
    "const step = this.#changes.withMmuLock(() => { const found = this.#stepLocked(gfn, write); if (found === \"busy\") waitWhile(words, WORD_BUSY_DONE, busyDone); return found; });")),
];

/** Our own. */
const OWN: readonly Mutation[] = [
  caught("P1", "sections are not announced", userMove, edit(INVALIDATION, "return this.#slot.enterAndLook(index);", "return atomicLoad(this.#words, index);"),
    edit(INVALIDATION, "        this.#slot.leave();", "        this.#slot.order();"), edit(INVALIDATION, "return this.#slot.leaveAndLook(index);", "return atomicLoad(this.#words, index);")),
  caught("P2", "announce the section behind the sequence check", userMove, edit(ACCESS, `        ${ENTER_TEST}`, `        const isCurrent = this.#invalidations.sequence(this.#sequenceIndex) === this.#sequence;
        this.#invalidations.enter();
        if (isCurrent)
            return this.#frameBase;`)),
  caught("P3", "who met a BUSY page is not woken behind a move", processorMove, edit(MOVES, "        changes.wakeBusyWaiters();", "")),
  caught("P4", "copy before the TLBs are flushed", processorMove, edit(MOVES, CUT_ALL,
    "journey.nptBefore = journey.pages.map((name) => changes.cutLocked(name, journey.source));\n            for (const { target, source } of journeys) views.copyFrame(target, source);\n        });\n        changes.flushVcpuTlbs();"),
    edit(MOVES, "if (journey.isMoved)\n                views.copyFrame(journey.target, journey.source);", "")),
  caught("P5", "a swapped page is present before it is read back", from(200, crowd), edit(FAULTS, "const failure = failureOf(",
    "changes.withMmuLock(() => addressSpace.setFrameLocked(name.page, HVA_PRESENT, pfn)); const failure = failureOf(")),
  caught("P6", "pages are compared for a merge before nobody writes them", processorMerge, edit(MERGES, "changes.flushVcpuTlbs();", "")),
  caught("P7", "move a frame that somebody holds a reference to", holders,
    edit(MOVES, "journey.isMoved = pool.references(journey.source) === journey.pages.length;", "journey.isMoved = true;")),
  caught("P8", "a shared page keeps the processor's way for writing", processorMerge,
    edit(CHANGES, "const isWritable = state === HVA_PRESENT && (nptBefore & NPT_WRITABLE) !== 0;", "const isWritable = (nptBefore & NPT_WRITABLE) !== 0;")),
  caught("P9", "a slot of the swap file is free while its page is being read", check("a slot of the swap file is nobody else's while it is read"),
    edit(FAULTS, "const failure = failureOf(", "swapMap.release(slot); const failure = failureOf("),
    edit(FAULTS, "        swapMap.release(slot);\n        changes.wakeBusyWaiters();", "        changes.wakeBusyWaiters();")),
  caught("P10", "remove a memslot's frames before the memslot", user, edit(DROPS, "            publish?.();\n            forEachChunk(range.pageCount, (from, to) => this.#cutChunk(cut, from, to));",
    "            forEachChunk(range.pageCount, (from, to) => this.#cutChunk(cut, from, to));\n            publish?.();")),
  caught("P11", "the vCPU does not look again behind saying that it stands at the gate no more", check("a gate that closes again holds who was let go a moment ago"),
    edit("exit/requests/gate.js", "    while (isGateClosed(vcpu.requests)) {", "    if (isGateClosed(vcpu.requests)) {")),
];

/** All of host-memory and guest-page. */
export const PAGE_MUTATIONS: readonly Mutation[] = [...REFRESH, ...WAITS, ...OWN];
