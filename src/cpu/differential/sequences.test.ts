/**
 * Translated code against the interpreter, in lock step: drawn sequences of instructions, each run by both from the same states. The single
 * instructions are those of the vectors; here they follow each other, so that what one leaves behind (flags not yet written down,
 * registers in locals) is what the next one finds. Conditional jumps over an instruction are drawn in between.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { before, describe, test } from "node:test";
import { compileCore } from "../core.raw.js";
import { bytesText } from "./encoding.js";
import { CASE, CODE_BASE, CODE_OFFSET, RESULT } from "./layout.js";
import { DifferentialMachine } from "./machine.js";
import { type Outcome, VECTOR_BREAKPOINT } from "./outcome.js";
import { Random } from "./random.js";
import { rowKey } from "./row-shape.js";
import { CORE_WASM, loadTables, VECTOR_FOLDER } from "./tables.js";
import { visitVectors } from "./vector-file.js";

const TABLES = ["general", "sse", "sse2", "ssse3"];
const LONG = process.env["UNPINNED_SEQUENCES"] === "long";
const SEQUENCES = LONG ? 60_000 : 1500;
const STATES_PER_SEQUENCE = 4;
const INSTRUCTIONS_MAX = 12;
const SEED = 0x5eed;
/** Every how manyth case is kept as material. */
const CASE_STRIDE = 7;

interface Material { readonly bytes: Uint8Array; readonly initial: DataView }

const completes = ({ record }: Outcome): boolean => record.getUint32(RESULT.trap, true) === VECTOR_BREAKPOINT;

/** Whether the instruction runs with all general registers 0, so that it has no memory operand that one of the others could spoil. */
function needsNoMemory(machine: DifferentialMachine, { bytes, initial }: Material): boolean {
  const state = new DataView(initial.buffer.slice(0));
  for (let at = CASE.gpr; at < CASE.rflags; at += 4) state.setUint32(at, 0, true);
  return completes(machine.run(state, bytes));
}

/** Instructions of 64-bit mode with states in which they were executed and did not jump. */
async function collectMaterial(): Promise<Material[]> {
  const all: Material[] = [];
  for (const table of (await loadTables()).filter(({ name }) => TABLES.includes(name))) {
    const jumps = new Set(table.rows.filter(({ options }) => options.endsTrace === true).map(rowKey));
    let count = 0;
    visitVectors(readFileSync(new URL(`${table.name}.br`, VECTOR_FOLDER)), ({ key, encoding, initial, expected }) => {
      if (encoding.mode !== 64 || encoding.codeOffset !== CODE_OFFSET || jumps.has(key) || count++ % CASE_STRIDE !== 0) return;
      const end = BigInt(CODE_BASE + CODE_OFFSET + encoding.bytes.length + 1);
      if (!completes(expected) || expected.record.getBigUint64(RESULT.rip, true) !== end) return;
      all.push({ bytes: encoding.bytes, initial: new DataView(initial.buffer.slice(0, CASE.size)) });
    });
  }
  return all;
}

/** Draws a sequence; before one instruction in four stands a conditional jump over it. */
function drawSequence(random: Random, material: readonly Material[]): Uint8Array {
  const bytes: number[] = [];
  for (let count = 2 + random.below(INSTRUCTIONS_MAX - 1); count > 0; count--) {
    const next = random.pick(material).bytes;
    if (random.oneIn(4)) bytes.push(0x70 + random.below(16), next.length);
    bytes.push(...next);
  }
  return Uint8Array.from(bytes);
}

function describeOutcome({ record, changes }: Outcome): string {
  const words = Array.from({ length: RESULT.size / 8 }, (_, index) => record.getBigUint64(index * 8, true).toString(16));
  return `${words.join(" ")} | ${changes.map(({ address, value }) => `${address.toString(16)}=${value.toString(16)}`).join(" ")}`;
}

describe("translated sequences of instructions do what the interpreter does", () => {
  let material: Material[];
  let withoutMemory: Material[];
  let interpreted: DifferentialMachine;
  let translated: DifferentialMachine;
  before(async () => {
    const module = await compileCore(readFileSync(CORE_WASM));
    [interpreted, translated] = [new DifferentialMachine(module), new DifferentialMachine(module, true)];
    material = await collectMaterial();
    withoutMemory = material.filter((instruction) => needsNoMemory(interpreted, instruction));
  });

  test(`${SEQUENCES} sequences from ${STATES_PER_SEQUENCE} states each`, () => {
    const random = new Random(SEED);
    let completed = 0;
    for (let index = 0; index < SEQUENCES; index++) {
      const sequence = drawSequence(random, random.oneIn(2) ? material : withoutMemory);
      for (let state = 0; state < STATES_PER_SEQUENCE; state++) {
        const { initial } = random.pick(material);
        const [expected, actual] = [interpreted.run(initial, sequence), translated.run(initial, sequence)];
        if (completes(expected)) completed++;
        assert.equal(describeOutcome(actual), describeOutcome(expected), `sequence ${index}, state ${state}: ${bytesText(sequence)}`);
      }
    }
    const runs = SEQUENCES * STATES_PER_SEQUENCE;
    console.log(`sequences: ${runs} runs, ${completed} to the end, the others to a fault; ${translated.translatedRegions} regions`);
    assert.ok(completed > runs / 4, `expected a quarter of ${runs} runs to reach the end, got ${completed}`);
  });
});
