/** Part access: one protected access to a guest page, and what it is made of, in turn. */
import { gfnOf, gpaOfGfn } from "../../dist/abi/address.js";
import { GuestMemory } from "../../dist/guest-page/index.js";
import { HostMemory } from "../../dist/host-memory/index.js";
import { spreadOf, ratioOf } from "../statistics.mjs";
import { formatSpread, formatTable } from "../table.mjs";
import { CACHE_WORDS } from "./reader-writer-lock.mjs";
import { gfnAt, PAGE_COUNT, WORD_OFFSET } from "./access-places.mjs";
import { BenchThread } from "./workers.mjs";

const METHODS = ["bare", "floor", "floor, WebAssembly", "revocable", "pinned", "map-each-time", "reader-writer lock"];
const OPERATIONS = ["read", "add", "copy"];
const SETTINGS = [
  { name: "1 thread", threads: 1, place: "own" },
  { name: "4 threads, a page each", threads: 4, place: "own" },
  { name: "4 threads, one page", threads: 4, place: "same" },
];
const THREADS_MAX = 4;
/** Accesses of a piece: short against a time slice. */
const ACCESSES = 1000;

/** @param {import("../rounds.mjs").BenchContext} context */
export async function benchAccess({ runs, isSmoke, say }) {
  const host = HostMemory.create({ guestMemoryBytes: 1 << 20, vcpuCount: 1 });
  host.addMemslot({ id: 0, baseGfn: gfnOf(0), pageCount: PAGE_COUNT });
  const shared = {
    memory: host.memory, barrier: new SharedArrayBuffer(4), caches: new SharedArrayBuffer(PAGE_COUNT * CACHE_WORDS * 4),
    slots: new SharedArrayBuffer(THREADS_MAX * CACHE_WORDS * 4),
    sectionMemory: new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }),
  };
  const pieces = isSmoke ? 5 : 40;
  const accesses = isSmoke ? 50 : ACCESSES;
  const threads = Object.fromEntries(METHODS.map((method) => [
    method, Array.from({ length: THREADS_MAX }, (_, thread) => new BenchThread("access-worker.mjs", { ...shared, method, thread })),
  ]));
  /** @type {Record<string, number[]>} */
  const samples = {};
  let added = 0;
  const rounds = isSmoke ? 1 : Math.max(7, runs);
  // Round 0 is for the compiler.
  for (let round = 0; round <= rounds; round++) {
    say(`page accesses, round ${round} of ${rounds}`);
    for (const operation of OPERATIONS) {
      for (const setting of SETTINGS) {
        for (const method of METHODS) {
          new Int32Array(shared.barrier)[0] = 0;
          const answers = await Promise.all(threads[method].slice(0, setting.threads).map((thread) =>
            thread.ask({ operation, place: setting.place, pieces, accesses, arrivals: setting.threads })));
          if (operation === "add") added += answers.reduce((sum, answer) => sum + answer.accesses, 0);
          const key = keyOf(operation, setting.name, method);
          const ns = answers.reduce((sum, answer) => sum + answer.ns, 0) / answers.length;
          if (round > 0) (samples[key] ??= []).push(ns);
        }
      }
    }
  }
  await Promise.all(Object.values(threads).flat().map((thread) => thread.end()));
  checkSum(host, added);
  return { samples, rounds };
}

/** Every addition is in some page: none was lost. @param {HostMemory} host @param {number} added */
function checkSum(host, added) {
  const guest = new GuestMemory(host);
  const gfns = [gfnAt("same", 0), ...Array.from({ length: THREADS_MAX }, (_, thread) => gfnAt("own", thread))];
  const found = gfns.reduce((sum, gfn) => sum + Number(guest.readU32(gpaOfGfn(gfnOf(gfn), WORD_OFFSET))), 0);
  if (found !== added) throw new Error(`of ${added} additions ${found} are in the pages`);
}

/** @param {string} operation @param {string} setting @param {string} method */
function keyOf(operation, setting, method) {
  return `${operation}, ${setting}, ${method}`;
}

/** @param {Awaited<ReturnType<typeof benchAccess>>} result */
export function formatAccess({ samples, rounds }) {
  return OPERATIONS.map((operation) => {
    const rows = METHODS.map((method) => [method, ...SETTINGS.flatMap(({ name }) => {
      const values = samples[keyOf(operation, name, method)];
      const bare = samples[keyOf(operation, name, "bare")];
      return [formatSpread(spreadOf(values)), method === "bare" ? "1" : `${ratioOf(values, bare)?.median.toFixed(1)}`];
    })]);
    const title = `page_${operation}_ns_median`;
    return formatTable([title, ...SETTINGS.flatMap(({ name }) => [name, "x bare"])], rows);
  }).concat(`${rounds} rounds; each value the median of pieces of ${ACCESSES} accesses. No addition was lost.`).join("\n\n");
}
