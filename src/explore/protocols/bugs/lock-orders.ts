/**
 * Bugs that are circles of waiting, one variant each; the scenario without a variant is the order that was put in their place.
 *
 *     B14  processor 0: rq lock, then read_lock(gpc)             processor 1: write_lock(gpc), then wakes somebody: rq lock
 *     B19  vCPU: vcpu->mutex, then kvm->lock (EVTCHNOP_send)      VMM: kvm->lock, then vcpu->mutex
 *     B20  get_attr: xen_lock, then sends the timer's event: xen_lock
 *     B31  VMM: kvm->lock, then synchronize_srcu                 vCPU: in a section, then kvm->lock
 *     B36  slots_lock, synchronize_srcu | in a section, cpu_hotplug_lock, behind a waiting writer | cpu_hotplug_lock, kvm_lock, slots_lock
 *
 * Picture of B14:
 *
 *     sched_out, interrupts off                 refresher
 *     rq lock
 *                                               write_lock(gpc)
 *     read_lock(gpc): waits
 *                                               wakes a task: rq lock: waits
 *     -> two processors stand for ever
 */
import type { Scenario } from "../../model.js";
import type { Steps } from "../steps.js";
import {
  Words, add, load, lock, maySleep, noSleep, protocol, readDown, readUnlock, sleepUntil, spinLock, thread, tryLock, unlock, writeDown, writeUnlock,
} from "../steps.js";

/** B14, B19, B20, B31, B36. */
export const LOCK_ORDERS = protocol({
  name: "lock-orders",
  says: "orders of locks and grace periods around event delivery and run states",
  expected: "holds",
  variants: { "B14": "deadlock", "B19": "deadlock", "B20": "deadlock", "B31": "deadlock", "B36": "deadlock", "B36 fixed": "holds" },
  create,
});

function create(variant = ""): Scenario {
  if (variant.startsWith("B36")) return hotplugCircle(variant === "B36 fixed");
  const words = new Words();
  const [rqLock, gpcLock] = [words.word("rq lock"), words.word("gpc->lock")];
  const [vcpuMutex, kvmLock, xenLock] = [words.word("vcpu->mutex"), words.word("kvm->lock"), words.word("xen_lock")];
  const section = words.word("srcu section");

  function* schedOut(): Steps {
    yield noSleep();
    yield spinLock(rqLock);
    if (variant === "B14") yield* holdShortly(gpcLock);
    // Fixed: tried only; the guest sees an old run state until the next turn.
    else if ((yield tryLock(gpcLock)) === 1) yield unlock(gpcLock);
    yield unlock(rqLock);
    yield maySleep();
  }
  function* refresher(): Steps {
    yield spinLock(gpcLock);
    yield* holdShortly(rqLock);
    yield unlock(gpcLock);
  }
  function* vcpu(): Steps {
    yield lock(vcpuMutex);
    yield add(section, 1);
    if (variant === "B31") yield* holdShortly(kvmLock);
    yield add(section, 1);
    yield* sendEvent();
    yield unlock(vcpuMutex);
  }
  /** The slow path of a send: under the VM's big lock once, under a leaf lock after B19, under none after B20. */
  function* sendEvent(): Steps {
    if (variant === "B19") yield* holdShortly(kvmLock);
    if (variant === "B20") yield* holdShortly(xenLock);
  }
  function* vmm(): Steps {
    if (variant === "B20") {
      yield lock(xenLock);
      yield* sendEvent();
      yield unlock(xenLock);
      return;
    }
    yield lock(kvmLock);
    if (variant === "B31") yield* synchronize();
    else yield* holdShortly(vcpuMutex);
    yield unlock(kvmLock);
    if (variant !== "B31") yield* synchronize();
  }
  function* synchronize(): Steps {
    const seen = yield load(section);
    if (seen % 2 === 1) yield sleepUntil(section, (now) => now !== seen);
  }
  if (variant === "B14") return { words: words.list, threads: [thread("sched_out", schedOut), thread("refresher", refresher)] };
  return { words: words.list, threads: [thread("sched_out", schedOut), thread("refresher", refresher), thread("vCPU", vcpu), thread("VMM", vmm)] };
}

function* holdShortly(cell: number): Steps {
  yield spinLock(cell);
  yield unlock(cell);
}

/** B36: three threads and a writer that waits; a fair reader-writer semaphore keeps the second reader behind the writer. */
function hotplugCircle(isFixed: boolean): Scenario {
  const words = new Words();
  const [slotsLock, kvmLock, usageLock] = [words.word("slots_lock"), words.word("kvm_lock"), words.word("kvm_usage_lock")];
  const hotplug = words.word("cpu_hotplug_lock");
  const section = words.word("srcu section");
  return { words: words.list, threads: [
    thread("memslot updater", function* () {
      yield lock(slotsLock);
      const seen = yield load(section);
      if (seen % 2 === 1) yield sleepUntil(section, (now) => now !== seen);
      yield unlock(slotsLock);
    }),
    thread("vCPU", function* () {
      yield add(section, 1);
      yield readDown(hotplug);
      yield readUnlock(hotplug);
      yield add(section, 1);
    }),
    thread("hardware_enable", function* () {
      yield readDown(hotplug);
      // Fixed: the count of users has a mutex of its own, under which nobody needs slots_lock.
      yield lock(isFixed ? usageLock : kvmLock);
      if (!isFixed) yield lock(slotsLock);
      if (!isFixed) yield unlock(slotsLock);
      yield unlock(isFixed ? usageLock : kvmLock);
      yield readUnlock(hotplug);
    }),
    thread("hotplug", function* () {
      yield writeDown(hotplug);
      yield writeUnlock(hotplug);
    }),
  ] };
}
