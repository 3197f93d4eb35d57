/** The memory thread's work on the host's real memory, in one thread: what the pages hold must not change, whatever is done. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { gfnOf, gpaOf } from "../../abi/address.js";
import { PAGE_SIZE } from "../../abi/layout.js";
import { GuestMemory } from "../../guest-page/index.js";
import { HostMemory, type MemoryMap } from "../../host-memory/index.js";
import { monotonicNs, SwapFile, SwapFileSlots } from "../../platform/node/index.js";
import type { MemoryCommand, MemoryMessage, MemoryRequest } from "./memory-command.js";
import { MemoryThread } from "./memory-thread.js";
import { StormBlock } from "./storm-block.raw.js";
import type { StormRate } from "./storm-pace.js";

const PAGE_COUNT = 3000;
const MIB = 2 ** 20;

/** 64 MiB of guest memory, 3000 pages of it written, three quarters of them with contents of their own. */
class RealBench implements Disposable {
  readonly host = HostMemory.create({ guestMemoryBytes: 64 * MIB, vcpuCount: 1 });
  readonly guest = new GuestMemory(this.host);
  readonly messages: MemoryMessage[] = [];
  readonly thread: MemoryThread;
  readonly storm = new StormBlock(this.host.memory);
  readonly #requests: MemoryRequest[] = [];
  readonly #swap: SwapFile;
  #lastId = 0;

  constructor({ swapSlots = 10_000, rate = 0 as StormRate } = {}) {
    this.#swap = SwapFile.open(undefined, swapSlots);
    this.host.setSwapStore(new SwapFileSlots(this.#swap.share));
    this.host.addMemslot({ id: 0, baseGfn: gfnOf(0), pageCount: 1000 });
    this.host.addMemslot({ id: 1, baseGfn: gfnOf(0x4000), pageCount: 10_000 });
    for (let index = 0; index < PAGE_COUNT; index++) assert.ok(this.guest.writeU32(this.#address(index), this.#value(index)));
    this.storm.initialise(rate, 1);
    this.thread = new MemoryThread({
      operations: this.host, storm: this.storm, nowNs: monotonicNs,
      receive: () => this.#requests.shift(), post: (message) => this.messages.push(message),
    });
  }

  /** Runs `command` to its end and returns its result. */
  run(command: MemoryCommand): unknown {
    const id = ++this.#lastId;
    this.#requests.push({ id, command });
    for (;;) {
      this.thread.turn();
      const answer = this.messages.find((message) => message.type === "done" && message.id === id);
      if (answer?.type === "done") return answer.result;
    }
  }

  map(): MemoryMap {
    return this.host.memoryMap();
  }

  checkContents(): void {
    for (let index = 0; index < PAGE_COUNT; index++) assert.equal(this.guest.readU32(this.#address(index)), this.#value(index));
  }

  [Symbol.dispose](): void {
    this.#swap.close();
  }

  #address(index: number): ReturnType<typeof gpaOf> {
    return gpaOf((index < 1000 ? index : 0x4000 + index - 1000) * PAGE_SIZE + 8);
  }

  #value(index: number): number {
    return index % 4 === 0 ? 7 : index + 100;
  }
}

/** Numbers of pages over all memslots. */
function pages(map: MemoryMap): { present: number; shared: number; swapped: number } {
  const sum = (name: "present" | "shared" | "swapped"): number => map.slots.reduce((total, slot) => total + slot[name], 0);
  return { present: sum("present"), shared: sum("shared"), swapped: sum("swapped") };
}

test("pages that are moved, swapped out and merged keep their contents", () => {
  using bench = new RealBench();
  assert.deepEqual(bench.run({ name: "move", gfn: "all" }), { moved: PAGE_COUNT, absent: 8000, pinned: 0, noSlot: 0, outOfMemory: 0 });
  bench.checkContents();
  assert.deepEqual(bench.run({ name: "swap", percent: 50 }), { swapped: 1500, skipped: 0 });
  assert.deepEqual(pages(bench.map()), { present: 1500, shared: 0, swapped: 1500 });
  bench.checkContents();
  const merged = bench.run({ name: "merge" }) as { merged: number; framesFreed: number };
  // 64 pages to a frame.
  assert.deepEqual([merged.merged, merged.framesFreed], [PAGE_COUNT / 4, PAGE_COUNT / 4 - Math.ceil(PAGE_COUNT / 4 / 64)]);
  bench.run({ name: "move", gfn: "all" });
  bench.checkContents();
});

test("a block goes offline and comes back while the storm blows", () => {
  using bench = new RealBench({ rate: "max" });
  const { index } = bench.map().blocks.find(({ present }) => present > 0)!;
  const outcome = bench.run({ name: "offline", block: index }) as { result: string; framesMoved: number };
  assert.equal(outcome.result, "offline");
  assert.deepEqual(bench.map().blocks.filter(({ state }) => state === "offline").map((block) => block.index), [index]);
  bench.checkContents();
  assert.deepEqual(bench.run({ name: "online", block: index }), { result: "online" });
  assert.ok(bench.storm.stats().moves >= 128 && bench.host.pageStatistics().framesMoved >= bench.storm.stats().moves);
  bench.checkContents();
});

test("the reclaimer keeps frames free below the limit", () => {
  using bench = new RealBench();
  bench.host.setFrameLimit(1000);
  assert.ok(bench.host.needsReclaim() > 0);
  for (let turn = 0; turn < 1000 && bench.host.needsReclaim() > 0; turn++) bench.thread.turn();
  const { present, swapped } = pages(bench.map());
  assert.ok(present < 1000 && present + swapped === PAGE_COUNT, `${present} present, ${swapped} swapped`);
  assert.equal(bench.thread.turn(), Infinity);
  bench.checkContents();
});

test("a swap file that is full ends a command with its reason, and nothing is lost", () => {
  using bench = new RealBench({ swapSlots: 100 });
  const { swapped, failure } = bench.run({ name: "swap", percent: 50 }) as { swapped: number; failure: string };
  assert.equal(swapped, 100);
  assert.match(failure, /full/);
  bench.checkContents();
});
