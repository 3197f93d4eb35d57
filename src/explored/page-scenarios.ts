/** Scenarios of pages: users, a vCPU's translation, and every kind of change between them. */
import { gfnOf } from "../abi/address.js";
import type { ScenarioThread } from "../explore/index.js";
import { keepsWhatWasAdded, mover, sleepless, threadOf, user } from "./actors.js";
import { $, $now } from "./instrument/runtime.js";
import type { Access } from "./instrument/runtime.js";
import { ELSEWHERE, PAGE_COUNT, SLOT } from "./setting.js";
import type { Setting, ShippedScenario } from "./setting.js";
import { withSwapFile } from "./swap-file.js";
import { ModelVcpu, walk, wireFlush } from "./vcpu.js";

const GFN = gfnOf(5);
const NEIGHBOUR = gfnOf(6);
const OTHER_SLOT = { id: 1, baseGfn: gfnOf(0), pageCount: PAGE_COUNT } as const;
const LOWER_SLOTS = [{ id: 2, baseGfn: gfnOf(0), pageCount: 1 }, { id: 3, baseGfn: gfnOf(2), pageCount: 1 }] as const;
/** A page where the memslot is elsewhere. */
const LAST = gfnOf(ELSEWHERE + PAGE_COUNT - 1);
const COMMON = { contents: [0, 4], pages: [GFN] } as const;

/** A scenario whose changes keep what users add. */
function keeping(name: string, says: string, threads: (setting: Setting) => readonly ScenarioThread[]): ShippedScenario {
  return { ...COMMON, name, says, make: (setting) => ({ threads: threads(setting), atEnd: keepsWhatWasAdded(setting, GFN) }) };
}

/** A scenario whose changes may take contents away. */
function losing(name: string, says: string, threads: (setting: Setting) => readonly ScenarioThread[]): ShippedScenario {
  return { ...COMMON, name, says, make: (setting) => ({ threads: threads(setting) }) };
}

/**
 * A processor that adds to the page through a translation it keeps until it is asked to drop it. `isWarm`: it has one at the start. A word
 * tells the frame that it reaches while it is in guest mode.
 */
function processor(setting: Setting, vcpu: ModelVcpu, { turns, isWarm = false }: { readonly turns: number; readonly isWarm?: boolean }): ScenarioThread {
  const { modules, world } = setting;
  const host = setting.attach();
  const own = setting.counts.push(0) - 1;
  const translation = world.map.translationCell();
  let pfn = isWarm ? $now<number>(host.nptEntry(GFN)) >>> 12 : undefined;
  return {
    name: "vCPU",
    *run() {
      for (let turn = 0; turn < turns; turn++) {
        if ((yield* vcpu.takeRequests(-1)) !== 0) pfn = undefined;
        if ((yield* $(modules.enterGuestMode(vcpu as never))) !== true) continue;
        // A TLB miss: the nested page table is read in guest mode.
        pfn ??= yield* walk(host, GFN);
        if (pfn !== undefined) {
          yield { kind: "store", cell: translation, value: pfn };
          const cell = world.map.cellOf(pfn * 1024);
          const value = yield { kind: "plain-load", cell };
          yield { kind: "plain-store", cell, value: value + 1 };
          yield { kind: "store", cell: translation, value: 0 };
          setting.counts[own]!++;
        }
        yield* $(modules.leaveGuestMode(vcpu as never));
        if (pfn === undefined) yield* $(host.faultIn(GFN, true) as unknown);
      }
    },
  };
}

/** Adds to the page by a walk of its own outside of the guest's code, as a hypercall reads its arguments. */
function walker(setting: Setting, vcpu: ModelVcpu): ScenarioThread {
  const { modules, world } = setting;
  const host = setting.attach();
  const own = setting.counts.push(0) - 1;
  return threadOf("vCPU's hypercall", () => modules.asInGuestMode(vcpu as never, function* (): Access<void> {
    const pfn = yield* walk(host, GFN);
    if (pfn === undefined) return;
    const cell = world.map.cellOf(pfn * 1024);
    const value = yield { kind: "plain-load", cell };
    yield { kind: "plain-store", cell, value: value + 1 };
    setting.counts[own]!++;
  }));
}

