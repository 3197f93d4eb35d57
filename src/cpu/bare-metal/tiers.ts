/** A program of some thousand rounds in both tiers, and in lock step. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { compileCore } from "../core.raw.js";
import { RAX, RBX, RCX } from "../index.js";
import type { Listing } from "./listing.js";
import { BareMachine, type BareTranslation, type Start, type Stop } from "./machine.js";

/** Rounds that the programs have. */
export const ROUNDS = 3000;
/** An entry of a page table: present, writable, the user's. */
export const PAGE_BITS = 0x67n;
/** Short turns, so that what is hot is translated while the program runs. */
export const BUDGET = 200;
/** More turns than a program of this length needs. */
const TURNS_MAX = 1000;

type Registers = Readonly<Record<number, bigint | number>>;

/** The core. */
export const module = await compileCore(readFileSync(new URL("../core.wasm", import.meta.url)));

/** A program that has run, and how it ended. */
export interface Finished { readonly machine: BareMachine; readonly stop: Stop }

interface Plan { readonly start?: Start; readonly prepare?: (machine: BareMachine) => void }

/** Runs `machine` until it stops, however many turns that takes. */
export function finish(machine: BareMachine): Stop {
  for (let turn = 0; ; turn++) {
    try {
      return machine.run();
    } catch (error) {
      if (turn > TURNS_MAX) throw error;
    }
  }
}

/** Runs `program` in short turns, translated or not. */
export function run(program: Listing, registers: Registers, translated: false | BareTranslation, { start = "kernel64", prepare }: Plan = {}): Finished {
  const machine = new BareMachine(module, 1, translated);
  machine.budget = BUDGET;
  machine.start(start, program);
  for (const [n, value] of Object.entries(registers)) machine.state.setGpr(Number(n), BigInt(value));
  prepare?.(machine);
  return { machine, stop: finish(machine) };
}

/** Runs in both tiers, and in lock step; both have to leave the same. Returns the translated one. */
export function runAll(program: Listing, registers: Registers, plan: Plan = {}): Finished {
  const [interpreted, checked, translated] = ([false, { checkEvery: 3 }, {}] as const).map((how) => run(program, registers, how, plan)) as [Finished, Finished, Finished];
  for (const { machine, stop } of [checked, translated]) {
    assert.deepEqual(stop, interpreted.stop);
    for (const n of [RAX, RBX, RCX]) assert.equal(machine.state.gpr(n), interpreted.machine.state.gpr(n));
    assert.equal(machine.state.instructionsRetired, interpreted.machine.state.instructionsRetired);
  }
  return translated;
}

/** Asserts that it ran in regions: the interpreter comes back for each turn's budget, not for each round. */
export function assertInRegions({ machine }: Finished): void {
  const { regions, entries } = machine.state.translation;
  assert.ok(regions > 0 && entries > 0 && entries < ROUNDS / 10, `expected the program to run in regions, got ${regions} regions, ${entries} entries`);
}
