import assert from "node:assert/strict";
import { test } from "node:test";
import { gfnOf } from "../../abi/address.js";
import { FRAMES_BASE } from "../../abi/layout.js";
import type { MemoryCommand, MemoryMessage, MemoryRequest } from "./memory-command.js";
import { MemoryThread } from "./memory-thread.js";
import { StormBlock } from "./storm-block.raw.js";
import type { StormRate } from "./storm-pace.js";
import { ModelOperations } from "./test-operations.js";

const MS = 1e6;

/** A memory thread over the model, its clock in the test's hand. */
class Bench {
  readonly model = new ModelOperations();
  readonly storm = new StormBlock(new WebAssembly.Memory({ initial: FRAMES_BASE / 0x1_0000, maximum: FRAMES_BASE / 0x1_0000, shared: true }));
  readonly messages: MemoryMessage[] = [];
  readonly requests: MemoryRequest[] = [];
  readonly thread: MemoryThread;
  nowNs = 1e9;
  #lastId = 0;

  constructor(rate: StormRate = 0) {
    this.storm.initialise(rate, 1);
    this.thread = new MemoryThread({
      operations: this.model, storm: this.storm, nowNs: () => this.nowNs,
      receive: () => this.requests.shift(), post: (message) => this.messages.push(message),
    });
  }

  /** Runs `command` to its end and returns its result. */
  run(command: MemoryCommand): unknown {
    const id = this.ask(command);
    for (let turn = 0; turn < 10_000; turn++) {
      this.thread.turn();
      const answer = this.answer(id);
      if (answer !== undefined) return answer.result;
    }
    throw new Error(`no answer to ${command.name}`);
  }

