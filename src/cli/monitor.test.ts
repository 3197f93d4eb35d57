import assert from "node:assert/strict";
import { test } from "node:test";
import type { VirtualMachine } from "../machine/index.js";
import { CONTROL_COMMANDS } from "../machine/control/index.js";
import { Monitor } from "./monitor.js";

/** A monitor over a VM that has only what the test needs; everything that was shown. */
function createMonitor(vm: object = {}): { type(text: string): Promise<void>; shown(): string; done: string[] } {
  let text = "";
  const done: string[] = [];
  const monitor = new Monitor(vm as VirtualMachine, {
    print: (part) => (text += part), leave: () => done.push("leave"), quit: () => done.push("quit"),
  });
  monitor.enter();
  return {
    done,
    type: async (line) => await monitor.type(new TextEncoder().encode(line)),
    shown: () => {
      const all = text;
      text = "";
      return all;
    },
  };
}

test("the monitor has the commands of every control, and prints what ctl prints", async () => {
  const monitor = createMonitor({ memory: { move: async (gfn: unknown) => await Promise.resolve({ moved: gfn === 7 ? 1 : 0, absent: 0, pinned: 0, noSlot: 1, outOfMemory: 0 }) } });
  await monitor.type("Memory move 0x7\r");
  assert.equal(monitor.shown(), "\n(unpinned) Memory move 0x7\nmoved 1 page; not moved: 1 in no memslot\n(unpinned) ");
  await monitor.type("memory move 8\r");
  assert.equal(monitor.shown(), "memory move 8\nnothing moved: there is no memory at that guest frame number\n(unpinned) ");
});

test("help lists the commands of the table, the monitor's own and the keys", async () => {
  const monitor = createMonitor();
  await monitor.type("help\r");
  const text = monitor.shown();
  for (const { words } of CONTROL_COMMANDS) assert.ok(text.includes(`\n${words}`), words);
  for (const words of ["exits ", "hypercalls ", "info ", "poweroff ", "console ", "quit ", "Ctrl-A x "]) assert.ok(text.includes(`\n${words}`), words);
});

test("a wrong word and a failed command are one line, and the prompt comes again", async () => {
  const monitor = createMonitor({ pause: async () => await Promise.reject(new Error("the guest has ended")) });
  await monitor.type("jump\rmemory\rpause\r\r");
  assert.equal(monitor.shown(), [
    "\n(unpinned) jump\nno command \"jump\": try help\n", "memory\nmemory needs another word: memory show|slots|move|swap|merge|offline|online\n",
    "pause\nthe guest has ended\n", "\n", "",
  ].join("(unpinned) "));
});

test("what is typed while a command runs comes after it", async () => {
  let finish = (): void => undefined;
  const monitor = createMonitor({ pause: async () => await new Promise<void>((resolve) => (finish = resolve)), resume: () => undefined });
  const first = monitor.type("pause\r");
  const second = monitor.type("resume\r");
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(monitor.shown(), "\n(unpinned) pause\n");
  finish();
  await Promise.all([first, second]);
  assert.equal(monitor.shown(), "paused\n(unpinned) resume\nrunning\n(unpinned) ");
});

test("Ctrl-D leaves, backspace erases, Ctrl-C begins anew, quit quits", async () => {
  const monitor = createMonitor();
  await monitor.type("quix\x7ft\r");
  await monitor.type("junk\x03console\r\x04");
  assert.deepEqual(monitor.done, ["quit", "leave", "leave"]);
});
