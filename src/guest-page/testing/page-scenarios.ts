/**
 * Scenarios of guest pages (schedules.ts): users of a page, a processor, holders of references and somebody who gets freed frames,
 * against every change that host-memory makes. What each user added to its word of the page is there in the end, unless a
 * change of the round takes contents away; nobody ever sees or changes what is not its own.
 */
import { atomicLoad } from "#sync";
import { gfnOf, gpaOfGfn } from "../../abi/address.js";
import { PAGE_SIZE } from "../../abi/layout.js";
import { HostMemory } from "../../host-memory/index.js";
import { GuestMemory } from "../index.js";
import type { GuestPage } from "../index.js";
import { auditPages } from "./page-audit.js";
import { PretendVcpu, wirePretendVcpu } from "./pretend-vcpu.js";
import type { Role, RoleParts, Scenario } from "./schedules.js";
import { createSwapFile, SharedSwapStore } from "./shared-swap-store.js";
import { Victim } from "./victim.js";

const SLOT_PAGES = 8;
/** The page that everybody uses, its twin with the same contents, and one more. */
const TARGET = gfnOf(3);
const TWIN = gfnOf(4);
const OTHER = gfnOf(5);
const ELSEWHERE = gfnOf(0x800);
/** Where memslot 1 begins, and its page that takes the target's place when the two memslots change places. */
const PARTNER_BASE = gfnOf(0x400);
const PARTNER = gfnOf(PARTNER_BASE + TARGET);
const FOREIGN_SLOT = 5;
const FOREIGN_TAG = 0x5a5a;
/** Word 0 of target and twin; the users' words are behind it. */
const MARK = 7;
/** A word that no check looks at. */
const SPARE_WORD = 100;
const ADDS = 3;
const LOADS_MAX = 24;
/** So few that a slot is used again at once. */
const SWAP_SLOTS = 3;

interface Extra {
  readonly swapFile: SharedArrayBuffer;
}

/** A thread's own handles. */
export function attachHost({ memory, extra }: RoleParts): HostMemory {
  const host = HostMemory.attach(memory);
  // In the middle of a transfer others may run.
  host.setSwapStore(new SharedSwapStore((extra as Extra).swapFile, () => void atomicLoad(host.words, 0)));
  wirePretendVcpu(host);
  return host;
}

function createHost(): { host: HostMemory; extra: Extra } {
  const host = HostMemory.create({ guestMemoryBytes: 0x10_0000, vcpuCount: 1 });
  const extra = { swapFile: createSwapFile(SWAP_SLOTS) };
  host.setSwapStore(new SharedSwapStore(extra.swapFile));
  wirePretendVcpu(host);
  host.addMemslot({ id: 0, baseGfn: gfnOf(0), pageCount: SLOT_PAGES });
  host.addMemslot({ id: 1, baseGfn: PARTNER_BASE, pageCount: SLOT_PAGES });
  return { host, extra };
}

/** The same start each time: contents, and by the round whether the target is present, swapped out, shared or absent. */
function before(host: HostMemory, _extra: unknown, round: number): void {
  const guest = new GuestMemory(host);
  host.discardPages(gfnOf(0), SLOT_PAGES);
  host.discardPages(PARTNER_BASE, SLOT_PAGES);
  for (const [gfn, mark] of [[TARGET, MARK], [TWIN, MARK], [OTHER, MARK + 1], [PARTNER, MARK]] as const) guest.writeU32(gpaOfGfn(gfn), mark);
  const kind = round % 3;
  if (kind === 1) host.swapOut([TARGET]);
  if (kind === 2) host.mergeEqualPages();
}

/** What the changes of a round do to contents. */
const KEEPS = 0;
const LOSES = 1;

interface Change {
  readonly effect: number;
  run(host: HostMemory, round: number): void;
}

function discardWithoutSleep(host: HostMemory): void {
  for (let attempt = 0; attempt < 3; attempt++) {
    if (host.discardPages(TARGET, 2, { mustNotSleep: true }) !== "would-block") return;
  }
}

