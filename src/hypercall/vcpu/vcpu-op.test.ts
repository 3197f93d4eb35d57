/** vcpu_op: timers, run state areas of any alignment, the user-visible clock, up and down. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { gfnOf, gpaOf } from "../../abi/address.js";
import {
  __HYPERVISOR_event_channel_op, __HYPERVISOR_set_timer_op, __HYPERVISOR_vcpu_op, __HYPERVISOR_vm_assist, EFAULT, EINVAL,
  ENOENT, ENOSYS, ETIME, evtchn_bind_virq, EVTCHNOP_bind_virq, RUNSTATE_blocked, RUNSTATE_running, vcpu_runstate_info,
  vcpu_set_singleshot_timer, vcpu_time_info, VCPU_SSHOTTMR_future, VCPUOP_down, VCPUOP_get_runstate_info, VCPUOP_is_up,
  VCPUOP_register_runstate_memory_area, VCPUOP_register_vcpu_time_memory_area, VCPUOP_send_nmi, VCPUOP_set_periodic_timer,
  VCPUOP_set_singleshot_timer, VCPUOP_stop_periodic_timer, VCPUOP_stop_singleshot_timer, VCPUOP_up, VIRQ_TIMER,
} from "../../abi/xen/index.js";
import { ARGUMENT_GVA, structOf, TestDomain, UNMAPPED_GVA } from "../testing/test-domain.js";

function withDomain(body: (domain: TestDomain) => void): () => void {
  return () => {
    const domain = new TestDomain();
    body(domain);
    domain.close();
  };
}

function vcpuOp(domain: TestDomain, operation: number, vcpu: number, caller = vcpu): number {
  return domain.call(__HYPERVISOR_vcpu_op, [operation, vcpu, ARGUMENT_GVA], caller);
}

function setSingleshot(domain: TestDomain, deadline: number, flags = 0, vcpu = 0, caller = vcpu): number {
  domain.put(structOf(16, [vcpu_set_singleshot_timer.timeout_abs_ns, 8, deadline], [vcpu_set_singleshot_timer.flags, 4, flags]));
  return vcpuOp(domain, VCPUOP_set_singleshot_timer, vcpu, caller);
}

function bindTimer(domain: TestDomain, vcpu: number): number {
  domain.put(structOf(12, [evtchn_bind_virq.virq, 4, VIRQ_TIMER], [evtchn_bind_virq.vcpu, 4, vcpu]));
  assert.equal(domain.call(__HYPERVISOR_event_channel_op, [EVTCHNOP_bind_virq, ARGUMENT_GVA]), 0);
  return domain.answer(12).u32(evtchn_bind_virq.port);
}

test("the one-shot timer is due at its time and not before, on its vCPU only", withDomain((test) => {
  assert.equal(test.domain.timerDeadlineNs(0), Infinity);
  assert.equal(setSingleshot(test, 5_000_000), 0);
  assert.equal(test.domain.timerDeadlineNs(0), 5_000_000);
  assert.equal(test.domain.timerDeadlineNs(1), Infinity);
  test.nowNs = 4_999_999;
  assert.equal(test.domain.fireTimer(0), false);
}));

test("the timer raises its port and is then disarmed", withDomain((test) => {
  bindTimer(test, 1);
  setSingleshot(test, 5_000_000, 0, 1);
  test.nowNs = 5_000_000;
  const pages = structOf(24, [0, 2, 0x7ff0], [16, 8, 1]);
  test.put(pages);
  assert.equal(test.call(12, [7, ARGUMENT_GVA]), 0);
  assert.equal(test.domain.fireTimer(1), true);
  assert.ok(test.domain.upcallPending(1));
  assert.deepEqual(test.kicks, [1]);
  assert.equal(test.domain.timerDeadlineNs(1), Infinity);
  assert.equal(test.domain.fireTimer(1), false);
}));

test("a deadline in the past is due at once, unless the guest wants -ETIME", withDomain((test) => {
  assert.equal(setSingleshot(test, 10), 0);
  assert.equal(test.domain.fireTimer(0), true);
  assert.equal(setSingleshot(test, 10, VCPU_SSHOTTMR_future), -ETIME);
  assert.equal(test.domain.timerDeadlineNs(0), Infinity);
}));

test("one-shot timers are for oneself; stop disarms; set_timer_op is the same timer", withDomain((test) => {
  assert.equal(setSingleshot(test, 9e6, 0, 1, 0), -EINVAL);
  setSingleshot(test, 9e6);
  assert.equal(vcpuOp(test, VCPUOP_stop_singleshot_timer, 1, 0), -EINVAL);
  assert.equal(vcpuOp(test, VCPUOP_stop_singleshot_timer, 0), 0);
  assert.equal(test.domain.timerDeadlineNs(0), Infinity);
  assert.equal(test.call(__HYPERVISOR_set_timer_op, [7e6]), 0);
  assert.equal(test.domain.timerDeadlineNs(0), 7e6);
  assert.equal(test.call(__HYPERVISOR_set_timer_op, [0]), 0);
  assert.equal(test.domain.timerDeadlineNs(0), Infinity);
}));

test("the periodic timer fires again and again until it is stopped", withDomain((test) => {
  test.put(structOf(8, [0, 8, 999_999]));
  assert.equal(vcpuOp(test, VCPUOP_set_periodic_timer, 0), -EINVAL);
  test.put(structOf(8, [0, 8, 2_000_000]));
  assert.equal(vcpuOp(test, VCPUOP_set_periodic_timer, 0), 0);
  assert.equal(test.domain.timerDeadlineNs(0), 3_000_000);
  test.nowNs = 3_000_000;
  assert.equal(test.domain.fireTimer(0), true);
  assert.equal(test.domain.timerDeadlineNs(0), 5_000_000);
  assert.equal(vcpuOp(test, VCPUOP_stop_periodic_timer, 0), 0);
  assert.equal(test.domain.timerDeadlineNs(0), Infinity);
}));

test("vCPUs that do not exist are -ENOENT, operations -ENOSYS, bad pointers -EFAULT", withDomain((test) => {
  assert.equal(vcpuOp(test, VCPUOP_stop_periodic_timer, 2, 0), -ENOENT);
  assert.equal(vcpuOp(test, VCPUOP_is_up, 0xffff_ffff, 0), -ENOENT);
  assert.equal(vcpuOp(test, 0, 0), -ENOSYS);
  for (const operation of [VCPUOP_set_singleshot_timer, VCPUOP_register_runstate_memory_area, VCPUOP_get_runstate_info]) {
    assert.equal(test.call(__HYPERVISOR_vcpu_op, [operation, 0, UNMAPPED_GVA]), -EFAULT);
  }
}));

/** The area as the guest reads it. */
function area(test: TestDomain, gpa: number): { state: number; entry: bigint; times: bigint[] } {
  const fields = test.get(gpa, vcpu_runstate_info.size);
  return {
    state: fields.u32(vcpu_runstate_info.state), entry: fields.u64(vcpu_runstate_info.state_entry_time),
    times: [0, 1, 2, 3].map((state) => fields.u64(vcpu_runstate_info.time + 8 * state)),
  };
}

