import assert from "node:assert/strict";
import { test } from "node:test";
import { KVM_EPERM, KVM_ENOSYS, KVM_HC_KICK_CPU, KVM_HC_SEND_IPI, KVM_HC_VAPIC_POLL_IRQ } from "../abi/kvm/index.js";
import { TestKvm } from "./testing/test-kvm.js";

test("calls that are not there answer -KVM_ENOSYS, calls of programs -KVM_EPERM, and all are counted by name", () => {
  const kvm = new TestKvm();
  assert.equal(kvm.domain.hypercall(KVM_HC_VAPIC_POLL_IRQ, 0), 0);
  for (const number of [0, KVM_HC_KICK_CPU, KVM_HC_SEND_IPI, 30, 31, 1000, 0xffff_ffff]) assert.equal(kvm.domain.hypercall(number, 0), -KVM_ENOSYS);
  assert.equal(kvm.domain.hypercall(KVM_HC_VAPIC_POLL_IRQ, 3), -KVM_EPERM);
  assert.deepEqual(kvm.domain.hypercallCounts(), {
    hypercall_0: 1, KVM_HC_VAPIC_POLL_IRQ: 2, KVM_HC_KICK_CPU: 1, KVM_HC_SEND_IPI: 1, hypercall_30: 1, "hypercalls from 31 on": 3,
  });
  kvm.close();
});

test("registers that are not KVM's are refused", () => {
  const kvm = new TestKvm();
  for (const msr of [0x10, 0x4b56_4d02, 0x4b56_4d05, 0x4b56_4d06, 0x4b56_4d08]) {
    assert.equal(kvm.domain.readMsr(0, msr), undefined);
    assert.equal(kvm.domain.writeMsr(0, msr, 1n), false);
  }
  kvm.close();
});
