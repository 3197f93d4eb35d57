/**
 * (d) The mail of December 2020: no pin; the notifier clears the pointer and waits for readers with SRCU.
 *
 *     refresher                 1 look the frame up, take a reference (may sleep)   2 map   3 publish the pointer   4 drop the reference
 *     reader                    1 srcu_read_lock   2 p = pointer   3 none: unlock, refresh, again   4 write *p   5 srcu_read_unlock
 *     host, start               1 pointer = none   2 synchronize_srcu            later: unmap, which nobody minds
 *
 * For readers alone it holds: whoever is behind step 2 is waited for. A refresher is nobody's reader (d1):
 *
 *     refresher                                 host
 *     looks frame 1 up, takes a reference
 *                                               start: pointer = none, waits for readers: there is none
 *     publishes frame 1, drops its reference
 *                                               clears the entry, frees frame 1
 *     reads the pointer: frame 1, writes
 *     -> writes to a frame of somebody else's
 *
 * On the VM's own domain (kvm->srcu) it deadlocks besides, because sections of that domain last through page faults and locks (d3):
 *
 *     reader: in a section, waits for the entry       |   reader: in a section, waits for slots_arch_lock
 *     host: start waits for the section, and only     |   memslot updater: has slots_arch_lock, waits for no active invalidation
 *           then puts the entry back                  |   host: has raised the active count, waits for the section
 */
import type { Scenario } from "../model.js";
import { HostPage } from "./host-page.js";
import { all, eventIsSeen, hasNoLeak } from "./invariants.js";
import type { Steps } from "./steps.js";
import { Words, add, allocate, free, load, lock, maySleep, noSleep, protocol, sleepUntil, store, thread, unlock } from "./steps.js";

/** Protocol (d) as the mail has it, its hazards d1 to d6 as variants, and d0, the version of 6 December. */
export const MAIL = protocol({
  name: "mail",
  says: "pointer cleared in start and readers waited for, nobody looks the page up again: the mail's core is sound",
  expected: "holds",
  variants: {
    "naive refresher": "use-after-free",
    "synchronize in end": "use-after-free",
    "synchronize deferred": "use-after-free",
    "on kvm->srcu, reader faults": "deadlock",
    "on kvm->srcu, memslot update": "deadlock",
    "non-blockable": "sleep-in-no-sleep",
    "d0, two registrations": "double-free",
  },
  create: (variant) => (variant === "d0, two registrations" ? createRegistrations() : create(variant)),
});

function create(variant = ""): Scenario {
  const words = new Words();
  const page = new HostPage(words);
  const pointer = words.word("pointer", 1);
  const section = words.word("srcu section");
  const active = words.word("mn_active_invalidate_count");
  const archLock = words.word("slots_arch_lock");
  const delivered = words.word("delivered");

  function* synchronize(): Steps {
    const seen = yield load(section);
    if (seen % 2 === 1) yield sleepUntil(section, (now) => now !== seen);
  }
  function* refresh(): Steps {
    const frame = yield* page.lookUp();
    yield store(pointer, frame);
    yield* page.put(frame);
  }
  function* reader(): Steps {
    for (let round = 0; round < 2; round++) {
      yield add(section, 1);
      if (variant === "on kvm->srcu, memslot update") {
        yield lock(archLock);
        yield unlock(archLock);
      }
      const frame = yield load(pointer);
      if (frame !== 0) yield* page.setEvent(frame);
      if (frame === 0 && variant === "on kvm->srcu, reader faults") yield* refresh();
      yield add(section, 1);
      if (frame !== 0) yield store(delivered, 1);
      if (frame === 0 && variant === "naive refresher") yield* refresh();
    }
  }
  function* host(): Steps {
    yield add(active, 1);
    if (variant === "non-blockable") yield noSleep();
    if (variant !== "synchronize deferred") yield store(pointer, 0);
    if (!variant.includes("synchronize")) yield* synchronize();
    if (variant === "non-blockable") yield maySleep();
    if (variant === "on kvm->srcu, reader faults") yield* entryAwayAcrossStart();
    else yield* page.move();
    if (variant === "synchronize deferred") yield store(pointer, 0);
    if (variant.includes("synchronize")) yield* synchronize();
    yield add(active, -1);
  }
  /** A second change of the page, by rmap, whose start has to wait while the first one's migration entry stands. */
  function* entryAwayAcrossStart(): Steps {
    const frame = yield* page.clearEntry();
    yield* synchronize();
    yield* page.mapNew();
    yield* page.put(frame);
  }
  function* updater(): Steps {
    yield lock(archLock);
    yield sleepUntil(active, (count) => count === 0);
    yield unlock(archLock);
  }
  const threads = [thread("reader", reader), thread("host", host)];
  if (variant === "on kvm->srcu, memslot update") threads.push(thread("memslot updater", updater));
  // The variant that faults puts the page back without its bytes.
  const atEnd = variant.includes("faults") ? hasNoLeak(page) : all(eventIsSeen(page, delivered), hasNoLeak(page));
  return { words: words.list, threads, framesAtStart: 2, atEnd };
}

/** d0: publish the new map, synchronize, unmap the old one, without a lock. A map is a "frame" of the model: it is freed once. */
function createRegistrations(): Scenario {
  const words = new Words();
  const pointer = words.word("map", 1);
  function* register(): Steps {
    const map = yield allocate();
    const old = yield load(pointer);
    yield store(pointer, map);
    yield free(old);
  }
  return {
    words: words.list, framesAtStart: 1,
    threads: [thread("registration 1", register), thread("registration 2", register)],
  };
}
