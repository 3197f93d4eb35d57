import assert from "node:assert/strict";
import { test } from "node:test";
import { CONTROL_COMMANDS } from "./command-table.js";
import { blockRefusal, moveRefusal, renderMemory, renderMove, swapRefusal } from "./render-memory.js";
import { TEST_MAP, TEST_REFUSAL, TEST_STATS, TEST_VCPUS } from "./test-target.js";

function rendered(words: string, result: unknown): string {
  return CONTROL_COMMANDS.find((command) => command.words === words)!.render(result).join("\n");
}

test("memory show", () => {
  assert.equal(rendered("memory show", TEST_MAP), `\
block  state    map                               present  shared  pinned  free
   16  online   ################################     4096       0       0     0
   17  online   ###############=!...............     2048       1       1  2046
   18  offline  --------------------------------        0       0       0  4096
a block is 16 MiB; # present, = shared, ! pinned, . free, - offline

slot  first gfn  pages  present  shared  swapped  absent
   0  0x0          160       34       0        0     126
4096  0x107fff    8096     4000      96     3000    1000

guest  32.3 MiB: 4034 pages present, 96 shared, 3000 swapped, 1126 absent
host   32 MiB in 2 blocks online: 6146 frames in use, 2046 free
limit  12288 frames (48 MiB)
swap   3000 of 65536 slots in use`);
});

test("a bar has 32 cells, whatever the counts are", () => {
  for (const [present, shared, pinned] of [[0, 0, 0], [1, 1, 1], [4093, 1, 1], [1365, 1365, 1366], [4000, 50, 46], [0, 4096, 0]] as const) {
    const block = { index: 16, state: "online" as const, framesTotal: 4096, present, shared, pinned, free: 4096 - present - shared - pinned };
    const [, line] = renderMemory({ ...TEST_MAP, blocks: [block] });
    const [bar] = /[#=!.]{32}(?= )/.exec(line!)!;
    for (const [count, cell] of [[present, "#"], [shared, "="], [pinned, "!"], [block.free, "."]] as const) {
      assert.equal(bar.includes(cell), count > 0, `${bar} ${present} ${shared} ${pinned}`);
    }
  }
});

test("vcpu show", () => {
  assert.equal(rendered("vcpu show", TEST_VCPUS), `\
vcpu  mode      instructions  halted ms  requests
   0  in guest     377386434       1235  tlb-flush event
   1  parked               0          0  none`);
});

test("stats", () => {
  assert.equal(rendered("stats", TEST_STATS), `\
up                          12.3 s
init ready after            3.03 s
instructions (interpreter)  77386434
instructions (translator)   300000000
translated                  130 regions, 244 KiB, in 412 ms
memory touched              76.3 MiB of 256 MiB
frames in use               19523 of 69632
memory limit                64 MiB
stall                       the guest waits: it is full

TLB misses                 123000, 328.0 a million instructions
by reads, writes, fetches  60000, 43000 (9000 of them for the right to write), 20000
nested look-ups            480000, 19475 without a frame
TLB flushes                900 by CR3, 3000 of a page, 12 of frames, 40 of all

invalidations      12
invalidation time  3.1 ms
frames moved       345

user of pages  refreshes  revocations
shared_info            9            7

storm         1000 moves a second
storm moves   19421, 1000 a second
found pinned  3
storm seed    42

exits   count
budget     30
hlt         2

hypercalls     count
EVTCHNOP_send    249`);
});

test("outcomes are one line each, refusals too", () => {
  assert.equal(rendered("memory swap", { swapped: 10, skipped: 2 }), "swapped out 10 pages; 2 could not be");
  assert.equal(rendered("memory merge", { scanned: 100, merged: 10, framesFreed: 9 }), "looked at 100 pages: 10 share a frame now, 9 frames freed");
  assert.equal(rendered("memory offline", { result: "offline", framesMoved: 7 }), "offline; 7 frames moved");
  assert.equal(rendered("memory online", { result: "online" }), "online");
  assert.equal(blockRefusal(TEST_REFUSAL), "refused: block 17 stays online");
  assert.equal(blockRefusal({ result: "online" }), undefined);
  assert.equal(swapRefusal({ swapped: 1, skipped: 0, failure: "no swap" }), "stopped after 1 page: no swap");
  assert.deepEqual(renderMove({ moved: 1, absent: 2, pinned: 3, noSlot: 0, outOfMemory: 0 }), ["moved 1 page; not moved: 2 without a frame, 3 pinned"]);
  const nothing = { moved: 0, absent: 0, pinned: 0, noSlot: 0, outOfMemory: 0 };
  assert.equal(moveRefusal(nothing), undefined);
  assert.equal(moveRefusal({ ...nothing, moved: 1, pinned: 1 }), undefined);
  for (const [kind, message] of [["absent", /no frame \(/], ["pinned", /reference/], ["noSlot", /no memory/], ["outOfMemory", /no free frame/]] as const) {
    assert.match(moveRefusal({ ...nothing, [kind]: 1 })!, message);
  }
});

test("a result reads the same after its way through JSON", () => {
  for (const [words, result] of [["memory show", TEST_MAP], ["stats", TEST_STATS], ["vcpu show", TEST_VCPUS]] as const) {
    assert.equal(rendered(words, JSON.parse(JSON.stringify(result))), rendered(words, result));
  }
});

test("stats of a VM whose translated code is checked", () => {
  const figures = { checked: 60_465, instructions: 22_494_456, ends: { "its length": 60_000 }, skipped: { "an exit": 36, "a request": 2 }, differences: 0 };
  const lines = rendered("stats", { ...TEST_STATS, lockStep: figures }).split("\n");
  assert.match(lines.find((line) => line.startsWith("lock step")) ?? "", /60465 stretches agreed, of 22494456 instructions; no difference$/);
  assert.match(lines.find((line) => line.startsWith("not checked")) ?? "", /36 for an exit, 2 for a request$/);
  assert.ok(!rendered("stats", TEST_STATS).includes("lock step"));
});
