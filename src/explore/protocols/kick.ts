/**
 * (c) Notifier and kick: how KVM keeps the frame number of the APIC access page, which a vCPU uses in guest mode only.
 *
 *     host                      1 start: set the request at the vCPU, IPI, wait until it is outside   2 return   3 clear entry, free
 *     vCPU                      1 mode = in guest   2 request? then out, reload: look the frame up, store hpa, drop the reference
 *                               3 guest code uses hpa   4 mode = outside
 *
 * The mail asked: is the vCPU out when the notifier returns? It is, since the request waits. What breaks is what comes after (B03):
 *
 *     host                                      vCPU
 *     start: request, IPI, wait                 leaves guest mode
 *     return                                    sees the request, looks up: entry still there, hpa = frame 1
 *     clears the entry, frees frame 1           enters
 *                                               guest uses frame 1
 *     -> the processor accesses a frame that belongs to somebody else
 *
 * Linux 5.8 asked behind the clearing of the entry; 6.5 asks in start, and the reload honours an invalidation in progress (B04).
 */
import type { Scenario } from "../model.js";
import { HostPage } from "./host-page.js";
import type { Steps } from "./steps.js";
import {
  Words, add, clearBits, load, maySleep, noSleep, protocol, setBits, sleepUntil, spinLock, spinUntil, store, thread, unlock, use,
} from "./steps.js";

/** Protocol (c); B02, B03, B04, B26, B39 and the mail's first two questions as variants. */
export const KICK = protocol({
  name: "kick",
  says: "the frame number of a page that guest mode alone uses, reloaded by a request that waits and a reload that tries again (6.5)",
  expected: "holds",
  variants: {
    "host access": "use-after-free",
    "no hook": "use-after-free",
    "no wait": "use-after-free",
    "no retry": "use-after-free",
    "requested after clear": "holds",
    "requested in the TLB callback": "sleep-in-no-sleep",
    "request before mode": "use-after-free",
    "waits under an irq lock": "deadlock",
    "request nobody takes": "deadlock",
    "eviction without a bit": "holds",
  },
  create,
});

const RELOAD = 1;
const NOBODY = 2;
const EVICTIONS = ["request nobody takes", "eviction without a bit"];

function create(variant = ""): Scenario {
  return new Kick(variant).scenario();
}

/** Words and threads of one execution. */
class Kick {
  readonly variant: string;
  readonly words = new Words();
  readonly page = new HostPage(this.words);
  readonly hpa = this.words.word("hpa", 1);
  readonly epoch = this.words.word("guest epoch");
  readonly request = this.words.word("request");
  readonly inProgress = this.words.word("in_progress");
  readonly seq = this.words.word("mmu seq");
  readonly irqLock = this.words.word("clock lock");

  constructor(variant: string) {
    this.variant = variant;
  }

  scenario(): Scenario {
    const user = this.variant === "host access" ? thread("event sender", () => this.eventSender()) : thread("vCPU", () => this.vcpu());
    return { words: this.words.list, threads: [thread("host", () => this.host()), user], framesAtStart: 2 };
  }

  /** Sets a request and waits for who was in guest mode: the IPI's function has run there. */
  *kick(bits: number, waits: boolean): Steps {
    if (bits !== 0) yield setBits(this.request, bits);
    const seen = yield load(this.epoch);
    if (waits && seen % 2 === 1) yield sleepUntil(this.epoch, (now) => now !== seen);
  }

  *start(): Steps {
    yield add(this.inProgress, 1);
    if (this.variant === "waits under an irq lock") yield spinLock(this.irqLock);
    if (EVICTIONS.includes(this.variant)) yield* this.kick(this.variant === "request nobody takes" ? NOBODY : 0, true);
    const isLate = ["no hook", "requested after clear", "requested in the TLB callback"].includes(this.variant);
    if (!isLate) yield* this.kick(RELOAD, this.variant !== "no wait");
    if (this.variant === "waits under an irq lock") yield unlock(this.irqLock);
  }

  *host(): Steps {
    yield* this.start();
    const frame = yield* this.page.clearEntry();
    if (this.variant === "requested in the TLB callback") yield noSleep();
    if (this.variant.startsWith("requested")) yield* this.kick(RELOAD, true);
    if (this.variant === "requested in the TLB callback") yield maySleep();
    yield* this.page.put(frame);
    yield* this.page.mapNew();
    yield add(this.seq, 1);
    yield add(this.inProgress, -1);
  }

  *reload(): Steps {
    const retries = !["no retry", "requested after clear", "requested in the TLB callback"].includes(this.variant);
    const before = yield load(this.seq);
    const frame = yield* this.page.lookUp();
    // Looked up while an invalidation was active or ended: the vCPU raises its own request again, and so comes back here.
    const isStale = retries && ((yield load(this.inProgress)) !== 0 || (yield load(this.seq)) !== before);
    if (isStale) yield setBits(this.request, RELOAD);
    else yield store(this.hpa, frame);
    yield* this.page.put(frame);
    if (isStale) yield spinUntil(this.inProgress, (active) => active === 0);
  }

  *serviceRequests(): Steps {
    const bits = yield load(this.request);
    if ((bits & RELOAD) !== 0) {
      yield clearBits(this.request, RELOAD);
      yield* this.reload();
    }
    // A bit that no code of the vCPU takes: the entry is aborted again and again.
    if ((bits & NOBODY) !== 0) yield spinUntil(this.request, (now) => (now & NOBODY) === 0);
  }

  *vcpu(): Steps {
    for (let runs = 0; runs < 2;) {
      if (this.variant === "request before mode" && (yield load(this.request)) !== 0) yield* this.serviceRequests();
      yield add(this.epoch, 1);
      if (this.variant === "waits under an irq lock") {
        yield spinLock(this.irqLock);
        yield unlock(this.irqLock);
      }
      const isAsked = this.variant !== "request before mode" && (yield load(this.request)) !== 0;
      if (!isAsked) {
        yield use(yield load(this.hpa));
        runs++;
      }
      yield add(this.epoch, 1);
      if (isAsked) yield* this.serviceRequests();
    }
  }

  /** Outside guest mode: neither interrupted nor waited for. */
  *eventSender(): Steps {
    yield use(yield load(this.hpa));
  }
}
