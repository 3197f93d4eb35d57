import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { nativeCodeHost, restoreModule, takeNativeCode, withHints } from "./native-code.js";

/** (i32) -> i32, "twice": adds its argument to itself. */
const TWICE = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 6, 1, 0x60, 1, 0x7f, 1, 0x7f, 3, 2, 1, 0, 7, 9, 1, 5, 0x74, 0x77, 0x69, 0x63, 0x65, 0, 0, 10, 9, 1, 7, 0, 0x20, 0, 0x20, 0, 0x6a, 0x0b);

type Twice = (number: number) => number;

function exportOf(module: WebAssembly.Module): Twice {
  return new WebAssembly.Instance(module).exports["twice"] as Twice;
}

test("machine code is taken from a module when it is there or asked for, and works in another process", async () => {
  const module = new WebAssembly.Module(TWICE);
  assert.equal(takeNativeCode(module, exportOf(module)), undefined, "nothing has been optimised yet");
  const code = takeNativeCode(module, exportOf(module), true);
  assert.ok(code !== undefined && code.length > 0);
  const child = fork(fileURLToPath(new URL("./native-code.worker.js", import.meta.url)), { serialization: "advanced" });
  child.send({ bytes: TWICE, code });
  const [answer] = await once(child, "message") as [{ restored: boolean; answer: number; refused: boolean }];
  assert.deepEqual(answer, { restored: true, answer: 42, refused: true });
});

test("a function whose hint says so is optimised when its module is there", { skip: Number.parseInt(process.versions["v8"]!, 10) > 13 ? "V8 may not know the flags" : false }, () => {
  const codeSection = TWICE.length - 11;
  const withSection = (name: string): Uint8Array<ArrayBuffer> => {
    const text = new TextEncoder().encode(name);
    return Uint8Array.of(...TWICE.subarray(0, codeSection), 0, text.length + 3, text.length, ...text, 1, 2 | (2 << 2) | (2 << 4), ...TWICE.subarray(codeSection));
  };
  const codeOf = (bytes: Uint8Array<ArrayBuffer>, optimizes: boolean): Uint8Array | undefined => {
    const module = withHints(() => new WebAssembly.Module(bytes), optimizes);
    return takeNativeCode(module, exportOf(module));
  };
  assert.equal(codeOf(withSection("somethingElse"), true), undefined);
  // V8 has code once for the same bytes.
  assert.equal(codeOf(withSection("compilationHints"), false), undefined);
  assert.ok(codeOf(Uint8Array.of(...withSection("compilationHints"), 0, 2, 1, 0x78), true) !== undefined);
});

test("the name of what code depends on may be part of a cache's key", () => {
  assert.match(nativeCodeHost(), /^[a-z0-9.-]+$/);
});

test("V8's test functions are shut again behind each use", () => {
  const module = new WebAssembly.Module(TWICE);
  takeNativeCode(module, exportOf(module), true);
  assert.equal(restoreModule(TWICE.slice(0, 20), new Uint8Array(4)), undefined);
  assert.throws(() => (0, eval)("%SystemBreak"), SyntaxError);
});
