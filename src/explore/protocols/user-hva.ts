/**
 * (i) Through the VMM's address, with the processor's own page tables: steal time since Linux 5.16, clocks from 3.9 to 5.17.
 *
 *     user                      1 key still right (generation, gpa, hva)?   2 one atomic instruction on the address
 *                               3 fault: may sleep? fault the page in, again. May not: give up, and say so
 *     host                      no duty: the page table is the revocation
 *
 * Nothing can be used after it was freed. But the instruction has to be the whole transaction. Copy in, change, copy out (B05):
 *
 *     hypervisor                                guest, other vCPU
 *     reads preempted = PREEMPTED
 *                                               sets FLUSH_TLB in it, and so sends no IPI
 *     writes preempted = 0
 *     -> nobody flushes: the guest uses a stale translation
 */
import type { Scenario } from "../model.js";
import { HostPage, frameOf } from "./host-page.js";
import type { Steps } from "./steps.js";
import { Words, exchange, load, maySleep, noSleep, protocol, sleepUntil, store, thread, update } from "./steps.js";

/** Protocol (i); bug B05 as a variant. */
export const USER_HVA = protocol({
  name: "user-hva",
  says: "one atomic instruction on the VMM's address: a fault instead of a stale frame",
  expected: "holds",
  variants: { "copied in and out": "end", "atomic context": "holds", "atomic context, faults": "sleep-in-no-sleep" },
  create,
});

const PREEMPTED = 1;
const FLUSH_TLB = 2;

function create(variant = ""): Scenario {
  const words = new Words();
  const page = new HostPage(words);
  const preempted = words.word("preempted", PREEMPTED);
  const [flushed, wanted] = [words.word("flushed"), words.word("flush wanted")];

  /** The address is usable at this moment. An access of the processor and the clearing of an entry exclude each other. */
  function* faultIn(): Steps {
    yield sleepUntil(page.word, (word) => frameOf(word) !== 0);
  }
  function* hypervisor(): Steps {
    const isAtomic = variant.startsWith("atomic");
    if (isAtomic) yield noSleep();
    const isMapped = frameOf(yield load(page.word)) !== 0;
    if (!isMapped && isAtomic && variant !== "atomic context, faults") {
      // Given up: the next update, from where sleeping is allowed, does it.
      yield maySleep();
      yield* faultIn();
    } else if (!isMapped) yield* faultIn();
    else if (isAtomic) yield maySleep();
    const bits = yield* take();
    if ((bits & FLUSH_TLB) !== 0) yield store(flushed, 1);
  }
  function* take(): Steps<number> {
    if (variant !== "copied in and out") return yield exchange(preempted, 0);
    const bits = yield load(preempted);
    yield store(preempted, 0);
    return bits;
  }
  /** The guest's kvm_flush_tlb_multi: a compare and exchange, and no IPI if the other vCPU is preempted. */
  function* guest(): Steps {
    const bits = yield update(preempted, (value) => ((value & PREEMPTED) !== 0 ? value | FLUSH_TLB : value));
    if ((bits & PREEMPTED) !== 0) yield store(wanted, 1);
  }
  return {
    words: words.list, framesAtStart: 2, threads: [thread("hypervisor", hypervisor), thread("guest", guest), thread("host", () => page.remap())],
    atEnd: (view) => (view.value(wanted) === 1 && view.value(flushed) === 0 ? "I9: the guest left a request to flush, and nobody has it" : undefined),
  };
}
