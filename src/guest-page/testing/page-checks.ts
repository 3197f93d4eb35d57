/** Directed checks of guest pages: each throws when a promise does not hold. For interleavings that need no luck. */
import { Worker } from "node:worker_threads";
import { atomicLoad, atomicStore } from "#sync";
import { gfnOf, gpaOf, gpaOfGfn } from "../../abi/address.js";
import { REQUEST_PAUSE, VCPU, VM_BLOCK_BASE } from "../../abi/layout.js";
import { VcpuState } from "../../cpu/vcpu-state.raw.js";
import { isAtGate } from "../../exit/requests/gate.js";
import { clearRequest, makeAllVcpusRequest } from "../../exit/requests/vcpu-requests.js";
import { HostMemory } from "../../host-memory/index.js";
import { WORD_MEMSLOT_GENERATION, WORD_MMU_LOCK } from "../../host-memory/layout.js";
import { awaitGate, awaitGateAwake, awaitRest, createGateLine, openGate } from "../../sync/jitter/gates.raw.js";
import type { Gate } from "../../sync/jitter/gates.raw.js";
import { setInterposer } from "../../sync/jitter/paused-atomics.raw.js";
import { GuestMemory } from "../index.js";
import type { PageView } from "../index.js";
import { createSwapFile, SharedSwapStore } from "./shared-swap-store.js";

/** Words that a section in another thread is told by: it is open, it may end. */
export const WORD_SECTION = ((VM_BLOCK_BASE + 0xf000) >>> 2) + 16;
export const WORD_SECTION_END = WORD_SECTION + 16;
const SECTION_MS = 60;
const SEARCH_MS = 2500;

function machine(): { host: HostMemory; guest: GuestMemory } {
  const host = HostMemory.create({ guestMemoryBytes: 0x10_0000, vcpuCount: 1 });
  host.addMemslot({ id: 0, baseGfn: gfnOf(0), pageCount: 128 });
  return { host, guest: new GuestMemory(host) };
}

function expect(holds: boolean, what: string): void {
  if (!holds) throw new Error(`expected that ${what}`);
}

function throwsAssertion(action: () => unknown): boolean {
  try {
    action();
    return false;
  } catch (error) {
    return error instanceof Error && error.name === "AssertionError";
  }
}

function deactivatedRefuses(): void {
  const page = machine().guest.openPage(gpaOf(0x2000), 8, "test")!;
  page.deactivate();
  expect(throwsAssertion(() => page.refresh()), "a refresh of a deactivated page is an assertion");
  expect(page.tryAccess(() => true) === undefined, "a deactivated page gives no access");
}

function keptViewIsDead(): void {
  const page = machine().guest.openPage(gpaOf(0x2000), 8, "test")!;
  const kept: PageView[] = [];
  page.access((view) => void kept.push(view));
  expect(throwsAssertion(() => kept[0]!.writeU32(0, 1)), "a view is dead behind its callback");
}

function collidingPages(): void {
  const { guest } = machine();
  for (const gfn of [3, 3 + 64]) guest.writeU32(gpaOfGfn(gfnOf(gfn)), gfn);
  for (const gfn of [3, 3 + 64]) expect(guest.readU32(gpaOfGfn(gfnOf(gfn))) === gfn, `guest frame ${gfn} reads as it was written`);
}

function sleepersAreRefused(): void {
  const { host, guest } = machine();
  const page = guest.openPage(gpaOf(0x2000), 8, "test")!;
  const sleepers = [() => host.faultIn(gfnOf(9), true), () => page.refresh(), () => guest.readU32(gpaOf(0x5000))];
  for (const sleeper of sleepers) {
    expect(throwsAssertion(() => page.access(() => void sleeper())), "what may sleep is refused inside a section");
  }
}

