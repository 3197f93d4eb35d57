import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { gfnOf } from "../abi/address.js";
import {
  MSR_KVM_SYSTEM_TIME, MSR_KVM_SYSTEM_TIME_NEW, MSR_KVM_WALL_CLOCK_NEW, PVCLOCK_GUEST_STOPPED, PVCLOCK_TSC_STABLE_BIT, pvclock_vcpu_time_info,
} from "../abi/kvm/index.js";
import { publishClock } from "./clock.js";
import { TestKvm } from "./testing/test-kvm.js";

const CLOCK = 0x5040;
const READING = { nowNs: 0x1_2345_6789, isStable: true, wasStopped: false };

let kvm: TestKvm;
beforeEach(() => (kvm = new TestKvm()));
afterEach(() => kvm.close());

/** What the guest computes (asm/pvclock.h) at TSC value `tsc`. */
function guestTime(tsc: bigint): bigint {
  const delta = (tsc - kvm.u64(CLOCK + 8)) << BigInt(kvm.byte(CLOCK + pvclock_vcpu_time_info.tsc_shift));
  return kvm.u64(CLOCK + 16) + ((delta * BigInt(kvm.u32(CLOCK + 24))) >> 32n);
}

test("the version is odd while anything changes, and the first and the last thing that is written", () => {
  const log = kvm.watch(CLOCK, 32, (view) => publishClock(view, READING));
  const stores = log.filter((line) => line.startsWith("store"));
  assert.equal(stores[0], "storeU32 0 1");
  assert.equal(stores.at(-1), "storeU32 0 2");
  assert.equal(stores.filter((line) => line.startsWith("storeU32 0 ")).length, 2);
  assert.ok(stores.length >= 8, log.join("\n"));
});

test("every access is atomic, so that the order is what other vCPUs see", () => {
  const log = kvm.watch(CLOCK, 32, (view) => publishClock(view, READING));
  assert.deepEqual(log.filter((line) => !/^(load|store)U/.test(line)), []);
});

test("the version goes on from what the page says, and ends even whatever that is", () => {
  for (const [before, after] of [[0, 2], [1, 4], [2, 4], [7, 10], [0xffff_ffff, 2], [0xffff_fffe, 0]] as const) {
    kvm.put(CLOCK, before & 0xff, (before >>> 8) & 0xff, (before >>> 16) & 0xff, before >>> 24);
    kvm.watch(CLOCK, 32, (view) => publishClock(view, READING));
    assert.equal(kvm.u32(CLOCK), after, `from ${before}`);
  }
});

test("GUEST_STOPPED stays until the guest clears it", () => {
  const flags = CLOCK + pvclock_vcpu_time_info.flags;
  kvm.put(flags, PVCLOCK_GUEST_STOPPED | 0x80);
  kvm.watch(CLOCK, 32, (view) => publishClock(view, READING));
  assert.equal(kvm.byte(flags), PVCLOCK_GUEST_STOPPED | PVCLOCK_TSC_STABLE_BIT);
  kvm.put(flags, 0);
  kvm.watch(CLOCK, 32, (view) => publishClock(view, READING));
  assert.equal(kvm.byte(flags), PVCLOCK_TSC_STABLE_BIT);
});

test("a guest that registers its clock reads the time since VM start out of it", () => {
  kvm.nowNs = 5_000_000_123.9;
  assert.ok(kvm.domain.writeMsr(0, MSR_KVM_SYSTEM_TIME_NEW, BigInt(CLOCK) | 1n));
  assert.equal(kvm.domain.readMsr(0, MSR_KVM_SYSTEM_TIME_NEW), BigInt(CLOCK) | 1n);
  assert.equal(kvm.byte(CLOCK + pvclock_vcpu_time_info.flags), PVCLOCK_TSC_STABLE_BIT);
  for (const tsc of [5_000_000_123n, 5_000_000_124n, 86_400_000_000_001n]) assert.equal(guestTime(tsc), tsc);
});

test("the clock's old register says nothing about the clocks of other vCPUs", () => {
  kvm.domain.writeMsr(0, MSR_KVM_SYSTEM_TIME, BigInt(CLOCK) | 1n);
  assert.equal(kvm.byte(CLOCK + pvclock_vcpu_time_info.flags), 0);
  assert.equal(guestTime(7_000_000_000n), 7_000_000_000n);
});

test("a clock that is switched off, misaligned, across two pages or nowhere is not written", () => {
  for (const value of [BigInt(CLOCK), BigInt(CLOCK + 2) | 1n, 0x5ff0n | 1n, 0x4000_0000n | 1n, (1n << 63n) | 1n]) {
    assert.ok(kvm.domain.writeMsr(0, MSR_KVM_SYSTEM_TIME_NEW, value), value.toString(16));
  }
  assert.deepEqual([...kvm.guest.read(0x5000 as never, 0x2000)!].filter((byte) => byte !== 0), []);
});

test("after a pause the guest is told that it stood still, once", () => {
  kvm.domain.writeMsr(0, MSR_KVM_SYSTEM_TIME_NEW, BigInt(CLOCK) | 1n);
  kvm.nowNs = 9e9;
  kvm.domain.resumed(0);
  const flags = CLOCK + pvclock_vcpu_time_info.flags;
  assert.equal(kvm.byte(flags) & PVCLOCK_GUEST_STOPPED, PVCLOCK_GUEST_STOPPED);
  assert.equal(guestTime(9_000_000_001n), 9_000_000_001n);
  assert.equal(kvm.u32(CLOCK), 4);
});

test("a clock whose page is moved goes on where the page is now", () => {
  kvm.domain.writeMsr(0, MSR_KVM_SYSTEM_TIME_NEW, BigInt(CLOCK) | 1n);
  kvm.host.moveFrames([gfnOf(CLOCK >> 12)]);
  kvm.nowNs = 3e9;
  kvm.domain.resumed(0);
  assert.equal(kvm.u64(CLOCK + pvclock_vcpu_time_info.system_time), 3_000_000_000n);
});

test("the wall clock is the UTC of VM start, by the same version protocol", () => {
  kvm.put(0x6000, 7);
  assert.ok(kvm.domain.writeMsr(0, MSR_KVM_WALL_CLOCK_NEW, 0x6000n));
  assert.deepEqual([kvm.u32(0x6000), kvm.u32(0x6004), kvm.u32(0x6008)], [10, 1_700_000_000, 123_000_000]);
  assert.ok(kvm.domain.writeMsr(0, MSR_KVM_WALL_CLOCK_NEW, 0x4000_0000n), "a wall clock without memory is taken");
});

test("a clock of a vCPU that was started again is not written any more", () => {
  kvm.domain.writeMsr(0, MSR_KVM_SYSTEM_TIME_NEW, BigInt(CLOCK) | 1n);
  kvm.domain.markVcpuUp(0, false);
  kvm.domain.markVcpuUp(0, true);
  kvm.domain.resumed(0);
  assert.equal(kvm.u32(CLOCK), 2);
  assert.equal(kvm.domain.readMsr(0, MSR_KVM_SYSTEM_TIME_NEW), 0n);
});
