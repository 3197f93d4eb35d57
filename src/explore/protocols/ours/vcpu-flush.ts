/**
 * Ours: the processor's own way to a page, by TLB and NPT, and the request that cuts it (src/exit/requests).
 *
 *     change                                    vCPU
 *     1 MMU lock: BUSY, NPT entry emptied       1 guestEpoch++ (odd)
 *     2 request |= TLB_FLUSH                    2 request = 0? otherwise guestEpoch++ and service it
 *     3 guestEpoch odd? then                    3 guest code: by the TLB, or by the NPT entry into the TLB; none: exit
 *     4 waiters++, sleep while it is that       4 guestEpoch++ (even)   5 waiters > 0? notify
 *     5 waiters--   6 copy, free
 *
 * Request behind the mode's check (M27):
 *
 *     change                                    vCPU
 *                                               request = 0
 *     request |= TLB_FLUSH; epoch even: go on
 *                                               guestEpoch odd; writes by the TLB
 *     copies, frees
 *     -> a write that is in neither frame, or in somebody else's
 */
import type { Scenario } from "../../model.js";
import type { Steps } from "../steps.js";
import { Words, add, clearBits, free, load, lock, protocol, setBits, sleepUntil, spinLock, spinUntil, thread, unlock, update, useWrite } from "../steps.js";
import { OurHost, OurPage } from "./host.js";

/** The shipped flush of vCPUs' TLBs. */
export const OUR_VCPU_FLUSH = protocol({
  name: "our-vcpu-flush",
  says: "a vCPU writes by its TLB while the page is moved",
  expected: "holds",
  variants: {
    "must not sleep": "holds",
    "walk for a hypercall": "holds",
    "walk outside guest mode": "use-after-free",
    "not waited for": "use-after-free",
    "request looked at before guest mode": "use-after-free",
    "waits with a lock the guest takes": "deadlock",
    "waiter announced behind its look": "deadlock",
  },
  create,
});

const FLUSH = 1;
/** Bit of the epoch's word: somebody sleeps on it. Sleep and comparison are one step, as in Atomics.wait. */
const ASLEEP = 1 << 8;
const epochOf = (word: number): number => word & 0xff;

function create(variant = ""): Scenario {
  const words = new Words();
  const host = new OurHost(words, "", 0);
  const page = new OurPage(words, host);
  const [epoch, request, waiters] = [words.word("guest epoch"), words.word("request"), words.word("epoch waiters")];
  const splitLock = words.word("split lock");
  let tlb = 1;

  function* waitUntilLeft(seen: number): Steps {
    if (variant === "must not sleep") {
      yield spinUntil(epoch, (word) => epochOf(word) !== seen);
      return;
    }
    const isLate = variant === "waiter announced behind its look";
    if (!isLate) yield add(waiters, 1);
    for (;;) {
      const word = yield update(epoch, (now) => (epochOf(now) === seen ? now | ASLEEP : now));
      if (epochOf(word) !== seen) break;
      if (isLate) yield add(waiters, 1);
      yield sleepUntil(epoch, (now) => (now & ASLEEP) === 0);
    }
    yield add(waiters, -1);
  }
  function* change(): Steps {
    const frame = yield* page.cut();
    if (variant === "waits with a lock the guest takes") yield spinLock(splitLock);
    yield setBits(request, FLUSH);
    const seen = epochOf(yield load(epoch));
    if (seen % 2 === 1 && variant !== "not waited for") yield* waitUntilLeft(seen);
    if (variant === "waits with a lock the guest takes") yield unlock(splitLock);
    yield* page.copy();
    yield* page.settle(2);
    yield free(frame);
  }
  function* leaveGuestMode(): Steps {
    yield add(epoch, 1);
    if ((yield load(waiters)) !== 0) yield clearBits(epoch, ASLEEP);
  }
  function* service(): Steps {
    yield clearBits(request, FLUSH);
    tlb = 0;
  }
  /** The guest's store: by the TLB; or by the NPT entry, which fills the TLB; or an exit. */
  function* guestStore(): Steps<boolean> {
    if (variant === "waits with a lock the guest takes") {
      yield lock(splitLock);
      yield unlock(splitLock);
    }
    const frame = tlb !== 0 ? tlb : yield load(page.npt);
    if (frame === 0) return false;
    tlb = frame;
    yield* page.setEvent(frame);
    return true;
  }
  function* runGuest(): Steps {
    for (let stores = 0; stores < 2;) {
      if (variant === "request looked at before guest mode" && (yield load(request)) !== 0) yield* service();
      yield add(epoch, 1);
      const isAsked = variant !== "request looked at before guest mode" && (yield load(request)) !== 0;
      const isStored = !isAsked && (yield* guestStore());
      yield* leaveGuestMode();
      if (isStored) stores++;
      else if (isAsked) yield* service();
      else yield* page.faultIn();
    }
  }
  /** asInGuestMode: reads the NPT without a TLB, for a hypercall's argument. */
  function* walk(): Steps {
    const isInside = variant !== "walk outside guest mode";
    if (isInside) yield add(epoch, 1);
    const frame = yield load(page.npt);
    if (frame !== 0) yield useWrite(frame);
    if (isInside) yield* leaveGuestMode();
    if (frame === 0) yield* page.faultIn();
  }
  const vcpu = variant.startsWith("walk") ? walk : runGuest;
  return {
    words: words.list, framesAtStart: 2, threads: [thread("change", change), thread("vCPU", vcpu)],
    atEnd: (view) => (variant.startsWith("walk") || page.hasEvent(view) ? undefined : "I9: the guest's store is not in its page"),
  };
}