/** A section is open for a while in another thread; this thread changes the page without a sleep, and counts its sleeps. */
async function sleeplessChangeSpins(): Promise<void> {
  const { host } = machine();
  host.faultIn(gfnOf(2), true);
  const worker = new Worker(new URL("./section.worker.js", import.meta.url), { workerData: { memory: host.memory, holdMs: SECTION_MS } });
  while (atomicLoad(host.words, WORD_SECTION) === 0);
  let sleeps = 0;
  setInterposer({
    beforeAccess: () => undefined,
    wait: (view, index, expected, timeoutMs) => {
      sleeps++;
      return Atomics.wait(view, index, expected, timeoutMs);
    },
  });
  const taken = host.discardPages(gfnOf(2), 1, { mustNotSleep: true });
  setInterposer(undefined);
  const isOver = atomicLoad(host.words, WORD_SECTION) === 2;
  await worker.terminate();
  expect(taken === 1 && isOver, "the change waits for the section");
  expect(sleeps === 0, `the change does not sleep, it slept ${sleeps} times`);
}

/** Another thread searches one page while this one rewrites the memslots around it as fast as it can. */
async function searchesSeeWholeSets(): Promise<void> {
  const { host } = machine();
  const worker = new Worker(new URL("./section.worker.js", import.meta.url), { workerData: { memory: host.memory, searched: 0x100 } });
  host.addMemslot({ id: 1, baseGfn: gfnOf(0x100), pageCount: 1 });
  const isHere = new Promise<string>((resolve) => worker.once("message", resolve));
  const deadline = Date.now() + SEARCH_MS;
  for (let round = 0; Date.now() < deadline && atomicLoad(host.words, WORD_SECTION) !== 2; round++) {
    // The page's entry moves up and down in the sorted sets.
    for (let id = 2; id < 8; id++) host.addMemslot({ id, baseGfn: gfnOf(0x80 + id), pageCount: 1 });
    for (let id = 2; id < 8; id++) host.removeMemslot(id);
  }
  atomicStore(host.words, WORD_SECTION_END, 1);
  const answer = await isHere;
  await worker.terminate();
  expect(answer === "whole", `every search finds the page that is there throughout, one did not: ${answer}`);
}

interface Places {
  /** Word of the sequence of the page's bucket; the next one is its active count. */
  readonly sequence: number;
  readonly active: number;
  /** First word of the frame that the page has at first. */
  readonly frame: number;
}

interface Play {
  /** Who adds. */
  readonly role: "user" | "processor";
  readonly gates: (places: Places) => { readonly mover: readonly Gate[]; readonly user: readonly Gate[] };
  /** Lets the two go in an order. */
  readonly order: (mover: Int32Array, user: Int32Array) => void;
}

/**
 * A mover and a user of one page, each with its gates. What the user adds must be in the page in the end: the frame that the page
 * left is nobody's business any more.
 */
async function playMove({ role: user, gates, order }: Play): Promise<void> {
  const { host, guest } = machine();
  const gfn = gfnOf(2);
  guest.writeU32(gpaOfGfn(gfn), 1);
  const page = host.findHvaPage(gfn);
  const sequence = host.invalidations.sequenceIndex(page);
  const named = gates({ sequence, active: sequence + 1, frame: host.presentPfn(page)! * 1024 });
  const lines = { mover: createGateLine(), user: createGateLine() };
  const workers = (["mover", "user"] as const).map((part) => new Worker(new URL("./gated.worker.js", import.meta.url), {
    workerData: { memory: host.memory, role: part === "mover" ? part : user, gfn, line: lines[part], gates: named[part] },
  }));
  const ends = workers.map((worker) => new Promise((resolve, reject) => void worker.once("message", resolve).once("error", reject)));
  // A processor takes its translation before its first gate, which it could not in the middle of the move.
  expect(awaitGate(lines.mover, 1) && awaitGate(lines.user, 1), "both threads are there");
  order(lines.mover, lines.user);
  await Promise.all(ends);
  for (const worker of workers) await worker.terminate();
  const found = guest.readU32(gpaOfGfn(gfn, 4));
  expect(found === 1, `what was added while the frame moved is in the page, found ${found}`);
}