  ask(command: MemoryCommand): number {
    this.requests.push({ id: ++this.#lastId, command });
    return this.#lastId;
  }

  answer(id: number): { readonly result: unknown } | undefined {
    return this.messages.find((message) => message.type === "done" && message.id === id) as { result: unknown } | undefined;
  }

  /** Lets `ms` milliseconds pass, a turn each. */
  pass(ms: number): void {
    for (let n = 0; n < ms; n++) {
      this.nowNs += MS;
      this.thread.turn();
    }
  }
}

test("move all moves every page of every memslot once, in batches", () => {
  const bench = new Bench();
  bench.model.pinned.add(gfnOf(7));
  bench.model.swapped.add(gfnOf(0x1001));
  assert.deepEqual(bench.run({ name: "move", gfn: "all" }), { moved: 1158, absent: 1, pinned: 1, noSlot: 0, outOfMemory: 0 });
  assert.deepEqual(new Set(bench.model.moveCounts.values()), new Set([1]));
  assert.deepEqual(bench.model.moveBatches, [64, 64, 32, ...new Array<number>(15).fill(64), 40]);
});

test("a single page is moved, and a frame number without memory is said to be one", () => {
  const bench = new Bench();
  assert.deepEqual(bench.run({ name: "move", gfn: 0x1003 }), { moved: 1, absent: 0, pinned: 0, noSlot: 0, outOfMemory: 0 });
  assert.deepEqual(bench.run({ name: "move", gfn: 0x5000 }), { moved: 0, absent: 0, pinned: 0, noSlot: 1, outOfMemory: 0 });
});

test("a share of the pages is swapped out, spread over the memory, and no page more", () => {
  const bench = new Bench();
  assert.deepEqual(bench.run({ name: "swap", percent: 25 }), { swapped: 290, skipped: 0 });
  const low = [...bench.model.swapped].filter((gfn) => gfn < 160).length;
  assert.ok(low > 35 && low < 45, `${low} of 40`);
  assert.deepEqual(bench.run({ name: "swap", percent: 100 }), { swapped: 870, skipped: 0 });
  assert.equal(bench.model.swapped.size, 1160);
  assert.deepEqual(bench.run({ name: "swap", percent: 100 }), { swapped: 0, skipped: 0 });
});

test("a full swap file ends the command with what was done and why", () => {
  const bench = new Bench();
  bench.model.swapRoom = 100;
  assert.deepEqual(bench.run({ name: "swap", percent: 50 }), {
    swapped: 100, skipped: 0, failure: "swap file /x is full (no space left on device)",
  });
});

test("every other command answers with its outcome", () => {
  const bench = new Bench();
  assert.deepEqual(bench.run({ name: "merge" }), { scanned: 1160, merged: 2, framesFreed: 1 });
  assert.deepEqual(bench.run({ name: "offline", block: 16 }), { result: "offline", framesMoved: 3 });
  assert.deepEqual(bench.run({ name: "online", block: 16 }), { result: "refused", reason: "online-already", detail: "block 16 is online" });
  assert.deepEqual(bench.run({ name: "show" }), bench.model.memoryMap());
  assert.deepEqual(bench.run({ name: "slots" }), bench.model.memoryMap().slots);
});

test("the storm goes on while commands are worked on, and two commands side by side", () => {
  const bench = new Bench(1000);
  const [first, second] = [bench.ask({ name: "move", gfn: "all" }), bench.ask({ name: "move", gfn: "all" })];
  bench.pass(8);
  assert.ok(bench.answer(first) === undefined && bench.answer(second) === undefined);
  assert.equal(bench.storm.stats().moves, 8);
  assert.equal(bench.model.moveBatches.length, 2 * 8 + 2);
  bench.pass(40);
  assert.ok(bench.answer(first) !== undefined && bench.answer(second) !== undefined);
});

test("the storm keeps its pace, tells its figures, and is changed and ended by command", () => {
  const bench = new Bench(1000);
  bench.pass(2000);
  assert.deepEqual(bench.storm.stats(), { rate: 1000, moves: 2000, movesPerSecond: 1000, pinned: 0, seed: 1 });
  bench.run({ name: "storm", rate: 100 });
  bench.pass(1000);
  assert.deepEqual(bench.storm.stats(), { rate: 100, moves: 2100, movesPerSecond: 100, pinned: 0, seed: 1 });
  assert.deepEqual(bench.run({ name: "storm", rate: 0 }), { rate: 0, moves: 2100, movesPerSecond: 100, pinned: 0, seed: 1 });
  bench.pass(1000);
  assert.equal(bench.storm.stats().moves, 2100);
});

test("pinned pages are counted apart, and a memory of nothing else is not spun over", () => {
  const bench = new Bench("max");
  for (const slot of bench.model.slots) for (let n = 0; n < slot.pageCount; n++) bench.model.pinned.add(gfnOf(slot.baseGfn + n));
  assert.ok(bench.thread.turn() >= MS);
  const { pinned, moves } = bench.storm.stats();
  assert.ok(pinned > 0 && moves === 0);
});

test("the storm goes on within a command that cannot be left", () => {
  const bench = new Bench("max");
  bench.run({ name: "merge" });
  assert.ok(bench.storm.stats().moves > 10 * 64, `${bench.storm.stats().moves}`);
});

test("a moment's wait is not told", () => {
  const bench = new Bench();
  bench.model.swapRoom = 0;
  bench.model.wanted = 20;
  for (let n = 0; n < 20; n++) {
    bench.model.stall = "for a moment";
    bench.pass(100);
    bench.model.stall = undefined;
    bench.pass(100);
  }
  assert.deepEqual(bench.messages, []);
});

test("the reclaimer swaps out what is wanted, then lets the thread sleep", () => {
  const bench = new Bench();
  bench.model.wanted = 150;
  assert.deepEqual([bench.thread.turn(), bench.model.swapped.size], [0, 64]);
  bench.thread.turn();
  bench.thread.turn();
  assert.deepEqual([bench.thread.turn(), bench.model.swapped.size], [Infinity, 150]);
});

test("a guest that waits for memory is told once, tried again for, and told when it goes on", () => {
  const bench = new Bench();
  bench.model.swapRoom = 10;
  bench.model.wanted = 20;
  bench.model.stall = "swap file /x is full";
  bench.thread.turn();
  assert.ok(bench.thread.turn() > 10 * MS);
  assert.deepEqual(bench.messages, []);
  bench.pass(1000);
  assert.deepEqual(bench.messages, [{ type: "stall", reason: "swap file /x is full" }]);
  bench.model.swapRoom = Infinity;
  bench.pass(300);
  bench.model.stall = undefined;
  bench.pass(2000);
  assert.deepEqual(bench.messages.slice(1), [{ type: "stall", reason: undefined }]);
  assert.equal(bench.thread.turn(), Infinity);
});

test("the loop says ready after the first moves, sleeps when there is nothing to do, and ends when it is told to", () => {
  const bench = new Bench("max");
  const { model } = bench;
  const sleep = model.waitForReclaimWork.bind(model);
  bench.ask({ name: "storm", rate: 0 });
  model.waitForReclaimWork = (seen, timeoutMs) => {
    sleep(seen, timeoutMs);
    model.isStopping = true;
  };
  bench.thread.run();
  assert.deepEqual(bench.messages.map(({ type }) => type), ["ready", "done"]);
  assert.ok(bench.storm.stats().moves > 0);
  assert.deepEqual(model.sleeps, [Infinity]);
});

test("a stop ends a long command between two batches", () => {
  const bench = new Bench();
  bench.ask({ name: "move", gfn: "all" });
  const { model } = bench;
  const move = model.moveFrames.bind(model);
  model.moveFrames = (gfns) => {
    model.isStopping = model.moveBatches.length === 4;
    return move(gfns);
  };
  bench.thread.run();
  assert.equal(model.moveBatches.length, 5);
});