/** A thread that swaps the page out. */
function swapper(setting: Setting): ScenarioThread {
  const host = setting.attach();
  withSwapFile(setting)(host);
  return threadOf("swapper", () => host.swapOut([GFN]));
}

/** Two users of a page that is in the swap file. */
function swappedUsers(setting: Setting): readonly ScenarioThread[] {
  const wire = withSwapFile(setting);
  const users = [user(setting, "user", { gfn: GFN, times: 1, wire }), user(setting, "other user", { gfn: GFN, times: 1, offset: 4, wire })];
  const host = setting.attach();
  wire(host);
  $now(host.swapOut([GFN]));
  return users;
}

/** A user of a page that is in the swap file while another page goes there. */
function swappedUser(setting: Setting): readonly ScenarioThread[] {
  const wire = withSwapFile(setting);
  const thread = user(setting, "user", { gfn: GFN, times: 1, wire });
  const host = setting.attach();
  wire(host);
  setting.poke(NEIGHBOUR, 0, 7);
  $now(host.swapOut([GFN]));
  return [threadOf("swapper", () => host.swapOut([NEIGHBOUR])), thread];
}

/** Puts the memslot somewhere else, and has the processor reach its page there. */
function slotMover(setting: Setting): ScenarioThread {
  const host = setting.attach();
  return {
    name: "memslots",
    *run() {
      yield* $(host.moveMemslot(SLOT.id, ELSEWHERE) as unknown);
      yield* $(host.faultIn(gfnOf(ELSEWHERE + GFN), true) as unknown);
    },
  };
}

/** Puts another memslot in the place of the first. */
function slotExchanger(setting: Setting): ScenarioThread {
  const host = setting.attach();
  return {
    name: "memslots",
    *run() {
      yield* $(host.moveMemslot(SLOT.id, ELSEWHERE) as unknown);
      yield* $(host.addMemslot(OTHER_SLOT) as unknown);
    },
  };
}

/** Looks for a page that is there throughout, at the end of a memslot whose beginning changes. */
function searcher(setting: Setting): ScenarioThread {
  const host = setting.attach();
  const page = $now<number>(host.findHvaPage(LAST));
  return {
    name: "searcher",
    *run() {
      const found = (yield* $(host.findHvaPage(LAST) as unknown)) as number;
      yield { kind: "claim", holds: found === page, says: `the search for page ${LAST} found ${found} instead of ${page}` };
    },
  };
}

/** Adds two memslots before the one that is there, so that the set which a search has begun in is written anew. */
function slotAdder(setting: Setting): ScenarioThread {
  const host = setting.attach();
  return {
    name: "memslots",
    *run() {
      for (const slot of LOWER_SLOTS) yield* $(host.addMemslot(slot) as unknown);
    },
  };
}

/** The host before: the first memslot is not at guest frame 0, so that another fits before it. */
function moveSlotUp(setting: Setting): void {
  const host = setting.attach();
  $now(host.moveMemslot(SLOT.id, ELSEWHERE));
}

function moveAnd(setting: Setting, other: (vcpu: ModelVcpu) => ScenarioThread): readonly ScenarioThread[] {
  const vcpu = new ModelVcpu(setting);
  return [mover(setting, "mover", [GFN], (host) => wireFlush(setting, host, vcpu)), other(vcpu)];
}

/** Moves a frame that may be referenced meanwhile, and then stays where it is. */
function backingMover(setting: Setting): ScenarioThread {
  const host = setting.attach();
  return threadOf("mover", () => host.moveFrames([GFN]));
}

/** The same thread; the mappings that were made are revoked before it begins. */
function revoked(setting: Setting, thread: ScenarioThread): ScenarioThread {
  const host = setting.attach();
  $now(host.moveFrames([GFN]));
  return thread;
}

function discardWithoutSleep(setting: Setting): ScenarioThread {
  const host = setting.attach();
  return sleepless(threadOf("discard", () => host.discardPages(GFN, 1, { mustNotSleep: true })));
}