/** Where each of the two stands at its first gate, in words. */
interface Stands {
  readonly mover: string;
  readonly user: string;
}

/** The mover goes to its first gate, then the user to its own; then the mover is let go on. */
function meet(mover: Int32Array, user: Int32Array, says: Stands): void {
  openGate(mover, 1);
  expect(awaitGate(mover, 2), says.mover);
  openGate(user, 1);
  expect(awaitGate(user, 2), says.user);
  openGate(mover, 2);
}

/** The order in which the mover goes on while the user stands in the middle of its use. */
function overtaken(says: Stands): Play["order"] {
  return (mover, user) => {
    meet(mover, user, says);
    expect(awaitRest(mover), "the mover waits for the other, or is through");
    openGate(user, 2);
  };
}

/** The user looks the page up behind the start of the move, and goes on between the two halves of its end. */
function lookUpAcrossTheEnd(): Promise<void> {
  return playMove({
    role: "user",
    gates: ({ sequence, active }) => ({
      // The start bumps both, and so does the end, in whatever order.
      mover: [{ index: WORD_MMU_LOCK, count: 1 }, { index: sequence, count: 2 }, { index: active, count: 2 }],
      user: [{ index: active, count: 1 }],
    }),
    order: (mover, user) => {
      meet(mover, user, { mover: "the mover has begun", user: "the user has found the old frame" });
      expect(awaitGate(mover, 3), "the mover is at the end of the change");
      openGate(mover, 3);
      expect(awaitGate(mover, 4), "the mover is in the middle of the end");
      openGate(user, 2);
      expect(awaitRest(user), "the user waits for the end, or is through");
      openGate(mover, 4);
    },
  });
}

/** The user is in the middle of its use when the move begins, or looks the page up in the middle of the beginning. */
function useAcrossTheStart(): Promise<void> {
  return playMove({
    role: "user",
    gates: ({ active, frame }) => ({ mover: [{ index: active, count: 1 }], user: [{ index: frame, count: 1 }] }),
    order: overtaken({ mover: "the mover is about to raise the count", user: "the user is inside the old frame" }),
  });
}

/** The processor is in guest mode, in the middle of a store, when the mover asks it to drop its translations. */
function storeAcrossTheFlush(): Promise<void> {
  return playMove({
    role: "processor",
    gates: () => ({ mover: [{ index: new VcpuState(machine().host.memory, 0).wordIndex(VCPU.request), count: 1 }], user: [{ index: 0, count: 1 }] }),
    order: overtaken({ mover: "the mover is about to set the request", user: "the processor is in the middle of its store" }),
  });
}

/** A vCPU that was let go is about to say that it stands no more, when the gate closes again and its controller finds that it stands. */
async function gateClosesAgain(): Promise<void> {
  const { host } = machine();
  const vcpu = new VcpuState(host.memory, 0);
  const line = createGateLine();
  // The first store is that it stands; the second, and only that, that it does not.
  const gates = [{ index: vcpu.wordIndex(VCPU.atGate), count: 2 }];
  makeAllVcpusRequest([vcpu], REQUEST_PAUSE);
  const worker = new Worker(new URL("./gated.worker.js", import.meta.url), { workerData: { memory: host.memory, role: "vcpu at the gate", gfn: 2, line, gates } });
  const end = new Promise((resolve, reject) => void worker.once("message", resolve).once("error", reject));
  openGate(line, 1);
  expect(awaitRest(line) && isAtGate(vcpu), "the vCPU stands at the gate");
  clearRequest([vcpu], REQUEST_PAUSE);
  expect(awaitGateAwake(line, 2), "the vCPU was let go");
  makeAllVcpusRequest([vcpu], REQUEST_PAUSE);
  expect(isAtGate(vcpu), "the controller finds the vCPU at the gate");
  openGate(line, 2);
  expect(awaitRest(line), "the vCPU rests, or is through");
  const isThrough = atomicLoad(host.words, WORD_SECTION) !== 0;
  clearRequest([vcpu], REQUEST_PAUSE);
  await end;
  await worker.terminate();
  expect(!isThrough, "a vCPU that was found at the closed gate stays there");
}

