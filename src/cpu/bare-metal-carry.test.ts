/** CF through INC and DEC, which leave it as it is: whoever set it, in another block or in this one, and whoever reads it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { doublewordBytes, listing, type Listing } from "./bare-metal/listing.js";
import { ROUNDS, runAll } from "./bare-metal/tiers.js";
import { RAX, RBX, RCX } from "./index.js";

const AT = 0x10000;
/** Begins another block. */
const NEXT = "eb 00  jmp next";

/** What sets CF, now so, now so, by the count in RCX. */
const SETTERS = {
  comparison: "48 81 f9 e8 03 00 00  cmp rcx, 1000",
  "bit test": "48 0f ba e1 00  bt rcx, 0",
  "addition of bytes": `89 ca  mov edx, ecx
    80 c2 80  add dl, 0x80`,
  shift: `89 ca  mov edx, ecx
    c1 e2 1f  shl edx, 31`,
  negation: `89 ca  mov edx, ecx
    83 e2 01  and edx, 1
    f7 da  neg edx`,
  multiplication: `89 ca  mov edx, ecx
    69 d2 00 00 10 00  imul edx, edx, 0x100000`,
  "subtraction with borrow": `89 ca  mov edx, ecx
    83 e2 01  and edx, 1
    83 da 01  sbb edx, 1`,
} as const;

const STEPS = {
  "a register": "48 ff c0  inc rax",
  "a byte": "fe c8  dec al",
  "memory": "48 ff 0c 25 00 00 02 00  dec qword ptr [0x20000]",
  "memory, locked": "f0 48 ff 04 25 00 00 02 00  lock inc qword ptr [0x20000]",
  "a register twice": `ff c0  inc eax
    48 ff c8  dec rax`,
} as const;

const READERS = {
  "ADC": "48 83 d3 00  adc rbx, 0",
  "all flags": `9c  pushfq
    5a  pop rdx
    48 01 d3  add rbx, rdx`,
  "a jump": `72 04  jb past
    48 83 c3 03  add rbx, 3`,
  "another comparison's jump": `7c 04  jl past
    48 83 c3 05  add rbx, 5`,
} as const;

/** A loop of `lines`; in one with `isCalling` registers and flags are at home in memory between the blocks, else in locals. */
function loop(lines: readonly string[], isCalling: boolean): Listing {
  const call = "e8 02 00 00 00  call leaf", leaf = `eb 01  jmp behind
    c3  leaf: ret`;
  const body = [...lines, ...(isCalling ? [call, leaf] : []), "48 ff c9  dec rcx"].join("\n");
  const size = listing(AT, body).bytes.length;
  return listing(AT, `${body}
    0f 85 ${doublewordBytes(-size - 6)}  jnz again
    f4  hlt
  `);
}

for (const [setter, sets] of Object.entries(SETTERS)) {
  test(`CF of a ${setter} is as it was behind INC and DEC`, () => {
    for (const steps of Object.values(STEPS)) for (const isCalling of [false, true]) {
      for (const begin of [[sets, NEXT, steps, NEXT], [sets, NEXT, steps], [sets, steps, NEXT], [sets, NEXT, steps, NEXT, steps]]) {
        const lines = Object.values(READERS).flatMap((reads) => [...begin, reads]);
        const { machine } = runAll(loop(lines, isCalling), { [RCX]: ROUNDS, [RAX]: 0x7fff_ffff_ffff_f800n, [RBX]: 0 });
        const { regions, entries } = machine.state.translation;
        // A turn's budget is some rounds.
        assert.ok(regions > 0 && entries > 0 && entries < ROUNDS / 2, `expected the loop to run in regions, got ${regions} regions, ${entries} entries`);
        assert.equal(machine.state.gpr(RCX), 0n);
      }
    }
  });
}