function removal(setting: Setting): ScenarioThread {
  const host = setting.attach();
  return threadOf("memslots", () => host.removeMemslot(SLOT.id));
}

/** What scenarios of pages there are. */
export const PAGE_SCENARIOS: readonly ShippedScenario[] = [
  keeping("shipped-move-and-use", "a page is used twice while its frame moves",
    (setting) => [mover(setting, "mover", [GFN]), user(setting, "user", { gfn: GFN, times: 2 })]),
  keeping("shipped-move-and-two-users", "two threads use a page while its frame moves",
    (setting) => [mover(setting, "mover", [GFN]), user(setting, "user", { gfn: GFN, times: 1 }), user(setting, "other user", { gfn: GFN, times: 1, offset: 4 })]),
  keeping("shipped-move-and-sleepless-user", "a page is used by who may not sleep while its frame moves",
    (setting) => [mover(setting, "mover", [GFN]), sleepless(user(setting, "sender", { gfn: GFN, times: 2, enter: "tryAccess" }))]),
  keeping("shipped-two-movers-and-use", "two threads move a frame that a third uses",
    (setting) => [mover(setting, "mover", [GFN]), mover(setting, "other mover", [GFN]), user(setting, "user", { gfn: GFN, times: 1 })]),
  keeping("shipped-move-and-guest", "a vCPU writes by its translation while the frame moves",
    (setting) => moveAnd(setting, (vcpu) => processor(setting, vcpu, { turns: 3 }))),
  keeping("shipped-move-and-warm-guest", "a vCPU that has a translation from before writes by it while the frame moves",
    (setting) => moveAnd(setting, (vcpu) => processor(setting, vcpu, { turns: 1, isWarm: true }))),
  keeping("shipped-move-and-walk", "a walk for a hypercall's argument goes on while the frame moves",
    (setting) => moveAnd(setting, (vcpu) => walker(setting, vcpu))),
  keeping("shipped-move-and-reference", "a page is used with a reference held for each use while its frame moves",
    (setting) => [backingMover(setting), user(setting, "user", { gfn: GFN, times: 1, pageAccess: "map-each-time" })]),
  keeping("shipped-swap-in", "two threads use a page that is in the swap file", swappedUsers),
  { ...keeping("shipped-swap-in-and-out", "a page is read from the swap file while another is written to it", swappedUser), pages: [GFN, NEIGHBOUR] },
  keeping("shipped-swap-out-and-use", "a page is used while it is swapped out",
    (setting) => [swapper(setting), user(setting, "user", { gfn: GFN, times: 2, wire: withSwapFile(setting) })]),
  losing("shipped-swap-out-and-slots", "a page is swapped out while its memslot moves", (setting) => [swapper(setting), slotMover(setting)]),
  losing("shipped-move-and-slots", "a frame moves while its memslot does", (setting) => [mover(setting, "mover", [GFN]), slotMover(setting)]),
  losing("shipped-use-and-exchange", "a page is used while another memslot comes in the place of its own",
    (setting) => [slotExchanger(setting), revoked(setting, user(setting, "user", { gfn: GFN, times: 1 }))]),
  { ...losing("shipped-search-and-slots", "a page is looked for while memslots are added before its own", (setting) => [slotAdder(setting), searcher(setting)]), prepare: moveSlotUp },
  losing("shipped-discard-and-guest", "a page is discarded while a vCPU writes to it",
    (setting) => {
      const vcpu = new ModelVcpu(setting);
      const host = setting.attach();
      wireFlush(setting, host, vcpu);
      return [threadOf("discard", () => host.discardPages(GFN, 1)), processor(setting, vcpu, { turns: 1, isWarm: true })];
    }),
  losing("shipped-slot-and-use", "a memslot goes while its page is used",
    (setting) => [removal(setting), user(setting, "user", { gfn: GFN, times: 1 })]),
  losing("shipped-discard-without-sleep", "a change that must not sleep meets one that may, and a user",
    (setting) => [discardWithoutSleep(setting), mover(setting, "mover", [GFN]), user(setting, "user", { gfn: GFN, times: 1 })]),
];