/** A user stops in the middle of looking its page up; the memslot goes elsewhere and another is in its place before it goes on. */
async function playPlaces(gateOf: (sequence: number) => Gate): Promise<void> {
  const { host, guest } = machine();
  const gfn = gfnOf(2);
  guest.writeU32(gpaOfGfn(gfn), 1);
  const line = createGateLine();
  const gates = [gateOf(host.invalidations.sequenceIndex(host.findHvaPage(gfn)))];
  const worker = new Worker(new URL("./gated.worker.js", import.meta.url), { workerData: { memory: host.memory, role: "user", gfn, line, gates } });
  const end = new Promise((resolve, reject) => void worker.once("message", resolve).once("error", reject));
  openGate(line, 1);
  expect(awaitGate(line, 2), "the user is in the middle of its lookup");
  host.moveMemslot(0, gfnOf(0x800));
  host.addMemslot({ id: 1, baseGfn: gfnOf(0), pageCount: 8 });
  guest.writeU32(gpaOfGfn(gfn), 1);
  openGate(line, 2);
  await end;
  await worker.terminate();
  const words = [gfnOf(0x802), gfn].map((at) => guest.readU32(gpaOfGfn(at, 4)));
  expect(words[0] === 0 && words[1] === 1, `the user adds in the page that is at its address now, not in the one that was: found ${words}`);
}

/** While a page is read back from the only slot of the swap file another is to be swapped out. */
function slotStaysWhileRead(): void {
  const { host, guest } = machine();
  const file = createSwapFile(1);
  const other = HostMemory.attach(host.memory);
  other.setSwapStore(new SharedSwapStore(file));
  host.setSwapStore(new SharedSwapStore(file));
  for (const gfn of [2, 3]) guest.fill(gpaOfGfn(gfnOf(gfn)), 4096, gfn);
  host.swapOut([gfnOf(2)]);
  let swapped = -1;
  host.setSwapStore(new SharedSwapStore(file, () => (swapped = other.swapOut([gfnOf(3)]).swapped)));
  const bytes = guest.read(gpaOfGfn(gfnOf(2)), 4096)!;
  expect(swapped === 0, "nothing is written to a slot that is being read");
  expect(bytes.every((byte) => byte === 2), "a page comes back as it was");
}

/** By name, for catcher.ts. */
export const CHECKS = {
  "a deactivated page refuses a refresh": deactivatedRefuses,
  "a view kept beyond its callback is dead": keptViewIsDead,
  "pages whose numbers collide in the cache are told apart": collidingPages,
  "whatever may sleep is refused inside a section": sleepersAreRefused,
  "a change that must not sleep spins for an open section": sleeplessChangeSpins,
  "a search of memslots that change sees one whole set": searchesSeeWholeSets,
  "a page looked up during a move is not used before its end is complete": lookUpAcrossTheEnd,
  "a move that begins during a use waits for it": useAcrossTheStart,
  "a page is not that of a memslot which left before its sequence was seen": () => playPlaces((index) => ({ index, count: 1 })),
  "a page is not that of a memslot which left before its generation was seen": () => playPlaces(() => ({ index: WORD_MEMSLOT_GENERATION, count: 3 })),
  "a move waits for a store of the processor": storeAcrossTheFlush,
  "a gate that closes again holds who was let go a moment ago": gateClosesAgain,
  "a slot of the swap file is nobody else's while it is read": slotStaysWhileRead,
} as const;
