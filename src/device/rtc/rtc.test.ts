import assert from "node:assert/strict";
import { test } from "node:test";
import { KVM_BLOCK_BASE, KVM_BLOCK_SIZE, KVM_DOMAIN } from "../../abi/kvm-block.js";
import { Rtc } from "./rtc.js";

function create(utc: string, nowNs = 0): (register: number) => number {
  const pages = Math.ceil((KVM_BLOCK_BASE + KVM_BLOCK_SIZE) / 65536);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const view = new DataView(memory.buffer, KVM_BLOCK_BASE);
  const ms = Date.parse(utc);
  view.setBigInt64(KVM_DOMAIN.wallSeconds, BigInt(Math.floor(ms / 1000)), true);
  view.setUint32(KVM_DOMAIN.wallNanoseconds, (ms % 1000) * 1e6, true);
  const rtc = new Rtc(memory, { nowNs: () => nowNs });
  return (register) => {
    rtc.select(register);
    return rtc.read();
  };
}

const dateOf = (read: (register: number) => number): string => [9, 8, 7, 4, 2, 0].map((register) => read(register).toString(16).padStart(2, "0")).join(" ");

test("it shows the UTC of VM start and what has passed since, in BCD", () => {
  assert.equal(dateOf(create("2026-11-27T15:09:59.750Z")), "26 11 27 15 09 59");
  assert.equal(dateOf(create("2026-11-27T15:09:59.750Z", 0.25e9)), "26 11 27 15 10 00");
  assert.equal(dateOf(create("2026-12-31T23:59:59.999Z", 1e6)), "27 01 01 00 00 00");
  assert.equal(create("2026-11-27T00:00:00Z")(6), 6, "a Friday");
});

test("it says how it counts, that it is right, and nothing else", () => {
  const read = create("2026-11-27T15:09:59Z");
  assert.deepEqual([read(0xa), read(0xb), read(0xc), read(0xd)], [0x26, 0x02, 0, 0x80]);
  assert.equal(read(0x8b), 0x02, "bit 7 of the index masks NMIs");
  for (const register of [1, 3, 5, 0xe, 0x32, 0x7f]) assert.equal(read(register), 0);
});
