/**
 * Thread of benchmark "pages", part access. It knows one way only (`method`): a program uses one, too, and V8 compiles for what it
 * has seen. Times in pieces, so that a piece in which the thread had to wait for a processor is an outlier and not part of the median.
 */
import { parentPort, workerData } from "node:worker_threads";
import { gfnOf, gpaOfGfn } from "../../dist/abi/address.js";
import { GuestMemory } from "../../dist/guest-page/index.js";
import { HostMemory } from "../../dist/host-memory/index.js";
import { CACHE_WORDS, LockedCache } from "./reader-writer-lock.mjs";
import { COPY_BYTES, gfnAt, WORD_OFFSET } from "./access-places.mjs";

const { memory, method, thread, barrier, caches, slots, sectionMemory } = workerData;
const host = HostMemory.attach(memory);
host.setClock(() => performance.now() * 1e6);
const barrierWords = new Int32Array(barrier);
const slotWords = new Int32Array(slots);

/** Consumed, so that no loop is without effect. */
let sink = 0;
const { words, bytes } = host.views;

/** @type {Record<string, (place: string) => Record<string, (count: number) => void>>} */
const METHODS = {
  bare: (place) => {
    const base = frameBase(place);
    const index = (base + WORD_OFFSET) >>> 2;
    return {
      read: (count) => { for (let n = 0; n < count; n++) sink += Atomics.load(words, index); },
      add: (count) => { for (let n = 0; n < count; n++) Atomics.add(words, index, 1); },
      copy: (count) => { for (let n = 0; n < count; n++) sink += bytes.slice(base, base + COPY_BYTES).length; },
    };
  },
  // What a read section cannot do without: a store, a look at the sequence, the operation, a store.
  floor: (place) => {
    const base = frameBase(place);
    const index = (base + WORD_OFFSET) >>> 2;
    const slot = thread * CACHE_WORDS;
    const sequence = slot + CACHE_WORDS / 2;
    let epoch = 0;
    return {
      read: (count) => {
        for (let n = 0; n < count; n++) {
          Atomics.store(slotWords, slot, ++epoch | 0);
          if (Atomics.load(slotWords, sequence) === 0) sink += Atomics.load(words, index);
          Atomics.store(slotWords, slot, ++epoch | 0);
        }
      },
      add: (count) => {
        for (let n = 0; n < count; n++) {
          Atomics.store(slotWords, slot, ++epoch | 0);
          if (Atomics.load(slotWords, sequence) === 0) Atomics.add(words, index, 1);
          Atomics.store(slotWords, slot, ++epoch | 0);
        }
      },
      copy: (count) => {
        for (let n = 0; n < count; n++) {
          Atomics.store(slotWords, slot, ++epoch | 0);
          if (Atomics.load(slotWords, sequence) === 0) sink += bytes.slice(base, base + COPY_BYTES).length;
          Atomics.store(slotWords, slot, ++epoch | 0);
        }
      },
    };
  },
  // The same steps, the store and the look behind it in one WebAssembly function, where atomics are instructions and not calls.
  "floor, WebAssembly": (place) => {
    const base = frameBase(place);
    const index = (base + WORD_OFFSET) >>> 2;
    const slot = thread * CACHE_WORDS * 4;
    const { enter, leave } = makeSections();
    const sequence = slot + CACHE_WORDS * 2;
    let epoch = 0;
    return {
      read: (count) => {
        for (let n = 0; n < count; n++) {
          if (enter(slot, ++epoch | 0, sequence) === 0) sink += Atomics.load(words, index);
          leave(slot, ++epoch | 0);
        }
      },
      add: (count) => {
        for (let n = 0; n < count; n++) {
          if (enter(slot, ++epoch | 0, sequence) === 0) Atomics.add(words, index, 1);
          leave(slot, ++epoch | 0);
        }
      },
      copy: (count) => {
        for (let n = 0; n < count; n++) {
          if (enter(slot, ++epoch | 0, sequence) === 0) sink += bytes.slice(base, base + COPY_BYTES).length;
          leave(slot, ++epoch | 0);
        }
      },
    };
  },
  revocable: throughGuestPage,
  pinned: throughGuestPage,
  "map-each-time": throughGuestPage,
  "reader-writer lock": (place) => {
    const gfn = gfnAt(place, thread);
    const cache = new LockedCache(new Int32Array(caches), gfn * CACHE_WORDS, host, gfnOf(gfn));
    const read = (/** @type {number} */ base) => Atomics.load(words, (base + WORD_OFFSET) >>> 2);
    const add = (/** @type {number} */ base) => Atomics.add(words, (base + WORD_OFFSET) >>> 2, 1);
    const copy = (/** @type {number} */ base) => bytes.slice(base, base + COPY_BYTES);
    host.faultIn(gfnOf(gfn), true);
    const nptEntry = host.nptEntryIndex(gfnOf(gfn));
    return {
      read: (count) => { for (let n = 0; n < count; n++) sink += cache.access(read); },
      add: (count) => {
        for (let n = 0; n < count; n++) {
          sink += cache.access(add);
          // Whoever writes a page has to say so, behind the unlocking.
          sink += host.markWritten(nptEntry);
        }
      },
      copy: (count) => { for (let n = 0; n < count; n++) sink += cache.access(copy).length; },
    };
  },
};