for (const isFlagged of [false, true]) {
  for (const gpa of [0x5000, 0x5003, 0x6000 - 48, 0x6000 - 1, 0x6000 - 8, 0x6000 - 9, 0x6000 - 15, 0x6000 - 16, 0x6000 - 47]) {
    test(`run states reach an area at ${gpa.toString(16)}, update flag ${isFlagged}`, withDomain((test) => {
      if (isFlagged) assert.equal(test.call(__HYPERVISOR_vm_assist, [0, 5]), 0);
      test.put(structOf(8, [0, 8, gpa]));
      assert.equal(vcpuOp(test, VCPUOP_register_runstate_memory_area, 0), 0);
      assert.equal(area(test, gpa).state, RUNSTATE_running);
      test.nowNs = 1_500_000;
      test.domain.setRunstate(0, RUNSTATE_blocked);
      test.nowNs = 1_700_000;
      test.domain.setRunstate(0, RUNSTATE_running);
      assert.deepEqual(area(test, gpa), { state: RUNSTATE_running, entry: 1_700_000n, times: [500_000n, 0n, 200_000n, 0n] });
      assert.deepEqual([test.get(gpa - 1, 1).bytes[0], test.get(gpa + 48, 1).bytes[0]], [0, 0]);
    }));
  }
}

