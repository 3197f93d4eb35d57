/** Part host: what the host's memory does by itself, with no guest in the way: moves, swap, merging. */
import { gfnOf } from "../../dist/abi/address.js";
import { HostMemory } from "../../dist/host-memory/index.js";
import { SwapFile, SwapFileSlots } from "../../dist/platform/node/index.js";
import { ratioOf, spreadOf } from "../statistics.mjs";
import { formatNumber, formatSpread, formatTable } from "../table.mjs";

const BATCHES = [1, 8, 64];
const PAGE_BYTES = 4096;
const MIB = 1 << 20;
/** Every so many pages have the same bytes. */
const EQUAL_EACH = 4;

/** @param {import("../rounds.mjs").BenchContext} context */
export async function benchHost({ runs, isSmoke, say }) {
  const pages = isSmoke ? 512 : 8192;
  const host = HostMemory.create({ guestMemoryBytes: pages * PAGE_BYTES, vcpuCount: 1 });
  host.setClock(() => performance.now() * 1e6);
  host.addMemslot({ id: 0, baseGfn: gfnOf(0), pageCount: pages });
  const swap = SwapFile.open(undefined, pages);
  host.setSwapStore(new SwapFileSlots(swap.share));
  const gfns = Array.from({ length: pages }, (_, gfn) => gfnOf(gfn));
  fill(host, gfns);
  /** @type {Record<string, number[]>} */
  const samples = {};
  const note = (/** @type {string} */ name, /** @type {number} */ value) => (samples[name] ??= []).push(value);
  // Round 0 is for the compiler and for the first touch of the frames.
  for (let round = 0; round <= Math.max(3, runs); round++) {
    say(`host memory, round ${round}`);
    const measured = {
      ...Object.fromEntries(BATCHES.map((batch) => [`frame_move_perS_median, batches of ${batch}`, pages / seconds(() => moveAll(host, gfns, batch))])),
      "frame_copy_perS_median, copies alone": pages / seconds(() => copyAll(host, gfns)),
      "page_swapout_perS_median": pages / seconds(() => expectEqual(host.swapOut(gfns).swapped, pages)),
      "page_swapin_perS_median": pages / seconds(() => gfns.forEach((gfn) => host.faultIn(gfn, true))),
      ...mergeOnce(host, gfns),
    };
    if (round > 0) for (const [name, value] of Object.entries(measured)) note(name, value);
  }
  swap.close();
  host.detach();
  return { samples, pages };
}

/** A merge, and a write to each page behind it, which takes them apart again. @param {HostMemory} host @param {readonly any[]} gfns */
function mergeOnce(host, gfns) {
  let outcome = { scanned: 0, merged: 0 };
  const mergeS = seconds(() => (outcome = host.mergeEqualPages()));
  expectEqual(outcome.merged, gfns.length / EQUAL_EACH);
  const unshareS = seconds(() => gfns.forEach((gfn) => host.faultIn(gfn, true)));
  return { "page_merge_perS_median, scanned": outcome.scanned / mergeS, "page_unshare_perS_median": outcome.merged / unshareS };
}

/** @param {HostMemory} host @param {readonly any[]} gfns */
function fill(host, gfns) {
  for (const gfn of gfns) {
    host.faultIn(gfn, true);
    const first = (Number(host.presentPfn(host.findHvaPage(gfn))) * PAGE_BYTES) >>> 2;
    const salt = gfn % EQUAL_EACH === 0 ? 0 : gfn;
    for (let word = 0; word < PAGE_BYTES / 4; word++) host.words[first + word] = salt * 0x1_0001 + word;
  }
}

/** @param {HostMemory} host @param {readonly any[]} gfns @param {number} batch */
function moveAll(host, gfns, batch) {
  let moved = 0;
  for (let from = 0; from < gfns.length; from += batch) moved += host.moveFrames(gfns.slice(from, from + batch)).moved;
  expectEqual(moved, gfns.length);
}

/** The bytes of every page over a frame that nobody has: what a move cannot do without. @param {HostMemory} host @param {readonly any[]} gfns */
function copyAll(host, gfns) {
  const spare = host.pool.allocateUncleared(host.findHvaPage(gfns[0]), "beyond-limit");
  if (spare === undefined) throw new Error("expected a free frame");
  for (const gfn of gfns) host.views.copyFrame(spare, /** @type {any} */ (host.presentPfn(host.findHvaPage(gfn))));
  host.pool.release(spare);
}

/** @param {() => void} work */
function seconds(work) {
  const begun = performance.now();
  work();
  return (performance.now() - begun) / 1000;
}

/** @param {number} got @param {number} expected */
function expectEqual(got, expected) {
  if (got !== expected) throw new Error(`expected ${expected} pages, got ${got}`);
}

/** @param {Awaited<ReturnType<typeof benchHost>>} result */
export function formatHost({ samples, pages }) {
  const copies = samples["frame_copy_perS_median, copies alone"];
  const rows = Object.entries(samples).map(([name, values]) => [
    name, formatSpread(spreadOf(values)), name.startsWith("frame_") ? formatNumber(ratioOf(copies, values)?.median) : "",
  ]);
  return `${formatTable([`host memory alone, ${(pages * PAGE_BYTES) / MIB} MiB`, "a second", "x the time of copying"], rows)}`;
}