/**
 * (module (import "" "m" (memory 0 65536 shared))
 *   (func (export "e") (param i32 i32 i32) (result i32)
 *     local.get 0 local.get 1 i32.atomic.store local.get 2 i32.atomic.load)
 *   (func (export "l") (param i32 i32) local.get 0 local.get 1 i32.atomic.store))
 */
const SECTIONS_MODULE = Uint8Array.of(
  0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 13, 2, 0x60, 3, 0x7f, 0x7f, 0x7f, 1, 0x7f, 0x60, 2, 0x7f, 0x7f, 0,
  2, 10, 1, 0, 1, 0x6d, 2, 3, 0, 0x80, 0x80, 4, 3, 3, 2, 0, 1, 7, 9, 2, 1, 0x65, 0, 0, 1, 0x6c, 0, 1,
  10, 29, 2, 16, 0, 0x20, 0, 0x20, 1, 0xfe, 0x17, 2, 0, 0x20, 2, 0xfe, 0x10, 2, 0, 0x0b, 10, 0, 0x20, 0, 0x20, 1, 0xfe, 0x17, 2, 0, 0x0b,
);

function makeSections() {
  const exports = /** @type {any} */ (new WebAssembly.Instance(new WebAssembly.Module(SECTIONS_MODULE), { "": { m: sectionMemory } }).exports);
  return { enter: exports.e, leave: exports.l };
}

/** @param {string} place */
function throughGuestPage(place) {
  const guest = new GuestMemory(host, { pageAccess: method });
  const page = guest.openPage(gpaOfGfn(gfnOf(gfnAt(place, thread))), 4096, "test");
  if (page === undefined) throw new Error("expected memory there");
  /** @typedef {import("../../dist/guest-page/index.js").PageView} PageView */
  const read = (/** @type {PageView} */ view) => view.loadU32(WORD_OFFSET);
  const add = (/** @type {PageView} */ view) => view.addU32(WORD_OFFSET, 1);
  const copy = (/** @type {PageView} */ view) => view.copyOut(0, COPY_BYTES);
  return {
    read: (/** @type {number} */ count) => { for (let n = 0; n < count; n++) sink += /** @type {number} */ (page.access(read)); },
    add: (/** @type {number} */ count) => { for (let n = 0; n < count; n++) sink += /** @type {number} */ (page.access(add)); },
    copy: (/** @type {number} */ count) => { for (let n = 0; n < count; n++) sink += /** @type {Uint8Array} */ (page.access(copy)).length; },
  };
}

/** @param {string} place */
function frameBase(place) {
  const gfn = gfnOf(gfnAt(place, thread));
  host.faultIn(gfn, true);
  return Number(host.presentPfn(host.findHvaPage(gfn))) * 4096;
}

const made = new Map();
/** @param {string} place */
function loopsAt(place) {
  if (!made.has(place)) made.set(place, METHODS[method](place));
  return made.get(place);
}

/** Waits for the other threads, so that all run at a time. @param {number} arrivals @param {number} turn */
function meet(arrivals, turn) {
  if (Atomics.add(barrierWords, 0, 1) === arrivals * turn - 1) Atomics.notify(barrierWords, 0);
  for (;;) {
    const seen = Atomics.load(barrierWords, 0);
    if (seen >= arrivals * turn) return;
    Atomics.wait(barrierWords, 0, seen, 10);
  }
}

parentPort?.on("message", ({ operation, place, pieces, accesses, arrivals }) => {
  const run = loopsAt(place)[operation];
  run(100);
  meet(arrivals, 1);
  const times = [];
  const begun = performance.now();
  for (let piece = 0; piece < pieces; piece++) {
    const start = performance.now();
    run(accesses);
    times.push(performance.now() - start);
  }
  const wallMs = performance.now() - begun;
  times.sort((a, b) => a - b);
  parentPort?.postMessage({
    ns: (times[pieces >> 1] * 1e6) / accesses, meanNs: (wallMs * 1e6) / pieces / accesses, sum: sink === Infinity ? 1 : 0,
    accesses: 100 + pieces * accesses,
  });
});
