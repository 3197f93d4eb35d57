import assert from "node:assert/strict";
import { test } from "node:test";
import type { GuestReport, VcpuOutcome } from "../exit/index.js";
import { GuestFailure } from "./errors.js";
import { errorForExit, exitFromOutcome } from "./guest-exit.js";

const PANIC = "[    1.5] Kernel panic - not syncing: VFS: Unable to mount root fs\r\n[    1.6] Rebooting in 1 seconds..\r\n";
const report: GuestReport = { rip: "0x1234", bytes: "0f 0b", mode: "64-bit", cpl: 0, registers: { rax: "0x1" } };

test("a restart, a crash or a triple fault behind a panic is a panic", () => {
  const outcomes: VcpuOutcome[] = [{ kind: "reboot" }, { kind: "crash" }, { kind: "triple-fault", report }];
  for (const outcome of outcomes) {
    const exit = exitFromOutcome(outcome, PANIC);
    assert.equal(exit.reason, "panic");
    const error = errorForExit(exit);
    assert.equal(error.code, "ERR_GUEST_PANIC");
    assert.equal(error.message, "Kernel panic - not syncing: VFS: Unable to mount root fs");
    assert.ok(error instanceof GuestFailure && error.describe().some((line) => line.includes("Rebooting")));
  }
});

test("power-off is power-off whatever the log says, and a restart without a panic is a restart", () => {
  assert.equal(exitFromOutcome({ kind: "power-off" }, PANIC).reason, "power-off");
  assert.equal(exitFromOutcome({ kind: "reboot" }, "bye\n").reason, "reboot");
});

test("each failure has its code, and one line that says where", () => {
  const codes = (["triple-fault", "unsupported-instruction"] as const).map((kind) => errorForExit(exitFromOutcome({ kind, report }, "")));
  assert.deepEqual(codes.map((error) => error.code), ["ERR_TRIPLE_FAULT", "ERR_UNSUPPORTED_INSTRUCTION"]);
  for (const error of codes) assert.match(error.message, /^[^\n]*0x1234[^\n]*$/);
  assert.equal(errorForExit({ reason: "out-of-memory", log: "" }).code, "ERR_OUT_OF_MEMORY");
  const internal = errorForExit({ reason: "internal-error", log: "", cause: new TypeError("x is not a function") });
  assert.equal(internal.code, "ERR_INTERNAL");
  assert.match(internal.message, /x is not a function/);
});

test("a difference of translated code is a fault of ours, with one line that says where, and lines that say in what", () => {
  const difference = {
    vcpu: 1, blocks: [{ rip: "0xabc", bytes: "48 11 c3", length: 3 }], regionRip: "0xa00", narrowed: true,
    values: [{ name: "rbx", expected: "0x2", actual: "0x1" }],
  };
  const error = errorForExit(exitFromOutcome({ kind: "translator-difference", report, difference }, "a log"));
  assert.equal(error.code, "ERR_TRANSLATOR_DIFFERENCE");
  assert.match(error.message, /^lock step: [^\n]*vCPU 1 at rip 0xabc \(48 11 c3\)[^\n]*entered at 0xa00[^\n]*$/);
  assert.ok(error instanceof GuestFailure && error.describe()[0] === "rbx: expected 0x2 (interpreter), got 0x1 (translated)");
  const somewhere = errorForExit(exitFromOutcome({ kind: "translator-difference", report, difference: { ...difference, narrowed: false } }, ""));
  assert.match(somewhere.message, /somewhere behind rip 0xabc/);
});
