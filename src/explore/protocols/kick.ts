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
import { Words, add, clearBits, load, maySleep, noSleep, protocol, setBits, sleepUntil, spinLock, spinUntil, store, thread, unlock, use } from "./steps.js";

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
  const words = new Words();
  const page = new HostPage(words);
  const hpa = words.word("hpa", 1);
  const epoch = words.word("guest epoch");
  const request = words.word("request");
  const inProgress = words.word("in_progress");
  const seq = words.word("mmu seq");
  const irqLock = words.word("clock lock");

  /** Sets a request and waits for who was in guest mode: the IPI's function has run there. */
  function* kick(bits: number, waits: boolean): Steps {
    if (bits !== 0) yield setBits(request, bits);
    const seen = yield load(epoch);
    if (waits && seen % 2 === 1) yield sleepUntil(epoch, (now) => now !== seen);
  }
  function* start(): Steps {
    yield add(inProgress, 1);
    if (variant === "waits under an irq lock") yield spinLock(irqLock);
    if (EVICTIONS.includes(variant)) yield* kick(variant === "request nobody takes" ? NOBODY : 0, true);
    const isLate = ["no hook", "requested after clear", "requested in the TLB callback"].includes(variant);
    if (!isLate) yield* kick(RELOAD, variant !== "no wait");
    if (variant === "waits under an irq lock") yield unlock(irqLock);
  }
  function* host(): Steps {
    yield* start();
    const frame = yield* page.clearEntry();
    if (variant === "requested in the TLB callback") yield noSleep();
    if (variant.startsWith("requested")) yield* kick(RELOAD, true);
    if (variant === "requested in the TLB callback") yield maySleep();
    yield* page.put(frame);
    yield* page.mapNew();
    yield add(seq, 1);
    yield add(inProgress, -1);
  }
  function* reload(): Steps {
    const retries = !["no retry", "requested after clear", "requested in the TLB callback"].includes(variant);
    const before = yield load(seq);
    const frame = yield* page.lookUp();
    // Looked up while an invalidation was active or ended: the vCPU raises its own request again, and so comes back here.
    const isStale = retries && ((yield load(inProgress)) !== 0 || (yield load(seq)) !== before);
    if (isStale) yield setBits(request, RELOAD);
    else yield store(hpa, frame);
    yield* page.put(frame);
    if (isStale) yield spinUntil(inProgress, (active) => active === 0);
  }
  function* serviceRequests(): Steps {
    const bits = yield load(request);
    if ((bits & RELOAD) !== 0) {
      yield clearBits(request, RELOAD);
      yield* reload();
    }
    // A bit that no code of the vCPU takes: the entry is aborted again and again.
    if ((bits & NOBODY) !== 0) yield spinUntil(request, (now) => (now & NOBODY) === 0);
  }
  function* vcpu(): Steps {
    for (let runs = 0; runs < 2;) {
      if (variant === "request before mode" && (yield load(request)) !== 0) yield* serviceRequests();
      yield add(epoch, 1);
      if (variant === "waits under an irq lock") {
        yield spinLock(irqLock);
        yield unlock(irqLock);
      }
      const isAsked = variant !== "request before mode" && (yield load(request)) !== 0;
      if (!isAsked) {
        yield use(yield load(hpa));
        runs++;
      }
      yield add(epoch, 1);
      if (isAsked) yield* serviceRequests();
    }
  }
  /** Outside guest mode: neither interrupted nor waited for. */
  function* eventSender(): Steps {
    yield use(yield load(hpa));
  }
  const threads = [thread("host", host), variant === "host access" ? thread("event sender", eventSender) : thread("vCPU", vcpu)];
  return { words: words.list, threads, framesAtStart: 2 };
}
