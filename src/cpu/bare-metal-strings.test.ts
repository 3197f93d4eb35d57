/** Long REP MOVS and REP STOS, in both tiers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { listing } from "./bare-metal/listing.js";
import { runAll } from "./bare-metal/tiers.js";
import { RAX, RBX, RCX, RDI, RDX } from "./index.js";

const RBP = 5;
const SOURCE = 0x1_3000;
const DESTINATION = 0x2_4000;
/** More than is done before interrupts are looked at (strings.ts, STEP_BYTES), so that the rest begins a page. */
const LENGTH = 0x1_0b98;
const COPIES = 100;

/** Copies again and again, each time with the page behind 64 KiB out of the TLB. */
const COPIES_FAR = listing(0x1_0000, `
  48 89 d1                 again: mov rcx, rdx
  48 89 de                 mov rsi, rbx
  48 89 ef                 mov rdi, rbp
  f3 a4                    rep movsb
  0f 01 3c 25 00 40 03 00  invlpg [0x34000]
  48 ff c8                 dec rax
  75 e8                    jnz again
  f4                       hlt
`);

test("a REP MOVSB looks for interrupts behind as many bytes, whatever pages the TLB has", () => {
  const { machine } = runAll(COPIES_FAR, { [RDX]: LENGTH, [RBX]: SOURCE, [RBP]: DESTINATION, [RAX]: COPIES }, {
    prepare: (bare) => bare.load(listing(SOURCE + LENGTH - 4, "  de ad be ef  the last bytes")),
  });
  assert.equal(machine.state.gpr(RCX), 0n);
  assert.deepEqual([...machine.read(DESTINATION + LENGTH - 4, 4)], [0xde, 0xad, 0xbe, 0xef]);
});

const VALUE = 0x8877_6655_4433_2211n;
for (const [size, bytes] of [[1, "f3 aa"], [2, "66 f3 ab"], [4, "f3 ab"], [8, "f3 48 ab"]] as const) {
  test(`a REP STOS of ${size * 8} bits over a page's end fills with RAX, whole elements and no more`, () => {
    const at = DESTINATION + 0xfe3;
    const count = 700;
    const { machine } = runAll(listing(0x1_0000, `${bytes}  rep stos\n f4  hlt`), { [RAX]: VALUE, [RCX]: count, [RDI]: at });
    const element = Array.from({ length: size }, (_, index) => Number((VALUE >> BigInt(8 * index)) & 0xffn));
    assert.deepEqual([...machine.read(at - 1, count * size + 2)], [0, ...Array.from({ length: count }, () => element).flat(), 0]);
    assert.equal(machine.state.gpr(RDI), BigInt(at + count * size));
  });
}
