import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { KVM_VCPU_FLUSH_TLB, KVM_VCPU_PREEMPTED, MSR_KVM_STEAL_TIME } from "../abi/kvm/index.js";
import { RUNSTATE_blocked, RUNSTATE_running } from "../abi/xen/index.js";
import { addSteal, markPreempted, takePreempted } from "./steal-time.js";
import { TestKvm } from "./testing/test-kvm.js";

const AREA = 0x5040;
const PREEMPTED = AREA + 16;
const APIC_UNUSED = { hasSoleInterrupt: () => false, endInterrupt: () => undefined };

let kvm: TestKvm;
beforeEach(() => (kvm = new TestKvm()));
afterEach(() => kvm.close());

function register(): void {
  assert.ok(kvm.domain.writeMsr(0, MSR_KVM_STEAL_TIME, BigInt(AREA) | 1n));
}

test("a vCPU shows as preempted while it sleeps, and not while it runs", () => {
  register();
  assert.equal(kvm.byte(PREEMPTED), 0);
  kvm.domain.setRunstate(0, RUNSTATE_blocked);
  assert.equal(kvm.byte(PREEMPTED), KVM_VCPU_PREEMPTED);
  assert.equal(kvm.domain.runstate(0), RUNSTATE_blocked);
  kvm.domain.setRunstate(0, RUNSTATE_running);
  assert.equal(kvm.byte(PREEMPTED), 0);
  assert.equal(kvm.flushes, 0);
});

test("a TLB flush that another vCPU left is made before the vCPU runs", () => {
  register();
  kvm.domain.setRunstate(0, RUNSTATE_blocked);
  kvm.put(PREEMPTED, KVM_VCPU_PREEMPTED | KVM_VCPU_FLUSH_TLB);
  kvm.domain.setRunstate(0, RUNSTATE_running);
  assert.equal(kvm.flushes, 1);
  assert.equal(kvm.byte(PREEMPTED), 0);
});

test("FLUSH_TLB is not lost: the byte is taken by one exchange on the guest's page, and marked by one OR", () => {
  assert.deepEqual(kvm.watch(AREA, 64, (view) => void takePreempted(view)), ["exchangeU8 16 0 = 0"]);
  assert.deepEqual(kvm.watch(AREA, 64, markPreempted), ["orU32 16 1 = 0"]);
});

test("where the page is gone, a flush is made in case one was owed", () => {
  register();
  kvm.domain.setRunstate(0, RUNSTATE_blocked);
  kvm.host.removeMemslot(1);
  kvm.domain.setRunstate(0, RUNSTATE_running);
  assert.equal(kvm.flushes, 1);
});

test("a flush that is owed outlives another sleep", () => {
  register();
  kvm.put(PREEMPTED, KVM_VCPU_FLUSH_TLB);
  kvm.domain.setRunstate(0, RUNSTATE_blocked);
  assert.equal(kvm.byte(PREEMPTED), KVM_VCPU_FLUSH_TLB | KVM_VCPU_PREEMPTED);
  kvm.domain.setRunstate(0, RUNSTATE_running);
  assert.equal(kvm.flushes, 1);
});

test("the host's run delay since the registration is what was stolen", () => {
  kvm.runDelayNs = 1_000_000.5;
  register();
  assert.equal(kvm.u64(AREA), 0n);
  kvm.runDelayNs = 1_250_000.25;
  kvm.domain.setRunstate(0, RUNSTATE_blocked);
  kvm.domain.setRunstate(0, RUNSTATE_running);
  assert.equal(kvm.u64(AREA), 250_000n);
  kvm.domain.setRunstate(0, RUNSTATE_running);
  assert.equal(kvm.u64(AREA), 250_000n, "nothing is counted twice");
});

test("a vCPU that does not sleep publishes now and then", () => {
  register();
  kvm.runDelayNs = 77;
  kvm.domain.enterGuest(0, APIC_UNUSED, -1);
  assert.equal(kvm.u64(AREA), 0n, "not at every entry");
  kvm.nowNs += 10e6;
  kvm.domain.enterGuest(0, APIC_UNUSED, -1);
  assert.equal(kvm.u64(AREA), 77n);
});

test("the version is odd while the stolen time changes", () => {
  const log = kvm.watch(AREA, 64, (view) => addSteal(view, 5n));
  assert.deepEqual(log.filter((line) => line.startsWith("store")), ["storeU32 8 1", "storeU64 0 5", "storeU32 8 2"]);
});

test("reserved bits are refused, and an area that is switched off is left alone", () => {
  assert.equal(kvm.domain.writeMsr(0, MSR_KVM_STEAL_TIME, BigInt(AREA) | 0x21n), false);
  register();
  const version = kvm.u32(AREA + 8);
  assert.ok(kvm.domain.writeMsr(0, MSR_KVM_STEAL_TIME, 0n));
  kvm.domain.setRunstate(0, RUNSTATE_blocked);
  assert.equal(kvm.byte(PREEMPTED), 0);
  assert.equal(kvm.u32(AREA + 8), version);
});