test("a run state area that leaves mapped memory is -EFAULT", withDomain((test) => {
  for (const gva of [UNMAPPED_GVA, UNMAPPED_GVA - 24n, 0x40_0000 - 24, 0x9000_0000]) {
    test.put(structOf(8, [0, 8, gva]));
    assert.equal(vcpuOp(test, VCPUOP_register_runstate_memory_area, 0), -EFAULT, String(gva));
  }
  test.domain.setRunstate(0, RUNSTATE_blocked);
}));

test("get_runstate_info includes the running span", withDomain((test) => {
  test.nowNs = 1_250_000;
  assert.equal(vcpuOp(test, VCPUOP_get_runstate_info, 0), 0);
  assert.equal(test.answer(48).u64(vcpu_runstate_info.time), 250_000n);
}));

test("the user-visible clock page gets the time info, over two pages too", withDomain((test) => {
  for (const gpa of [0x7000, 0x8ff0]) {
    test.put(structOf(8, [0, 8, gpa]));
    assert.equal(vcpuOp(test, VCPUOP_register_vcpu_time_memory_area, 0), 0);
    assert.equal(test.get(gpa, 32).u32(vcpu_time_info.tsc_to_system_mul), 0x8000_0000);
    assert.equal(test.get(gpa, 32).bytes[vcpu_time_info.flags], 1);
  }
  test.put(structOf(8, [0, 8, UNMAPPED_GVA]));
  assert.equal(vcpuOp(test, VCPUOP_register_vcpu_time_memory_area, 0), -EFAULT);
}));

test("vCPUs are up once started; down asks the run loop; up wakes", withDomain((test) => {
  assert.equal(vcpuOp(test, VCPUOP_is_up, 0), 1);
  assert.equal(vcpuOp(test, VCPUOP_is_up, 1, 0), 0);
  assert.equal(vcpuOp(test, VCPUOP_up, 1, 0), -EINVAL);
  test.domain.markVcpuUp(1, true);
  assert.equal(vcpuOp(test, VCPUOP_down, 1), 0);
  assert.deepEqual(test.domain.takeSchedulingRequest(1), { kind: "down" });
  assert.equal(test.domain.isVcpuUp(1), false);
  assert.equal(vcpuOp(test, VCPUOP_up, 1, 0), 0);
  assert.deepEqual(test.kicks, [1]);
}));

test("send_nmi is seen once by its vCPU", withDomain((test) => {
  assert.equal(vcpuOp(test, VCPUOP_send_nmi, 1, 0), 0);
  assert.deepEqual([test.domain.takeNmi(0), test.domain.takeNmi(1), test.domain.takeNmi(1)], [false, true, false]);
  assert.deepEqual(test.kicks, [1]);
}));

test("a physical area stays written after its page moved to another frame", withDomain((test) => {
  test.put(structOf(8, [0, 8, 0x5ff0]));
  vcpuOp(test, VCPUOP_register_runstate_memory_area, 0);
  test.guest.write(gpaOf(0x5000), Uint8Array.of(9));
  assert.equal(test.host.moveFrames([gfnOf(5)]).moved, 1);
  test.nowNs = 2_000_000;
  test.domain.setRunstate(0, RUNSTATE_blocked);
  assert.equal(area(test, 0x5ff0).state, RUNSTATE_blocked);
}));

test("a run state area registered again with another rest in the same second page is written whole", withDomain((test) => {
  for (const gpa of [0x6000 - 47, 0x6000 - 8, 0x6000 - 32, 0x6000]) {
    test.put(structOf(8, [0, 8, gpa]));
    assert.equal(vcpuOp(test, VCPUOP_register_runstate_memory_area, 0), 0);
    test.nowNs += 1000;
    test.domain.setRunstate(0, RUNSTATE_blocked);
    test.nowNs += 1000;
    test.domain.setRunstate(0, RUNSTATE_running);
    assert.equal(area(test, gpa).entry, BigInt(test.nowNs));
  }
}));
