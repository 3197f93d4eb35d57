/**
 * Things that are freed while a kind of protection nobody thought of was needed: B29, B30, B42.
 *
 *     B30  a look-up in an IDR inside srcu: the object is protected, the tree's own nodes are plain RCU's
 *     B29  a page without a reference count is "got" and "put": the put frees it
 *     B42  an encrypted page's dirty cache lines are written back after the frame has a new owner
 *
 * Picture of B30:
 *
 *     vCPU, srcu section, no rcu                VMM
 *     node = root of the tree
 *                                               idr_remove: frees the node behind an RCU grace period, which has nobody to wait for
 *     reads the node
 *     -> somebody else's memory
 */
import type { Scenario } from "../../model.js";
import type { Steps } from "../steps.js";
import { Words, add, allocate, free, load, protocol, sleepUntil, spinLock, store, thread, unlock, use, useWrite } from "../steps.js";

/** B29, B30, B42. */
export const FREED_OBJECTS = protocol({
  name: "freed-objects",
  says: "a tree's nodes are freed behind the grace period of those that read them",
  expected: "holds",
  variants: {
    "B30, rcu not taken": "use-after-free",
    "B29, page without references": "use-after-free",
    "B29, refused": "holds",
    "B42, no write-back": "claim",
    "B42, written back": "holds",
  },
  create: (variant = "") => {
    if (variant.startsWith("B29")) return referenceScenario(variant === "B29, refused");
    if (variant.startsWith("B42")) return cacheScenario(variant === "B42, written back");
    return treeScenario(variant !== "B30, rcu not taken");
  },
});

function treeScenario(takesRcu: boolean): Scenario {
  const words = new Words();
  const [root, rcu, srcu, portsLock] = [words.word("idr root", 1), words.word("rcu section"), words.word("srcu section"), words.word("ports lock")];
  function* synchronize(section: number): Steps {
    const seen = yield load(section);
    if (seen % 2 === 1) yield sleepUntil(section, (now) => now !== seen);
  }
  return { words: words.list, framesAtStart: 2, threads: [
    thread("vCPU", function* () {
      yield add(srcu, 1);
      if (takesRcu) yield add(rcu, 1);
      const node = yield load(root);
      if (node !== 0) yield use(node);
      if (takesRcu) yield add(rcu, 1);
      if (node !== 0) yield use(2);
      yield add(srcu, 1);
    }),
    thread("VMM", function* () {
      yield spinLock(portsLock);
      yield store(root, 0);
      yield unlock(portsLock);
      yield* synchronize(rcu);
      yield free(1);
      yield* synchronize(srcu);
      yield free(2);
    }),
  ] };
}

function referenceScenario(isRefused: boolean): Scenario {
  const words = new Words();
  return { words: words.list, framesAtStart: 1, threads: [
    thread("driver", function* () {
      yield useWrite(1);
    }),
    thread("KVM", function* () {
      // get_page did nothing (there is no count), put_page takes the last reference there never was.
      if (!isRefused) yield free(1);
    }),
  ] };
}

/** The cache is a thread of its own: it writes a dirty line back when it likes, to the address, whoever owns that by then. */
function cacheScenario(isWrittenBack: boolean): Scenario {
  const words = new Words();
  const [dirty, memory, owner] = [words.word("dirty line, guest's key", 1), words.word("frame"), words.word("owner's word")];
  function* writeBack(): Steps {
    if ((yield load(dirty)) === 0) return;
    yield store(memory, 1);
    yield store(dirty, 0);
  }
  return { words: words.list, framesAtStart: 1, threads: [
    thread("cache", writeBack),
    thread("host", function* () {
      if (isWrittenBack) yield sleepUntil(dirty, (value) => value === 0);
      yield free(1);
      const frame = yield allocate();
      yield useWrite(frame);
      yield store(memory, 2);
      yield store(owner, yield load(memory));
      if (isWrittenBack) return;
      yield { kind: "claim", holds: (yield load(memory)) === 2, says: "the new owner's word was written over by the old owner's cache line" };
    }),
  ] };
}