/** Slot 0 goes, another takes its host-virtual pages, is used, and goes, and slot 0 is back. */
function replaceSlot(host: HostMemory): void {
  host.removeMemslot(0);
  host.addMemslot({ id: FOREIGN_SLOT, baseGfn: ELSEWHERE, pageCount: SLOT_PAGES });
  const guest = new GuestMemory(host);
  const foreign = gpaOfGfn(gfnOf(ELSEWHERE + TARGET));
  for (let word = 0; word < 8; word++) guest.writeU32(gpaOfGfn(gfnOf(ELSEWHERE + TARGET), 4 * word), FOREIGN_TAG);
  const bytes = guest.read(foreign, 32)!;
  const words = new Int32Array(bytes.buffer);
  if (words.some((word) => word !== FOREIGN_TAG)) throw new Error(`a page of another memslot was written by its place's former users: ${words}`);
  host.removeMemslot(FOREIGN_SLOT);
  host.addMemslot({ id: 0, baseGfn: gfnOf(0), pageCount: SLOT_PAGES });
}

function offlineAndOnline(host: HostMemory): void {
  const pfn = host.presentPfn(host.findHvaPage(TARGET));
  if (pfn === undefined) return;
  const block = pfn >>> 12;
  host.offlineBlock(block);
  host.onlineBlock(block);
}

function moveSlotAwayAndBack(host: HostMemory): void {
  host.moveMemslot(0, ELSEWHERE);
  host.moveMemslot(0, gfnOf(0));
}

/** Memslot 0 is elsewhere and memslot 1 in its place for a while: whoever uses the target then must not reach memslot 0's page. */
function exchangeSlots(host: HostMemory): void {
  const guest = new GuestMemory(host);
  const target = gpaOfGfn(gfnOf(ELSEWHERE + TARGET));
  host.moveMemslot(0, ELSEWHERE);
  const before = String(guest.read(target, 64));
  host.moveMemslot(1, gfnOf(0));
  guest.readU32(gpaOfGfn(TARGET));
  host.moveMemslot(1, PARTNER_BASE);
  if (String(guest.read(target, 64)) !== before) throw new Error("a page was written by users of the guest frame that it had left");
  host.moveMemslot(0, gfnOf(0));
}

const blank = new Uint8Array(PAGE_SIZE);

const MOVE: Change = { effect: KEEPS, run: (host) => host.moveFrames([TARGET]) };
const MERGE: Change = { effect: KEEPS, run: (host) => host.mergeEqualPages() };
const DISCARD: Change = { effect: LOSES, run: (host) => host.discardPages(TARGET, 2) };

const CHANGES: readonly Change[] = [
  MOVE,
  { effect: KEEPS, run: (host) => host.moveFrames([TARGET, TWIN, OTHER]) },
  { effect: KEEPS, run: (host) => host.swapOut([TARGET, OTHER]) },
  MERGE,
  { effect: KEEPS, run: offlineAndOnline },
  { effect: KEEPS, run: (host) => host.reclaim(4) },
  { effect: KEEPS, run: moveSlotAwayAndBack },
  { effect: KEEPS, run: exchangeSlots },
  DISCARD,
  { effect: LOSES, run: discardWithoutSleep },
  { effect: LOSES, run: (host) => host.remapPages(TARGET, [blank, blank]) },
  { effect: LOSES, run: replaceSlot },
];

/** Changes that another changer may make at the same time without either seeing a memslot that the other took away. */
const MEMSLOT_CHANGES: readonly Change["run"][] = [replaceSlot, moveSlotAwayAndBack, exchangeSlots];
const SLOT_FREE_CHANGES = CHANGES.filter(({ run }) => !MEMSLOT_CHANGES.includes(run));
const KEEPING_CHANGES = SLOT_FREE_CHANGES.filter(({ effect }) => effect === KEEPS);

