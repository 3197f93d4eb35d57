/**
 * Ours: pages come to share a frame while another page leaves it (src/host-memory/merging.ts, page-faults.ts).
 *
 *     unshare, for a write                      merge
 *     1 mutation lock   2 still SHARED?         1 mutation lock   2 both pages still as they were?
 *     3 references = 1: the page's own,         3 cut both, compare, references++
 *       otherwise copy, in an invalidation,     4 both SHARED   5 let go of the other frame   6 unlock
 *       and let go of the shared frame
 *     4 unlock
 *
 * Without the lock in unshare:
 *
 *     unshare                                   merge
 *     references = 1: mine alone
 *                                               references = 2: the other page has the frame, too
 *     PRESENT, writable: writes
 *     -> the write shows in the other page
 */
import type { Scenario } from "../../model.js";
import type { Steps } from "../steps.js";
import { Words, add, allocate, claim, free, load, lock, protocol, setBits, spinLock, store, thread, unlock } from "../steps.js";

const SHARED = 8;
const BUSY = 7;

/** The shipped merging and unsharing. */
export const OUR_SHARING = protocol({
  name: "our-sharing",
  says: "a page is written to, and so leaves a shared frame, while another page comes to share it",
  expected: "holds",
  variants: {
    "two sharers": "holds",
    "unshared without the lock": "claim",
    "merged without the lock": "claim",
    "state not looked at again": "holds",
  },
  create,
});

function create(variant = ""): Scenario {
  const words = new Words();
  const isPair = variant === "two sharers" || variant === "state not looked at again";
  const [pageA, pageB] = [words.word("entry A", 1 | SHARED), words.word("entry B", isPair ? 1 | SHARED : 2)];
  const references = [0, words.word("references to frame 1", isPair ? 2 : 1), words.word("references to frame 2", isPair ? 0 : 1),
    words.word("references to frame 3"), words.word("references to frame 4")];
  const [mutationLock, mmuLock] = [words.word("mutation lock"), words.word("mmu lock")];
  const written = [0, 1, 2, 3, 4].map((frame) => words.word(`written to frame ${frame}`));

  function* release(frame: number): Steps {
    if ((yield add(references[frame]!, -1)) === 1) yield free(frame);
  }
  function* set(page: number, entry: number): Steps {
    yield spinLock(mmuLock);
    yield store(page, entry);
    yield unlock(mmuLock);
  }
  function* unshareLocked(page: number): Steps {
    const entry = yield load(page);
    const isAsBefore = (entry & SHARED) !== 0;
    if (!isAsBefore && variant !== "state not looked at again") return;
    const frame = entry & ~SHARED;
    if (variant !== "state not looked at again" && (yield load(references[frame]!)) === 1) return yield* set(page, frame);
    const target = yield allocate();
    yield store(references[target]!, 1);
    yield* set(page, target);
    yield* release(frame);
  }
  function* write(page: number): Steps {
    const entry = yield load(page);
    if ((entry & SHARED) === 0) return;
    const isLocked = variant !== "unshared without the lock";
    if (isLocked) yield lock(mutationLock);
    yield* unshareLocked(page);
    if (isLocked) yield unlock(mutationLock);
    // The guest's store, by the NPT entry: in guest mode, which a change waits for once it has cut the page.
    yield spinLock(mmuLock);
    const now = yield load(page);
    if ((now & SHARED) === 0 && now !== BUSY) yield setBits(written[now]!, 1);
    yield unlock(mmuLock);
  }
  function* merge(): Steps {
    const isLocked = variant !== "merged without the lock";
    if (isLocked) yield lock(mutationLock);
    const kept = yield load(pageA);
    const frame = kept & ~SHARED;
    // Cut first, then compared: a page that somebody has written to is not like the other one.
    yield* set(pageA, BUSY);
    const isEqual = (yield load(written[frame]!)) === 0;
    if (isEqual) yield add(references[frame]!, 1);
    yield* set(pageA, isEqual ? frame | SHARED : kept);
    if (isEqual) yield* set(pageB, frame | SHARED);
    if (isEqual) yield* release(2);
    if (isLocked) yield unlock(mutationLock);
  }
  function* reader(): Steps {
    const entry = yield load(pageB);
    if (isPair || (entry & SHARED) === 0) return;
    yield claim((yield load(written[entry & ~SHARED]!)) === 0, "page B shows what was written to page A");
  }
  const writers = [thread("write to A", () => write(pageA))];
  if (isPair) return { words: words.list, framesAtStart: 1, framesAtEnd: 2, threads: [...writers, thread("write to A by another vCPU", () => write(pageA))] };
  return { words: words.list, framesAtStart: 2, framesAtEnd: 3, threads: [...writers, thread("merge", function* () { yield* merge(); yield* reader(); })] };
}
