/**
 * Ours: events by senders that may not sleep, and polling vCPUs (src/hypercall/event-channel/delivery.ts, sched/scheduling.ts).
 *
 *     sender that may not sleep                            vCPU, before it enters guest mode or sleeps
 *     1 eventLock free? otherwise deferredSends |= port    1 take EVENT from the request word
 *     2 shared_info there? otherwise deferredSends |= port 2 deferredSends: send each, looking pages up
 *     3 pending bit was clear?                             3 shadowSelector: vcpu_info |= bits, upcall byte, shadow &= ~bits
 *     4 vcpu_info there? selector bit, upcall byte         4 upcall byte set? the guest: upcall = 0, takes the selector, takes pending
 *       otherwise shadowSelector |= bit                    5 nothing: sleep while the request word is what it was
 *     5 request |= EVENT, notify
 *
 * The request taken behind the notes:
 *
 *     vCPU                                      sender
 *     deferredSends: none
 *                                               deferredSends |= port; request |= EVENT
 *     takes EVENT; sleeps
 *     -> the event is in the note, and nobody looks
 */
import type { Scenario } from "../../model.js";
import type { Steps } from "../steps.js";
import {
  Words, clearBits, exchange, load, lock, maySleep, noSleep, protocol, setBits, sleepUntil, store, thread, tryLock, unlock,
} from "../steps.js";

/** The shipped delivery. */
export const OUR_EVENTS = protocol({
  name: "our-events",
  says: "two senders that may not sleep, pages that come and go, a vCPU that sleeps in between",
  expected: "holds",
  variants: {
    "shadow cleared wholesale": "deadlock",
    "upcall before selector": "deadlock",
    "kick before the note": "deadlock",
    "request taken behind the notes": "deadlock",
    "blocking lock in the sender": "sleep-in-no-sleep",
    "poll": "holds",
    "poll, published behind its look": "deadlock",
    "place in one read": "holds",
    "place in two reads, no lock": "claim",
  },
  bounds: { "": 3 },
  create: (variant = "") => {
    if (variant.startsWith("poll")) return createPoll(variant !== "poll");
    return variant.startsWith("place") ? createPlace(variant) : create(variant);
  },
});

function create(variant: string): Scenario {
  const words = new Words();
  const [sharedInfo, vcpuInfo] = [words.word("shared_info there", 1), words.word("vcpu_info there", 1)];
  const [pending, selector, upcall] = [words.word("evtchn_pending"), words.word("evtchn_pending_sel"), words.word("evtchn_upcall_pending")];
  const [deferred, shadow] = [words.word("deferredSends"), words.word("shadowSelector")];
  const [request, eventLock] = [words.word("request"), words.word("eventLock")];

  function* sender(bit: number): Steps {
    yield noSleep();
    if (variant === "kick before the note") yield store(request, 1);
    if (variant === "blocking lock in the sender") yield lock(eventLock);
    const isLocked = variant === "blocking lock in the sender" || (yield tryLock(eventLock)) === 1;
    const isSent = isLocked && (yield* trySend(bit, true));
    if (!isSent) yield setBits(deferred, bit);
    if (isLocked) yield unlock(eventLock);
    if (!isSent && variant !== "kick before the note") yield store(request, 1);
    yield maySleep();
  }
  /** setPendingLocked and trySetPendingLocked. Each port has a selector bit of its own here, with the same number. */
  function* trySend(bit: number, mayMiss: boolean): Steps<boolean> {
    if (mayMiss && (yield load(sharedInfo)) === 0) return false;
    if (((yield setBits(pending, bit)) & bit) !== 0) return true;
    if (mayMiss && (yield load(vcpuInfo)) === 0) yield setBits(shadow, bit);
    else yield* mark(bit);
    if (variant !== "kick before the note") yield store(request, 1);
    return true;
  }
  function* mark(bits: number): Steps {
    if (variant === "upcall before selector") yield store(upcall, 1);
    yield setBits(selector, bits);
    if (variant !== "upcall before selector") yield store(upcall, 1);
  }
  function* takeNotes(): Steps {
    if ((yield load(deferred)) !== 0) {
      const ports = yield exchange(deferred, 0);
      yield lock(eventLock);
      for (const bit of [1, 2]) if ((ports & bit) !== 0) yield* trySend(bit, false);
      yield unlock(eventLock);
    }
    if ((yield load(shadow)) === 0) return;
    // Outside the lock, as delivery once was: the bits that came meanwhile are what the faults lose.
    const bits = yield load(shadow);
    yield* mark(bits);
    yield variant === "shadow cleared wholesale" ? store(shadow, 0) : clearBits(shadow, bits);
  }
  function* vcpu(): Steps {
    for (let handled = 0; handled !== 3;) {
      yield sleepUntil(request, (value) => value !== 0);
      if (variant === "request taken behind the notes") yield* takeNotes();
      yield store(request, 0);
      if (variant !== "request taken behind the notes") yield* takeNotes();
      if ((yield exchange(upcall, 0)) === 0) continue;
      const ports = yield exchange(selector, 0);
      if (ports !== 0) handled |= ports & (yield clearBits(pending, ports));
    }
  }
  /** Takes both pages away for a moment. */
  function* host(): Steps {
    yield store(vcpuInfo, 0);
    yield store(sharedInfo, 0);
    yield store(sharedInfo, 1);
  }
  const senders = [thread("sender A", () => sender(1)), thread("sender B", () => sender(2))];
  return { words: words.list, threads: [thread("vCPU", vcpu), ...senders, thread("host", host)] };
}

/** SCHEDOP_poll: the poller publishes, then looks; the sender sets the bit, then looks for pollers. */
function createPoll(isLate: boolean): Scenario {
  const words = new Words();
  const [pending, polling, request] = [words.word("evtchn_pending"), words.word("pollingVcpus"), words.word("request")];
  return { words: words.list, threads: [
    thread("poller", function* () {
      if (!isLate) yield store(polling, 1);
      const isPending = (yield load(pending)) !== 0;
      if (isLate) yield store(polling, 1);
      if (!isPending) yield sleepUntil(request, (value) => value !== 0);
      yield store(polling, 0);
    }),
    thread("sender", function* () {
      yield setBits(pending, 1);
      if ((yield load(polling)) !== 0) yield store(request, 1);
    }),
  ] };
}

/** Where vcpu_info is: two words (gfn, offset), written together under eventLock, and so read under it. */
function createPlace(variant: string): Scenario {
  const words = new Words();
  const [gfn, offset, eventLock] = [words.word("vcpuInfoGfn", 1), words.word("vcpuInfoOffset", 1), words.word("eventLock")];
  const isLocked = variant === "place in one read";
  return { words: words.list, threads: [
    thread("sender", function* () {
      if (isLocked) yield lock(eventLock);
      const [page, at] = [yield load(gfn), yield load(offset)];
      if (isLocked) yield unlock(eventLock);
      yield { kind: "claim", holds: page === at, says: "the gfn of the new place with the offset of the old one" };
    }),
    thread("registration", function* () {
      yield lock(eventLock);
      yield store(offset, 2);
      yield store(gfn, 2);
      yield unlock(eventLock);
    }),
  ] };
}
