import assert from "node:assert/strict";
import { test } from "node:test";
import { memberOffset } from "./btf.js";

/** Strings, and where each begins. */
const STRINGS = "\0int\0task_struct\0state\0comm\0other\0";
const at = (name: string): number => STRINGS.indexOf(`\0${name}\0`) + 1;
const STRUCT = 4, HAS_BITFIELDS = 0x80;

/** A type: its name, kind with flag, count of parts, size, and the words behind. */
const type = (name: number, kind: number, parts: number, size: number, words: readonly number[] = []): number[] =>
  [name, (kind << 24) | parts, size, ...words];

/** An integer, an enumeration, another structure with the member, and task_struct, whose comm is at bit 24 * 8. */
function makeBtf(bitfields: boolean): Uint8Array {
  const types = [
    ...type(at("int"), 1, 0, 4, [0x20]),
    ...type(0, 6, 2, 4, [at("state"), 0, at("comm"), 1]),
    ...type(at("other"), STRUCT, 1, 16, [at("comm"), 1, 8 * 8]),
    ...type(at("task_struct"), bitfields ? STRUCT | HAS_BITFIELDS : STRUCT, 2, 64, [at("state"), 1, bitfields ? (5 << 24) | 3 : 0, at("comm"), 1, 24 * 8]),
  ];
  const bytes = types.length * 4;
  const words = [0x0001_eb9f, 24, 0, bytes, bytes, STRINGS.length, ...types];
  return Uint8Array.from([...words.flatMap((word) => [word, word >> 8, word >> 16, word >> 24].map((byte) => byte & 255)), ...[...STRINGS].map((letter) => letter.charCodeAt(0))]);
}

test("a member is found in its own structure, with bit fields beside it or without", () => {
  for (const bitfields of [false, true]) assert.equal(memberOffset(makeBtf(bitfields), "task_struct", "comm"), 24);
  assert.equal(memberOffset(makeBtf(false), "other", "comm"), 8);
});

test("what is not there, and what is no BTF or cut short, has no offset", () => {
  const btf = makeBtf(false);
  assert.equal(memberOffset(btf, "task_struct", "absent"), undefined);
  assert.equal(memberOffset(btf, "int", "comm"), undefined);
  for (const length of [0, 10, 24, 100, btf.length - STRINGS.length]) assert.equal(memberOffset(btf.subarray(0, length), "task_struct", "comm"), undefined, String(length));
});
