/** Modules that are written: what they tell the compiler besides the code. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { CodeWriter, W, writeModule } from "./wasm-writer.js";

const SECTION_CODE = 10;
const HEAD_BYTES = 8;

/** Reads the unsigned LEB128 number of `bytes` at `at`. */
function readUnsigned(bytes: Uint8Array, at: number): { value: number; next: number } {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++]!;
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return { value, next: at };
  }
}

/** The body of the module's only function: locals and code. */
function functionBody(bytes: Uint8Array): Uint8Array {
  for (let at = HEAD_BYTES; ;) {
    const { value: length, next } = readUnsigned(bytes, at + 1);
    if (bytes[at] === SECTION_CODE) {
      const body = readUnsigned(bytes, readUnsigned(bytes, next).next);
      return bytes.subarray(body.next, body.next + body.value);
    }
    at = next + length;
  }
}

test("branch hints name the ifs that are hardly ever true, from the start of the function's body", () => {
  const code = new CodeWriter();
  // More than 127 bytes apart, so that offsets take more than a byte.
  for (let round = 0; round < 3; round++) {
    code.i32(round);
    code.open(W.if);
    code.close();
    code.i32(0);
    code.openUnlikely();
    for (let at = 0; at < 50; at++) code.i32(at).op(W.drop);
    code.close();
  }
  code.i64(0);
  assert.equal(code.unlikely.length, 3);
  const bytes = writeModule({ code: code.bytes, i32Locals: 200, i64Locals: 3, v128Locals: 1, unlikely: code.unlikely }, ["base"], 10);
  const module = new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>);
  const [section] = WebAssembly.Module.customSections(module, "metadata.code.branch_hint");
  const hints = new Uint8Array(section!);
  // One function, which stands behind two that are imported, and three hints.
  assert.deepEqual([...hints.subarray(0, 3)], [1, 2, 3]);
  const body = functionBody(bytes);
  let at = 3;
  for (const offset of code.unlikely) {
    const hint = readUnsigned(hints, at);
    assert.equal(body[hint.value], W.if);
    assert.ok(body.subarray(hint.value).length === code.length - offset + 1, "expected the offset to be that of the code behind the locals");
    assert.deepEqual([...hints.subarray(hint.next, hint.next + 2)], [1, 0], "expected the value 0: not taken");
    at = hint.next + 2;
  }
  assert.equal(at, hints.length);
});

test("a region and its helper are to be optimised at once", () => {
  const function_ = { code: new CodeWriter().i64(0).bytes, i32Locals: 1, i64Locals: 1, v128Locals: 1, unlikely: [] };
  const hintsOf = (helper?: Uint8Array): number[] => {
    const module = new WebAssembly.Module(writeModule({ ...function_, helper }, ["base"], 10) as Uint8Array<ArrayBuffer>);
    return [...new Uint8Array(WebAssembly.Module.customSections(module, "compilationHints")[0]!)];
  };
  assert.deepEqual(hintsOf(), [1, 0x2a]);
  assert.deepEqual(hintsOf(new CodeWriter().i32(0).bytes), [2, 0x2a, 0x2a]);
});
