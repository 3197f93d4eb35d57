/**
 * The profile of a guest whose work is known: a program of ours that goes round one loop of user space so many times, and dd of the
 * kernel's random numbers, which come from one function. Each must have the share of instructions that it is known to have run, in both tiers,
 * and nothing else may come before them.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { bootGuest, runInGuest } from "../support/guest.mjs";

/** @typedef {import("../../../dist/machine/index.js").SpeedscopeFile} SpeedscopeFile */

const SPIN_ROUNDS = 60_000_000;
/** Where the program is linked; its loop is in the same page. */
const SPIN_PAGE = 0x40_0000;
const HEADERS_BYTES = 64 + 56;

/** A static ELF program for x86-64: `mov ecx, SPIN_ROUNDS; dec ecx; jnz` back; then exit(0). */
function spinProgram() {
  const code = Buffer.from("b900000000" + "ffc9" + "75fc" + "b83c000000" + "31ff" + "0f05", "hex");
  code.writeUInt32LE(SPIN_ROUNDS, 1);
  const file = Buffer.alloc(HEADERS_BYTES + code.length);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  // e_type, e_machine, e_version, e_entry, e_phoff, e_ehsize, e_phentsize, e_phnum; then one PT_LOAD, readable and executable.
  for (const [offset, value] of [[16, 2], [18, 62], [20, 1], [24, SPIN_PAGE + HEADERS_BYTES], [32, 64], [52, 64], [54, 56], [56, 1],
    [64, 1], [68, 5], [80, SPIN_PAGE], [88, SPIN_PAGE], [96, file.length], [104, file.length], [112, 4096]]) file.writeUInt32LE(value, offset);
  file.writeUInt16LE(62, 18);
  file.writeUInt32LE(1, 20);
  file.set(code, HEADERS_BYTES);
  return file;
}

/**
 * Instructions by stack, all vCPUs together, most first.
 * @param {SpeedscopeFile} file
 */
function instructionsByStack({ shared, profiles }) {
  /** @type {Map<string, number>} */
  const sums = new Map();
  for (const { samples, weights } of profiles) {
    samples.forEach((stack, index) => {
      const name = stack.map((frame) => shared.frames[frame]?.name).join(" > ");
      sums.set(name, (sums.get(name) ?? 0) + (weights[index] ?? 0));
    });
  }
  return [...sums].sort(([, a], [, b]) => b - a);
}

for (const tier of /** @type {const} */ (["both", "interpreter"])) {
  test(`a loop of a program and a function of the kernel have their instructions in the profile (${tier})`, async () => {
    const vm = await bootGuest({ tier, profile: true, files: [{ path: "/spin", mode: 0o755, bytes: spinProgram() }] });
    assert.equal(vm.profile(), undefined);
    try {
      assert.equal((await runInGuest(vm, "/spin && dd if=/dev/urandom of=/dev/null bs=64k count=64")).exitCode, 0);
    } finally {
      await vm.dispose();
    }
    const file = vm.profile();
    assert.ok(file !== undefined);
    const top = instructionsByStack(file);
    const [first, second] = top;
    const all = JSON.stringify(top.slice(0, 8));
    assert.equal(first?.[0], `user > spin > 0x${SPIN_PAGE.toString(16)}`, all);
    const expected = 2 * SPIN_ROUNDS;
    assert.ok(Math.abs(first[1] - expected) < expected / 20, `expected about ${expected} instructions: ${all}`);
    assert.match(second?.[0] ?? "", /^kernel > dd > chacha_(?:permute|block_generic)$/, all);
    const { interpreter, translator } = vm.stats().instructions;
    const sampled = top.reduce((sum, [, weight]) => sum + weight, 0);
    assert.ok(sampled > (interpreter + translator) * 0.98 && sampled <= interpreter + translator, `${sampled} of ${interpreter + translator}`);
  });
}