const SWAP_ALL: Change = { effect: KEEPS, run: (host) => host.swapOut([TARGET, TWIN, OTHER]) };
const TOUCH_AND_SWAP: Change = {
  effect: KEEPS,
  run: (host) => {
    for (const gfn of [TWIN, OTHER]) host.faultIn(gfn, false);
    host.swapOut([OTHER, TWIN]);
  },
};

/** A few changes, drawn by the round. Answers whether one of them loses contents. */
function changer(changes: readonly Change[], salt: number): (parts: RoleParts) => Role {
  return (parts) => {
    const host = attachHost(parts);
    return {
      run: (round) => {
        let effect = KEEPS;
        const draw = Math.imul(round + salt, 0x9e37_79b1) >>> 8;
        for (let count = 0; count <= draw % 2; count++) {
          const change = changes[(draw + count * 5) % changes.length]!;
          effect = Math.max(effect, change.effect);
          change.run(host, round);
        }
        return [effect];
      },
    };
  };
}

/** Adds to its word by a read and a write, with places in the middle where others may run. */
function addIn(page: GuestPage, word: number, enter: GuestPage["access"]): boolean {
  return enter.call(page, (view) => {
    const mark = view.readU32(0);
    if (mark !== MARK && mark !== 0) throw new Error(`a user found ${mark} where its page's mark is`);
    const value = view.readU32(4 * word);
    for (let place = 0; place < 4; place++) view.loadU8(4000 + place);
    view.writeU32(4 * word, value + 1);
    return true;
  }) === true;
}

/** Uses the page through one GuestPage: valid, revoked or never mapped when the round begins. */
function user(word: number): (parts: RoleParts) => Role {
  return (parts) => {
    const guest = new GuestMemory(attachHost(parts));
    let page: GuestPage | undefined;
    return {
      prepare: (round) => {
        page ??= guest.openPage(gpaOfGfn(TARGET), PAGE_SIZE, "test");
        if (round % 2 === 0) page?.refresh();
      },
      run: (round) => {
        let added = 0;
        for (let turn = 0; turn < ADDS; turn++) {
          const isSleepless = (round + turn) % 4 === 3;
          if (addIn(page!, word, isSleepless ? (page!.tryAccess as GuestPage["access"]) : page!.access)) added++;
          else if (isSleepless) page!.refresh();
        }
        if (round % 8 === 5) {
          page!.deactivate();
          page = undefined;
        }
        return [added];
      },
    };
  };
}

function processor(word: number): (parts: RoleParts) => Role {
  return (parts) => {
    const vcpu = new PretendVcpu(attachHost(parts));
    return {
      // Most rounds begin with a translation that is current, some of a page that was written since.
      prepare: (round) => {
        if (round % 4 !== 3) vcpu.load(TARGET, 0);
        if (round % 4 === 1) vcpu.increment(TARGET, SPARE_WORD);
      },
      run: (round) => {
        // Reads for a while first, so that some changes find the page as it was, with a translation of it in use.
        for (let turn = round % LOADS_MAX; turn > 0; turn--) {
          const mark = vcpu.load(TARGET, 0);
          if (mark !== undefined && mark !== MARK && mark !== 0) throw new Error(`the processor found ${mark} where its page's mark is`);
        }
        let added = 0;
        for (let turn = 0; turn < ADDS; turn++) if (vcpu.increment(TARGET, word)) added++;
        return [added];
      },
    };
  };
}

/** Uses the page as protocol (b) does, with a reference for the length of each use. */
function holder(word: number): (parts: RoleParts) => Role {
  return (parts) => {
    const host = attachHost(parts);
    const guest = new GuestMemory(host, { pageAccess: "map-each-time" });
    return {
      run: () => {
        const page = guest.openPage(gpaOfGfn(TARGET), PAGE_SIZE, "test");
        let added = 0;
        for (let turn = 0; page !== undefined && turn < ADDS; turn++) if (addIn(page, word, page.access)) added++;
        page?.deactivate();
        return [added];
      },
    };
  };
}

