import assert from "node:assert/strict";
import { test } from "node:test";
import { readKallsyms } from "./kallsyms.js";
import { SymbolTable } from "./symbol-table.js";
import { type KallsymsForm, kallsymsImage, type NamedAddress } from "./testing/kallsyms-image.js";

const BASE = 0xffff_ffff_8100_0000n;
const FORMS: Readonly<Record<string, KallsymsForm>> = {
  "6.1": { offsetsLast: false, hasSequence: false, areNegated: true },
  "6.2": { offsetsLast: false, hasSequence: true, areNegated: true },
  "6.12": { offsetsLast: true, hasSequence: true, areNegated: true },
  "6.15": { offsetsLast: true, hasSequence: true, areNegated: false },
};

/** A per-CPU variable first where the form has them, then functions, one with a name of more than 127 tokens. */
function symbolsOf({ areNegated }: KallsymsForm): NamedAddress[] {
  const functions = Array.from({ length: 1300 }, (_, index) => ({
    address: BASE + BigInt(index * 64), type: index % 2 === 0 ? "T" : "t", name: index === 700 ? `long_${"x".repeat(300)}` : `__sys_call_${index}`,
  }));
  return areNegated ? [{ address: 0x1fb80n, type: "A", name: "current_task" }, ...functions] : functions;
}

for (const [version, form] of Object.entries(FORMS)) {
  test(`the table of symbols of Linux ${version} is found in its image and read back`, () => {
    const symbols = symbolsOf(form);
    const read = readKallsyms([{ bytes: new Uint8Array(5000) }, { bytes: kallsymsImage(symbols, BASE, form) }]);
    assert.ok(read !== undefined);
    assert.deepEqual(
      symbols.map((_, index) => ({ address: read.addresses[index], type: read.types[index], name: read.names[index] })), symbols);
    assert.equal(read.names.length, symbols.length);
    const table = new SymbolTable(read);
    assert.equal(table.functionAt(BASE + 5n * 64n + 63n), "__sys_call_5");
    assert.equal(table.addressOf("current_task"), form.areNegated ? 0x1fb80n : undefined);
  });
}

test("an image without the table, and one whose tokens are damaged, have no symbols", () => {
  const form = FORMS["6.1"]!;
  const image = kallsymsImage(symbolsOf(form), BASE, form);
  assert.equal(readKallsyms([{ bytes: new Uint8Array(1 << 16) }]), undefined);
  // The token index ends before 8 bytes and the noise.
  const damaged = image.slice();
  const text = String.fromCharCode(...image.subarray(0, 1 << 16));
  damaged[text.lastIndexOf("sys_\0")] = 0;
  assert.equal(readKallsyms([{ bytes: damaged }]), undefined);
});
