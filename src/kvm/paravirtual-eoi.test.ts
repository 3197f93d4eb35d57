import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { MSR_KVM_PV_EOI_EN } from "../abi/kvm/index.js";
import { TestKvm } from "./testing/test-kvm.js";

const BYTE = 0x5004;

let kvm: TestKvm;
beforeEach(() => {
  kvm = new TestKvm();
  assert.ok(kvm.domain.writeMsr(0, MSR_KVM_PV_EOI_EN, BigInt(BYTE) | 1n));
});
afterEach(() => kvm.close());

test("an interrupt that the guest ends in memory has ended behind guest mode", () => {
  kvm.domain.enterGuest(0, kvm, 0x31);
  assert.equal(kvm.byte(BYTE), 1);
  kvm.put(BYTE, 0); // the guest's test and clear
  kvm.domain.leaveGuest(0, kvm);
  assert.equal(kvm.eois, 1);
  kvm.domain.leaveGuest(0, kvm);
  assert.equal(kvm.eois, 1, "once");
});

test("an interrupt that the guest has not ended goes on, and the offer is taken back", () => {
  kvm.domain.enterGuest(0, kvm, 0x31);
  kvm.domain.leaveGuest(0, kvm);
  assert.equal(kvm.eois, 0);
  assert.equal(kvm.byte(BYTE), 0);
});

test("nothing is offered while an EOI could mean another interrupt", () => {
  kvm.isSole = false;
  kvm.domain.enterGuest(0, kvm, 0x31);
  assert.equal(kvm.byte(BYTE), 0);
  kvm.domain.leaveGuest(0, kvm);
  assert.equal(kvm.eois, 0);
});

test("an entry that came to nothing ends nothing", () => {
  kvm.domain.enterGuest(0, kvm, 0x31);
  kvm.isSole = false;
  kvm.domain.enterGuest(0, kvm, 0x41);
  assert.equal(kvm.byte(BYTE), 0, "the offer for the first interrupt is gone");
  assert.equal(kvm.eois, 0);
});

test("other bits of the byte are the guest's", () => {
  kvm.put(BYTE, 0xf0);
  kvm.domain.enterGuest(0, kvm, 0x31);
  assert.equal(kvm.byte(BYTE), 0xf1);
  kvm.domain.leaveGuest(0, kvm);
  assert.equal(kvm.byte(BYTE), 0xf0);
});

test("switched off, misaligned, or without memory, nothing is offered", () => {
  assert.equal(kvm.domain.writeMsr(0, MSR_KVM_PV_EOI_EN, BigInt(BYTE + 2) | 1n), false);
  assert.ok(kvm.domain.writeMsr(0, MSR_KVM_PV_EOI_EN, 0n));
  kvm.domain.enterGuest(0, kvm, 0x31);
  assert.equal(kvm.byte(BYTE), 0);
  assert.ok(kvm.domain.writeMsr(0, MSR_KVM_PV_EOI_EN, 0x4000_0001n));
  kvm.domain.enterGuest(0, kvm, 0x31);
  kvm.domain.leaveGuest(0, kvm);
  assert.equal(kvm.eois, 0);
});

test("a vCPU that was started again has no offer left", () => {
  kvm.domain.enterGuest(0, kvm, 0x31);
  kvm.put(BYTE, 0);
  kvm.domain.markVcpuUp(0, true);
  kvm.domain.leaveGuest(0, kvm);
  assert.equal(kvm.eois, 0);
});
