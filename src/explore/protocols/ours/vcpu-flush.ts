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
import {
  Words, add, clearBits, free, load, lock, protocol, setBits, sleepUntil, spinLock, spinUntil, thread, unlock, update, useWrite,
} from "../steps.js";
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
  return new VcpuFlush(variant).scenario();
}

/** Words and threads of one execution. */
class VcpuFlush {
  readonly variant: string;
  readonly words = new Words();
  readonly host = new OurHost(this.words, "", 0);
  readonly page = new OurPage(this.words, this.host);
  readonly epoch = this.words.word("guest epoch");
  readonly request = this.words.word("request");
  readonly waiters = this.words.word("epoch waiters");
  readonly splitLock = this.words.word("split lock");
  tlb = 1;

  constructor(variant: string) {
    this.variant = variant;
  }

  scenario(): Scenario {
    const vcpu = (): Steps => (this.variant.startsWith("walk") ? this.walk() : this.runGuest());
    return {
      words: this.words.list, framesAtStart: 2, threads: [thread("change", () => this.change()), thread("vCPU", vcpu)],
      atEnd: (view) => (this.variant.startsWith("walk") || this.page.hasEvent(view) ? undefined : "I9: the guest's store is not in its page"),
    };
  }

  *waitUntilLeft(seen: number): Steps {
    if (this.variant === "must not sleep") {
      yield spinUntil(this.epoch, (word) => epochOf(word) !== seen);
      return;
    }
    const isLate = this.variant === "waiter announced behind its look";
    if (!isLate) yield add(this.waiters, 1);
    for (;;) {
      const word = yield update(this.epoch, (now) => (epochOf(now) === seen ? now | ASLEEP : now));
      if (epochOf(word) !== seen) break;
      if (isLate) yield add(this.waiters, 1);
      yield sleepUntil(this.epoch, (now) => (now & ASLEEP) === 0);
    }
    yield add(this.waiters, -1);
  }

  *change(): Steps {
    const frame = yield* this.page.cut();
    if (this.variant === "waits with a lock the guest takes") yield spinLock(this.splitLock);
    yield setBits(this.request, FLUSH);
    const seen = epochOf(yield load(this.epoch));
    if (seen % 2 === 1 && this.variant !== "not waited for") yield* this.waitUntilLeft(seen);
    if (this.variant === "waits with a lock the guest takes") yield unlock(this.splitLock);
    yield* this.page.copy();
    yield* this.page.settle(2);
    yield free(frame);
  }

  *leaveGuestMode(): Steps {
    yield add(this.epoch, 1);
    if ((yield load(this.waiters)) !== 0) yield clearBits(this.epoch, ASLEEP);
  }

  *service(): Steps {
    yield clearBits(this.request, FLUSH);
    this.tlb = 0;
  }

  /** The guest's store: by the TLB; or by the NPT entry, which fills the TLB; or an exit. */
  *guestStore(): Steps<boolean> {
    if (this.variant === "waits with a lock the guest takes") {
      yield lock(this.splitLock);
      yield unlock(this.splitLock);
    }
    const frame = this.tlb !== 0 ? this.tlb : yield load(this.page.npt);
    if (frame === 0) return false;
    this.tlb = frame;
    yield* this.page.setEvent(frame);
    return true;
  }

  *runGuest(): Steps {
    for (let stores = 0; stores < 2;) {
      if (this.variant === "request looked at before guest mode" && (yield load(this.request)) !== 0) yield* this.service();
      yield add(this.epoch, 1);
      const isAsked = this.variant !== "request looked at before guest mode" && (yield load(this.request)) !== 0;
      const isStored = !isAsked && (yield* this.guestStore());
      yield* this.leaveGuestMode();
      if (isStored) stores++;
      else if (isAsked) yield* this.service();
      else yield* this.page.faultIn();
    }
  }

  /** asInGuestMode: reads the NPT without a TLB, for a hypercall's argument. */
  *walk(): Steps {
    const isInside = this.variant !== "walk outside guest mode";
    if (isInside) yield add(this.epoch, 1);
    const frame = yield load(this.page.npt);
    if (frame !== 0) yield useWrite(frame);
    if (isInside) yield* this.leaveGuestMode();
    if (frame === 0) yield* this.page.faultIn();
  }
}
