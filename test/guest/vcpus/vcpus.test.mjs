/**
 * Several virtual processors.
 *
 * What: Debian's kernel brings all of them up, work spread over them gives the results that one gives, a processor goes offline and
 * comes back, code that one processor changes is seen by the others (module-free ways to have the kernel patch itself: tracing
 * and static keys), and nothing in the kernel's log complains.
 * How it can tell: counts from the guest, checksums against node:crypto, the timer interrupts of each processor, the log.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { askGuest, bootGuest } from "../support/guest.mjs";
import { timeLimit } from "../support/tier.mjs";

const TIMEOUT_MS = timeLimit(300_000);
const MIB = 1 << 20;
const COMPLAINTS = /BUG|WARNING|Call Trace|soft lockup|rcu.*stall|hung task|Oops/;

for (const vcpus of [2, 4]) {
  test(`${vcpus} vCPUs come up, share work, leave and come back`, { timeout: TIMEOUT_MS }, async (t) => {
    const vm = await bootGuest({ vcpus });
    t.after(() => vm.dispose());
    assert.equal(await askGuest(vm, "nproc"), String(vcpus));

    // Checksums on all processors at once.
    const expected = createHash("sha256").update(Buffer.alloc(4 * MIB)).digest("hex");
    const sums = await askGuest(vm, `for i in $(seq ${2 * vcpus}); do (dd if=/dev/zero bs=1M count=4 2>/dev/null | sha256sum) & done; wait`);
    assert.deepEqual(sums.split("\n"), new Array(2 * vcpus).fill(`${expected}  -`));

    // Processes that start and end on all of them.
    const total = await askGuest(vm, "for j in $(seq 4); do (n=0; for i in $(seq 60); do n=$((n + $(echo $i))); done; echo $n) & done; wait");
    assert.deepEqual(total.split("\n"), new Array(4).fill("1830"));

    // The kernel patches its own text while the others run it.
    await askGuest(vm, "mount -t tracefs none /sys/kernel/tracing; (for i in $(seq 400); do echo $i | md5sum; done > /dev/null) & "
      + "for i in 1 2 3; do echo 1 > /sys/kernel/tracing/events/sched/enable; echo 0 > /sys/kernel/tracing/events/sched/enable; done; wait");

    const last = vcpus - 1;
    await askGuest(vm, `echo 0 > /sys/devices/system/cpu/cpu${last}/online`);
    assert.equal(await askGuest(vm, "nproc"), String(vcpus - 1));
    await askGuest(vm, `echo 1 > /sys/devices/system/cpu/cpu${last}/online`);
    assert.equal(await askGuest(vm, "nproc"), String(vcpus));
    await askGuest(vm, `taskset ${(1 << last).toString(16)} sh -c 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done'`);

    const timers = [...(await askGuest(vm, "grep timer /proc/interrupts")).matchAll(/timer(\d+)$/gm)];
    assert.equal(timers.length, vcpus, "a timer for each processor");
    assert.doesNotMatch(await askGuest(vm, "dmesg"), COMPLAINTS);
    const { vcpus: counters } = vm.stats();
    assert.equal(counters.length, vcpus);
    for (const { instructions } of counters) assert.ok(instructions > 1e6, `each vCPU has run instructions, got ${instructions}`);
  });
}
