/**
 * Thread of moving.test.ts. "access" and "try-access" count in a guest page through a GuestPage; "unannounced" does the
 * same without read sections, the broken twin; "vcpu" counts through a translation it keeps, as guest mode does.
 */
import { parentPort, workerData } from "node:worker_threads";
import { atomicExchange, atomicLoad, atomicStore } from "#sync";
import { gfnOf, gpaOf } from "../abi/address.js";
import { HostMemory } from "../host-memory/index.js";
import type { SharedMemory } from "../host-memory/index.js";
import { GuestMemory } from "./index.js";
import type { GuestPage } from "./index.js";
import { WORD_VCPU_MODE, WORD_VCPU_REQUEST, WORD_STOP } from "./moving.words.js";

/** What the thread does and where: it alone writes the word at `slot`, everybody adds to the word at 0. */
interface Job {
  readonly memory: SharedMemory;
  readonly role: "access" | "try-access" | "unannounced" | "vcpu";
  readonly slot: number;
}

const { memory, role, slot } = workerData as Job;
const host = HostMemory.attach(memory);
const isStopped = (): boolean => atomicLoad(host.words, WORD_STOP) !== 0;

/** A plain read-modify-write with a pause in the middle: the widest target for a copy that does not wait. */
function countIn(page: GuestPage, enter: GuestPage["access"]): boolean {
  return enter.call(page, (view) => {
    const value = view.readU32(slot);
    for (let pause = 0; pause < 20; pause++) view.loadU8(100);
    view.writeU32(slot, value + 1);
    view.addU32(0, 1);
    return true;
  }) === true;
}

function countThroughPage(): number {
  const guest = new GuestMemory(host);
  let page: GuestPage | undefined;
  // The memslot may be away for a moment.
  while (page === undefined) page = guest.openPage(gpaOf(0x5000), 4096, "test");
  let count = 0;
  while (!isStopped()) {
    if (role !== "try-access") count += countIn(page, page.access) ? 1 : 0;
    else if (countIn(page, page.tryAccess as GuestPage["access"])) count++;
    else page.refresh();
  }
  return count;
}

/** Guest mode: a kept translation, a request word polled between instructions, dropped when asked. */
function countThroughTlb(): number {
  let count = 0;
  let frameWord = 0;
  while (!isStopped()) {
    atomicStore(host.words, WORD_VCPU_MODE, 1);
    // Pairs with the flush in moving.test.ts: it writes the request, then reads the mode.
    for (let instruction = 0; atomicLoad(host.words, WORD_VCPU_REQUEST) === 0 && frameWord !== 0 && instruction < 1000; instruction++) {
      const value = host.words[frameWord + (slot >>> 2)]!;
      for (let pause = 0; pause < 5; pause++) atomicLoad(host.words, WORD_STOP);
      host.words[frameWord + (slot >>> 2)] = value + 1;
      count++;
    }
    if (atomicExchange(host.words, WORD_VCPU_REQUEST, 0) !== 0) frameWord = 0;
    atomicStore(host.words, WORD_VCPU_MODE, 0);
    if (frameWord === 0) frameWord = translate();
  }
  return count;
}

/** Outside guest mode. The entry may be gone again at once; the request word says so before the next use. */
function translate(): number {
  host.faultIn(gfnOf(5), true);
  return (host.nptEntry(gfnOf(5)) >>> 12) * 1024;
}

if (role === "unannounced") {
  host.invalidations.enterAndLook = (index) => host.invalidations.sequence(index);
  host.invalidations.leave = () => {};
  host.invalidations.leaveAndLook = (index) => atomicLoad(host.words, index);
}
parentPort!.postMessage("ready");
const count = role === "vcpu" ? countThroughTlb() : countThroughPage();
host.detach();
parentPort!.postMessage(count);
