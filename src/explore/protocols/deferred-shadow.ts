/**
 * (j) The deferred shadow: evtchn_pending_sel, for senders that may not sleep.
 *
 *     sender                    1 read_lock, valid? set the selector bit in the page, upcall = 1, kick
 *                               2 not valid: set the bit in the hypervisor's own word; newly set: request |= EVENT, kick
 *     vCPU, before entry        1 take the request   2 bits = shadow; refresh (may sleep); page |= bits; shadow &= ~bits; upcall = 1
 *                               3 upcall? deliver: the guest clears upcall, exchanges the selector with 0, handles what it found
 *
 * Bits that came between reading and clearing must stay:
 *
 *     vCPU                                      sender
 *     bits = shadow (A)
 *                                               shadow |= B; request |= EVENT
 *     page |= A; shadow = 0
 *     -> B is nowhere
 */
import type { Scenario } from "../model.js";
import type { Steps } from "./steps.js";
import { Words, clearBits, exchange, load, maySleep, noSleep, protocol, setBits, sleepUntil, store, thread } from "./steps.js";

/** Protocol (j). */
export const DEFERRED_SHADOW = protocol({
  name: "deferred-shadow",
  says: "what a sender cannot write into a page that is away, it leaves in a word of the hypervisor's, and the vCPU moves it over",
  expected: "holds",
  variants: {
    "shadow cleared wholesale": "deadlock",
    "kick before the note": "deadlock",
    "shadow read before the request is taken": "deadlock",
    "upcall before selector": "deadlock",
  },
  create,
});

function create(variant = ""): Scenario {
  const words = new Words();
  const valid = words.word("page there");
  const [selector, upcall] = [words.word("pending_sel"), words.word("upcall_pending")];
  const [shadow, request] = [words.word("shadow selector"), words.word("request")];
  const handled = words.word("handled by the guest");

  function* sender(bit: number): Steps {
    yield noSleep();
    if ((yield load(valid)) === 1) yield* mark(bit);
    else {
      if (variant === "kick before the note") yield store(request, 1);
      const before = yield setBits(shadow, bit);
      if (variant !== "kick before the note" && (before & bit) === 0) yield store(request, 1);
    }
    yield maySleep();
  }
  function* mark(bit: number): Steps {
    if (variant === "upcall before selector") yield store(upcall, 1);
    yield setBits(selector, bit);
    if (variant !== "upcall before selector") yield store(upcall, 1);
    yield store(request, 1);
  }
  function* moveOver(bits: number): Steps {
    if (bits === 0) return;
    yield store(valid, 1);
    yield setBits(selector, bits);
    yield store(upcall, 1);
    yield variant === "shadow cleared wholesale" ? store(shadow, 0) : clearBits(shadow, bits);
  }
  /** Sleeps in HLT until there is a request; ends when both events were handled. */
  function* vcpu(): Steps {
    for (let found = 0; found !== 3;) {
      yield sleepUntil(request, (value) => value !== 0);
      const early = variant === "shadow read before the request is taken" ? yield load(shadow) : 0;
      yield store(request, 0);
      yield* moveOver(variant === "shadow read before the request is taken" ? early : yield load(shadow));
      if ((yield exchange(upcall, 0)) === 0) continue;
      found |= yield exchange(selector, 0);
      yield store(handled, found);
    }
  }
  return { words: words.list, threads: [thread("vCPU", vcpu), thread("sender A", () => sender(1)), thread("sender B", () => sender(2))] };
}
