/**
 * Ours: the gate, at which a vCPU's thread stands while somebody controls the machine (src/exit/requests/gate.ts).
 *
 *     controlling thread                        vCPU thread
 *     1 request |= GATE                         1 GATE set? atGate = 1   2 sleep until it is clear   3 atGate = 0
 *     2 atGate = 1? then it stands              4 GATE set? then 1 again, otherwise go on
 *
 * Without the second look (4):
 *
 *     controlling thread                        vCPU thread, let go a moment ago
 *     request |= GATE
 *     atGate = 1: it stands
 *                                               atGate = 0; goes on
 *     reads the registers
 *     -> of a vCPU that runs
 */
import type { Scenario } from "../../model.js";
import type { Steps } from "../steps.js";
import { Words, claim, clearBits, load, protocol, setBits, sleepUntil, store, thread } from "../steps.js";

/** The shipped gate. */
export const OUR_GATE = protocol({
  name: "our-gate",
  says: "a controller closes the gate twice and reads what the vCPU's thread writes while it runs",
  expected: "holds",
  variants: { "no second look": "claim", "looked at before asked": "claim" },
  create,
});

function create(variant = ""): Scenario {
  const words = new Words();
  const [request, atGate, running, done] = [words.word("gate request"), words.word("atGate"), words.word("registers in use"), words.word("done")];

  function* standAtGate(): Steps {
    for (let isClosed = (yield load(request)) !== 0; isClosed;) {
      yield store(atGate, 1);
      yield sleepUntil(request, (bits) => bits === 0);
      yield store(atGate, 0);
      isClosed = variant !== "no second look" && (yield load(request)) !== 0;
    }
  }
  function* vcpu(): Steps {
    for (let turn = 0; turn < 2; turn++) {
      yield* standAtGate();
      yield store(running, 1);
      yield store(running, 0);
    }
    yield store(done, 1);
  }
  function* control(): Steps {
    for (let round = 0; round < 2; round++) {
      const early = variant === "looked at before asked" ? yield load(atGate) : 0;
      yield setBits(request, 1);
      const stands = variant === "looked at before asked" ? early : yield load(atGate);
      if (stands === 1) yield claim((yield load(running)) === 0, "the vCPU stands at the gate, and its registers change");
      yield clearBits(request, 1);
    }
  }
  return { words: words.list, threads: [thread("vCPU", vcpu), thread("controller", control)] };
}
