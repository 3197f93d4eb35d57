/** Litmus tests: exactly the outcomes that each memory model allows (Alglave, Maranget, Tautschnig, "Herding Cats", 2014, has their names). */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Operation, Scenario } from "./model.js";
import { add, fence, load, note, readOnce, store, writeOnce } from "./operations.js";
import { searchAll } from "./testing/search.js";

type Steps = Generator<Operation, void, number>;
type Program = readonly (() => readonly Operation[])[];

const [X, Y] = [0, 1];

/** A scenario whose outcome is what the loads of its threads gave, in the order of the program. */
function litmus(program: Program): () => Scenario {
  const places: number[][] = [];
  let next = 2;
  for (const operations of program) places.push(operations().map((operation) => (operation.kind.endsWith("load") ? next++ : -1)));
  function* run(thread: number): Steps {
    let step = 0;
    for (const operation of program[thread]!()) {
      const got = yield operation;
      const place = places[thread]![step++]!;
      if (place >= 0) yield note(place, got);
    }
  }
  return () => ({
    words: Array.from({ length: next }, (_, at) => ({ name: at === X ? "x" : at === Y ? "y" : `r${at - 2}`, value: 0 })),
    threads: program.map((_, thread) => ({ name: `t${thread}`, run: () => run(thread) })),
  });
}

/** Asserts that all three searches see these outcomes and no others. Each is the digits of the loads' results. */
function expectOutcomes(program: Program, isTso: boolean, expected: readonly string[]): void {
  for (const search of ["every", "dpor", "states"] as const) {
    const { outcomes, findings } = searchAll(litmus(program), search, {
      isTso, outcome: (machine) => machine.wordNames.slice(2).map((_, at) => machine.value(at + 2)).join(""),
    });
    assert.deepEqual([...outcomes].sort(), [...expected].sort(), search);
    assert.deepEqual([...findings], [], search);
  }
}

const storeBuffering: Program = [() => [writeOnce(X, 1), readOnce(Y)], () => [writeOnce(Y, 1), readOnce(X)]];
test("SB: both miss each other's store under tso, never under sc", () => {
  expectOutcomes(storeBuffering, false, ["01", "10", "11"]);
  expectOutcomes(storeBuffering, true, ["00", "01", "10", "11"]);
});

test("SB with a fence in both, or with atomic stores, is as under sc", () => {
  expectOutcomes([() => [writeOnce(X, 1), fence(), readOnce(Y)], () => [writeOnce(Y, 1), fence(), readOnce(X)]], true, ["01", "10", "11"]);
  expectOutcomes([() => [store(X, 1), readOnce(Y)], () => [store(Y, 1), readOnce(X)]], true, ["01", "10", "11"]);
  expectOutcomes([() => [writeOnce(X, 1), load(Y)], () => [writeOnce(Y, 1), load(X)]], true, ["01", "10", "11"]);
});

test("SB with a fence in one only still fails under tso", () => {
  expectOutcomes([() => [writeOnce(X, 1), fence(), readOnce(Y)], () => [writeOnce(Y, 1), readOnce(X)]], true, ["00", "01", "10", "11"]);
});

test("LB: nobody reads from the future", () => {
  const program: Program = [() => [readOnce(X), writeOnce(Y, 1)], () => [readOnce(Y), writeOnce(X, 1)]];
  for (const isTso of [false, true]) expectOutcomes(program, isTso, ["00", "01", "10"]);
});

test("MP: who sees the flag sees the message", () => {
  const program: Program = [() => [writeOnce(X, 1), writeOnce(Y, 1)], () => [readOnce(Y), readOnce(X)]];
  for (const isTso of [false, true]) expectOutcomes(program, isTso, ["00", "01", "11"]);
});

test("IRIW: two readers agree on the order of two stores", () => {
  const program: Program = [() => [writeOnce(X, 1)], () => [writeOnce(Y, 1)], () => [readOnce(X), readOnce(Y)], () => [readOnce(Y), readOnce(X)]];
  const all = Array.from({ length: 16 }, (_, bits) => bits.toString(2).padStart(4, "0"));
  for (const isTso of [false, true]) expectOutcomes(program, isTso, all.filter((outcome) => outcome !== "1010"));
});

test("a thread sees its own delayed store at once (SB with its own word read first)", () => {
  const program: Program = [() => [writeOnce(X, 1), readOnce(X), readOnce(Y)], () => [writeOnce(Y, 1), readOnce(Y), readOnce(X)]];
  expectOutcomes(program, true, ["1010", "1011", "1110", "1111"]);
});

test("delayed stores of one thread reach memory in their order, and an atomic update comes behind them", () => {
  expectOutcomes([() => [writeOnce(X, 1), writeOnce(X, 2)], () => [readOnce(X), readOnce(X)]], true, ["00", "01", "02", "11", "12", "22"]);
  expectOutcomes([() => [writeOnce(X, 1), add(Y, 1)], () => [readOnce(Y), readOnce(X)]], true, ["00", "01", "11"]);
});