function victim(identity: number): (parts: RoleParts) => Role {
  return (parts) => {
    const host = attachHost(parts);
    const target = new Victim(host, identity);
    return {
      run: () => {
        for (let turn = 0; turn < 4; turn++) target.takeOne(4);
        return [target.taken];
      },
      finish: () => target.releaseAll(),
    };
  };
}

/** What the users' words must be. `words` and `results` are of the same users. */
function checkWords(host: HostMemory, isLossy: boolean, words: readonly number[], added: readonly number[]): void {
  const guest = new GuestMemory(host);
  const mark = guest.readU32(gpaOfGfn(TARGET))!;
  if (mark !== MARK && !(isLossy && mark === 0)) throw new Error(`the mark of the page is ${mark}`);
  // Nobody writes to these, whatever shares a frame with the target for a while.
  for (const [gfn, own] of [[TWIN, MARK], [OTHER, MARK + 1]] as const) {
    const found = [0, ...words].map((word) => guest.readU32(gpaOfGfn(gfn, 4 * word))!);
    if (found.slice(1).some((word) => word !== 0)) throw new Error(`guest frame ${gfn} was written, its words are ${found}`);
    if (found[0] !== own && !(isLossy && found[0] === 0)) throw new Error(`the mark of guest frame ${gfn} is ${found[0]}`);
  }
  words.forEach((word, index) => {
    // What was added while memslot 1 was in memslot 0's place went to its page.
    const found = guest.readU32(gpaOfGfn(TARGET, 4 * word))! + guest.readU32(gpaOfGfn(PARTNER, 4 * word))!;
    const isRight = isLossy ? found <= added[index]! : found === added[index]!;
    if (!isRight) throw new Error(`word ${word} is ${found} after ${added[index]} additions, contents ${isLossy ? "may be lost" : "are kept"}`);
  });
}

/** A scenario of changers, then users (each with its word), then, unless there is to be none, a victim. */
function scenario(
  name: string, changers: readonly ((parts: RoleParts) => Role)[], users: readonly ((word: number) => (parts: RoleParts) => Role)[], hasVictim = true,
): Scenario {
  const words = users.map((_, index) => index + 1);
  const victims = hasVictim ? [victim(changers.length + users.length)] : [];
  return {
    name,
    roles: [...changers, ...users.map((make, index) => make(words[index]!)), ...victims],
    create: createHost,
    before,
    after: (host, _extra, _round, results) => {
      const isLossy = results.slice(0, changers.length).some(([effect]) => effect === LOSES);
      const added = results.slice(changers.length, changers.length + users.length).map(([count]) => count!);
      checkWords(host, isLossy, words, added);
      auditPages(host);
    },
  };
}

/** All of them. */
export const SCENARIOS: readonly Scenario[] = [
  scenario("a user and a change", [changer(CHANGES, 1)], [user]),
  scenario("a processor and a change", [changer(CHANGES, 2)], [processor]),
  scenario("a processor and a move", [changer([MOVE], 11)], [processor], false),
  scenario("a processor and a merge", [changer([MERGE], 12)], [processor], false),
  scenario("a processor and a discard", [changer([DISCARD], 13)], [processor]),
  scenario("a user and a move", [changer([MOVE], 14)], [user], false),
  scenario("a user and memslots that change places", [changer([{ effect: KEEPS, run: exchangeSlots }], 8)], [user]),
  scenario("users and two who swap", [changer([SWAP_ALL], 9), changer([TOUCH_AND_SWAP], 10)], [user], false),
  scenario("users, a processor and two changers", [changer(SLOT_FREE_CHANGES, 3), changer(SLOT_FREE_CHANGES, 4)], [user, user, processor]),
  scenario("two changers, one of memslots", [changer(CHANGES, 5), changer([CHANGES[2]!, CHANGES[3]!, CHANGES[4]!, CHANGES[1]!], 6)], [user, processor]),
  scenario("a holder of references and changes that keep contents", [changer(KEEPING_CHANGES, 7)], [holder, user]),
];
