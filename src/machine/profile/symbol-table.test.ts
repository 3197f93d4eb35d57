import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSystemMap, SymbolTable } from "./symbol-table.js";

const MAP = `0000000000000000 A fixed_percpu_data
ffffffff81000000 T _text
ffffffff81000000 T startup_64
ffffffff81000100 t second
ffffffff81000100 T its_alias
ffffffff81000180 d data_among_code
ffffffff81000200 W third
not a line
`;

test("code belongs to the nearest function below it, the first of several at one address", () => {
  const table = new SymbolTable(parseSystemMap(MAP)!);
  const names = [0xffff_ffff_8100_0000n, 0xffff_ffff_8100_00ffn, 0xffff_ffff_8100_0100n, 0xffff_ffff_8100_01ffn, 0xffff_ffff_8100_0200n, 0xffff_ffff_8102_0000n]
    .map((address) => table.functionAt(address));
  assert.deepEqual(names, ["_text", "_text", "second", "second", "third", "third"]);
});

test("code below the first function, or far behind the last, belongs to none", () => {
  const table = new SymbolTable(parseSystemMap(MAP)!);
  assert.equal(table.functionAt(0xffff_ffff_80ff_ffffn), undefined);
  assert.equal(table.functionAt(0xffff_ffff_c000_0000n), undefined);
  assert.equal(table.functionAt(0x1000n), undefined);
});

test("every symbol has its address by name", () => {
  const table = new SymbolTable(parseSystemMap(MAP)!);
  assert.deepEqual(["fixed_percpu_data", "its_alias", "data_among_code", "absent"].map((name) => table.addressOf(name)),
    [0n, 0xffff_ffff_8100_0100n, 0xffff_ffff_8100_0180n, undefined]);
});

test("a text that names no function is no System.map", () => {
  assert.equal(parseSystemMap("ffffffffffffffff B The real System.map is in the linux-image-<version>-dbg package\n"), undefined);
  assert.equal(parseSystemMap(""), undefined);
});
