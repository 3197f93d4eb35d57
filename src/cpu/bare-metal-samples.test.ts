/** What of a program is sampled, for the translator to know what is hot. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { listing } from "./bare-metal/listing.js";
import { BareMachine } from "./bare-metal/machine.js";
import { module } from "./bare-metal/tiers.js";
import { HEAT_OF_SAMPLE } from "../abi/layout.js";
import { RCX, vcpuStateAddress } from "./index.js";
import { TraceReader } from "./translator/traces.js";

const ROUNDS = 4000;
const ORIGIN = 0x1_1000;
/** A round is as many instructions as there would be between two samples if each part were as long as asked for: 40 (bare-metal/machine.ts), and the trace that overruns it. Five traces of ten. */
const LOOP = listing(ORIGIN, `
  90 90 90 90 90 90 90 90 90  again: nine nops
  eb 00                       jmp to the next
  90 90 90 90 90 90 90 90 90  nine nops
  eb 00                       jmp to the next
  90 90 90 90 90 90 90 90 90  nine nops
  eb 00                       jmp to the next
  90 90 90 90 90 90 90 90 90  nine nops
  eb 00                       jmp to the next
  90 90 90 90 90 90 90 90     eight nops
  48 ff c9                    dec rcx
  75 c7                       jnz again
  f4                          hlt
`);
const TRACE_BYTES = 11;

test("a loop of just as many instructions as there are between two samples is sampled in all of its traces alike", () => {
  const machine = new BareMachine(module, 1, { hotSamples: 2 * ROUNDS });
  // One turn: the next would begin with another trace.
  machine.budget = 100 * ROUNDS;
  machine.start("kernel64", LOOP);
  machine.state.setGpr(RCX, BigInt(ROUNDS));
  assert.equal(machine.run().exit, "hlt");
  const reader = new TraceReader(machine.memory, vcpuStateAddress(0));
  const samples = [0, 1, 2, 3, 4].map((trace) => reader.heat(reader.find(BigInt(ORIGIN + trace * TRACE_BYTES), () => true)!) / HEAT_OF_SAMPLE);
  const total = samples.reduce((sum, each) => sum + each, 0);
  assert.ok(total > ROUNDS / 2 && total < 2 * ROUNDS, `expected about a sample a round, got ${total}`);
  for (const each of samples) assert.ok(each > total / 10 && each < total / 2.5, `expected about a fifth of the samples for each trace, got ${samples.join()}`);
});
