import assert from "node:assert/strict";
import { test } from "node:test";
import { CONTROL_COMMANDS, helpLines } from "./command-table.js";
import type { ControlTarget } from "./control-target.js";
import { parseCommand } from "./parse.js";
import { TestTarget } from "./test-target.js";

/** What a command did to the VM. */
async function calls(...words: string[]): Promise<string[]> {
  const target = new TestTarget();
  await parseCommand(words).run(target as unknown as ControlTarget);
  return target.calls;
}

test("every command reaches the VM with its argument", async () => {
  assert.deepEqual(await calls("memory", "show"), ["show"]);
  assert.deepEqual(await calls("memory", "slots"), ["slots"]);
  assert.deepEqual(await calls("memory", "move", "0x1F"), ["move 31"]);
  assert.deepEqual(await calls("memory", "move", "31"), ["move 31"]);
  assert.deepEqual(await calls("memory", "move", "all"), ["move all"]);
  assert.deepEqual(await calls("memory", "swap", "12.5%"), ["swap 12.5"]);
  assert.deepEqual(await calls("memory", "merge"), ["merge"]);
  assert.deepEqual(await calls("memory", "offline", "16"), ["offline 16"]);
  assert.deepEqual(await calls("memory", "online", "0x10"), ["online 16"]);
  assert.deepEqual(await calls("vcpu", "show"), ["vcpus"]);
  assert.deepEqual(await calls("stats"), ["stats"]);
  assert.deepEqual(await calls("pause"), ["pause"]);
  assert.deepEqual(await calls("resume"), ["resume"]);
  assert.deepEqual(await calls("storm", "max"), ["storm max"]);
  assert.deepEqual(await calls("storm", "off"), ["storm 0"]);
  assert.deepEqual(await calls("storm", "250"), ["storm 250"]);
  assert.deepEqual(await calls("help"), []);
});

test("words may come in one text, in capitals, with spaces around", async () => {
  assert.deepEqual(await calls("  Memory   MOVE all "), ["move all"]);
});

test("what is wrong is one line that says what is right", () => {
  for (const [line, message] of [
    ["", "a command is missing: try help"],
    ["jump", 'no command "jump": try help'],
    ["memory", "memory needs another word: memory show|slots|move|swap|merge|offline|online"],
    ["memory jump", 'no command "memory jump": memory show|slots|move|swap|merge|offline|online'],
    ["vcpu stop", 'no command "vcpu stop": vcpu show'],
    ["memory move", "memory move needs an argument: memory move GFN|all"],
    ["memory move 12z", '"12z" is not a guest frame number (address / 4096), decimal or 0x…, or all'],
    ["memory move -1", '"-1" is not a guest frame number (address / 4096), decimal or 0x…, or all'],
    ["memory move 0x10000000", '"0x10000000" is not a guest frame number (address / 4096), decimal or 0x…, or all'],
    ["memory swap 101", '"101" is no number from 0 to 100'],
    ["memory swap half", '"half" is no number from 0 to 100'],
    ["memory offline x", '"x" is not the number of a memory block (memory show lists them)'],
    ["memory online 256", '"256" is not the number of a memory block (memory show lists them)'],
    ["storm 10000001", '"10000001" is not a number of moves a second up to 10000000, max or off'],
    ["memory show 1", 'memory show takes no argument, got "1"'],
    ["pause now please", 'pause: too many words: "now please"'],
    ["constructor", 'no command "constructor": try help'],
  ] as const) {
    assert.throws(() => parseCommand([line]), { code: "ERR_CONTROL_USAGE", message });
  }
});

test("the help has a line for every command, aligned", () => {
  const lines = helpLines();
  assert.equal(lines.length, CONTROL_COMMANDS.length);
  assert.equal(new Set(lines.map((line) => line.search(/ {2,}\S/) + line.match(/ {2,}/)![0].length)).size, 1);
  for (const { words } of CONTROL_COMMANDS) assert.ok(lines.some((line) => line.startsWith(words)));
});
