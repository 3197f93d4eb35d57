/**
 * The shipped protocol (docs/page-lifetimes.md §3 and §4) in the explorer's terms: one page of the guest, its bucket, the host's locks.
 *
 *     src/host-memory/invalidation.ts, page-changes.ts, page-faults.ts, migration.ts, discarding.ts; src/guest-page/page-access.ts;
 *     src/sync/real/reader-slots.ts
 *
 * Each atomic access of that code is a step here. What is left out: the searches of memslots (memslots.ts has them), swap (swap-in.ts),
 * shared frames (sharing.ts), the processor's own way to the page (vcpu-flush.ts), and the spinning before a sleep.
 */
import type { Cell, ModelView } from "../../model.js";
import type { Steps, Words } from "../steps.js";
import { add, allocate, free, load, lock, setBits, sleepUntil, spinLock, spinUntil, store, tryLock, unlock, useWrite } from "../steps.js";

/** States of an entry of the host's address space; any other value is a frame that is PRESENT. */
export const ABSENT = 0;
export const BUSY = 15;

/** Planted faults, by name; none = as shipped. */
export type Fault = string;

/** The event that users set in the page. */
export const EVENT = 1;

/** Words that exist once a host. */
export class OurHost {
  readonly fault: Fault;
  readonly mutationLock: Cell;
  readonly mmuLock: Cell;
  readonly generation: Cell;
  readonly slots: readonly Cell[];

  constructor(words: Words, fault: Fault, userCount: number) {
    this.fault = fault;
    this.mutationLock = words.word("mutation lock");
    this.mmuLock = words.word("mmu lock");
    this.generation = words.word("memslot generation");
    this.slots = Array.from({ length: userCount }, (_, n) => words.word(`reader slot ${n}`));
  }

  /** synchronizeReaders: every section that is open now is waited for. */
  *synchronize(mustNotSleep = false): Steps {
    for (const slot of this.slots) {
      const epoch = yield load(slot);
      const hasLeft = (now: number): boolean => now !== epoch;
      if (epoch % 2 === 1) yield mustNotSleep ? spinUntil(slot, hasLeft) : sleepUntil(slot, hasLeft);
    }
  }
}

/** One page: its bucket, its entry, its NPT entry, and the bytes of its two frames. Present in frame 1 at the start. */
export class OurPage {
  readonly active: Cell;
  readonly sequence: Cell;
  readonly entry: Cell;
  readonly npt: Cell;
  readonly #host: OurHost;
  readonly #frames: readonly number[];
  readonly #bytes: readonly Cell[];

  constructor(words: Words, host: OurHost, frames: readonly [number, number] = [1, 2], bucket?: OurPage) {
    const [name] = frames;
    this.#host = host;
    this.#frames = frames;
    this.active = bucket?.active ?? words.word(`active ${name}`);
    this.sequence = bucket?.sequence ?? words.word(`sequence ${name}`);
    this.entry = words.word(`hva entry ${name}`, frames[0]);
    this.npt = words.word(`npt ${name}`, frames[0]);
    this.#bytes = frames.map((frame) => words.word(`bytes of frame ${frame}`));
  }

  /** Sets the event in a frame that the caller believes to be this page's. */
  *setEvent(frame: number): Steps {
    yield useWrite(frame);
    const at = this.#frames.indexOf(frame);
    if (at >= 0) yield setBits(this.#bytes[at]!, EVENT);
  }

  /** Whether the guest sees the event. */
  hasEvent(view: ModelView): boolean {
    const at = this.#frames.indexOf(view.value(this.entry));
    return at >= 0 && (view.value(this.#bytes[at]!) & EVENT) !== 0;
  }

  /** Invalidations.begin for this page's bucket. */
  *beginBucket(): Steps {
    const { fault } = this.#host;
    if (fault !== "active not raised" && fault !== "active raised behind the wait") yield add(this.active, 1);
    if (fault !== "sequence not bumped in begin") yield add(this.sequence, 1);
  }

  /** Invalidations.end for this page's bucket. */
  *endBucket(): Steps {
    const { fault } = this.#host;
    if (fault === "active dropped before sequence") yield add(this.active, -1);
    if (fault !== "sequence not bumped in end") yield add(this.sequence, 1);
    if (fault !== "active dropped before sequence" && fault !== "active not raised") yield add(this.active, -1);
  }

  /** cutLocked of all pages, under the MMU lock. */
  *cut(): Steps<number> {
    yield spinLock(this.#host.mmuLock);
    const frame = yield* this.cutLocked();
    yield unlock(this.#host.mmuLock);
    return frame;
  }

  /** BUSY, and no way by the NPT. */
  *cutLocked(): Steps<number> {
    const frame = yield load(this.entry);
    yield store(this.entry, BUSY);
    yield store(this.npt, 0);
    return frame;
  }

  /** settleLocked: the entry and, as before, the NPT entry have `frame`. */
  *settle(frame: number): Steps {
    yield spinLock(this.#host.mmuLock);
    yield store(this.entry, frame);
    yield store(this.npt, frame);
    yield unlock(this.#host.mmuLock);
  }

  /** The middle of Migration.moveFrames: everything between begin and end. Returns the old frame, to be freed behind the end. */
  *replaceFrame(): Steps<number> {
    const frame = yield* this.cut();
    yield* this.copy();
    yield* this.settle(this.#frames[1]!);
    return frame;
  }

  /** copyFrame, from the first frame to the second. */
  *copy(): Steps {
    yield store(this.#bytes[1]!, yield load(this.#bytes[0]!));
  }

  /** The middle of a discard: ABSENT at once. */
  *drop(): Steps<number> {
    yield spinLock(this.#host.mmuLock);
    const frame = yield load(this.entry);
    yield store(this.entry, ABSENT);
    yield store(this.npt, 0);
    yield unlock(this.#host.mmuLock);
    return frame;
  }

  /** PageFaults.faultIn. The frame that was mapped is not the answer: presentPfn reads the entry again. */
  *faultIn(): Steps {
    const { mmuLock, fault } = this.#host;
    if ((yield load(this.npt)) !== 0) return;
    for (;;) {
      yield spinLock(mmuLock);
      const entry = yield load(this.entry);
      if (entry === ABSENT) yield store(this.entry, yield allocate());
      if (entry !== BUSY) yield store(this.npt, entry === ABSENT ? yield load(this.entry) : entry);
      if (entry === BUSY && fault === "waits with the mmu lock held") yield sleepUntil(this.entry, (now) => now !== BUSY);
      yield unlock(mmuLock);
      if (entry !== BUSY) return;
      yield sleepUntil(this.entry, (now) => now !== BUSY);
    }
  }
}

/** PageChanges.mutate and invalidate around a change of pages; `change` returns the frames that go. */
export function* invalidate(host: OurHost, pages: readonly OurPage[], change: () => Steps<readonly number[]>, mustNotSleep = false): Steps {
  if (mustNotSleep) {
    if (host.fault === "non-blockable waits for the lock") yield lock(host.mutationLock);
    else if ((yield tryLock(host.mutationLock)) === 0) return;
  } else yield lock(host.mutationLock);
  if (host.fault === "waits before it begins") yield* host.synchronize(mustNotSleep);
  for (const page of pages) yield* page.beginBucket();
  if (host.fault === "gives up behind begin") return yield* giveUp(host);
  if (!["waits before it begins", "readers not waited for"].includes(host.fault)) {
    yield* host.synchronize(mustNotSleep && host.fault !== "non-blockable sleeps for readers");
  }
  if (host.fault === "active raised behind the wait") for (const page of pages) yield add(page.active, 1);
  const frames = yield* change();
  if (host.fault === "freed before end") yield* freeAll(frames);
  for (const page of pages) yield* page.endBucket();
  if (host.fault !== "freed before end") yield* freeAll(frames);
  yield unlock(host.mutationLock);
}

function* giveUp(host: OurHost): Steps {
  yield unlock(host.mutationLock);
}

function* freeAll(frames: readonly number[]): Steps {
  for (const frame of frames) yield free(frame);
}

/** A GuestPage of the revocable kind: belongs to one thread, so what it remembers is no shared word. */
export class Window {
  readonly #host: OurHost;
  readonly #slot: Cell;
  #page: OurPage;
  /** undefined = NEVER_MAPPED. */
  #mapped: { readonly sequence: number; readonly frame: number } | undefined;

  constructor(host: OurHost, page: OurPage, slot: number, frame?: number) {
    this.#host = host;
    this.#page = page;
    this.#slot = host.slots[slot]!;
    this.#mapped = frame === undefined ? undefined : { sequence: 0, frame };
  }

  /** tryAccess: the frame inside a section; 0 = revoked, nothing is open. */
  *enter(): Steps<number> {
    const mapped = this.#mapped;
    const { fault } = this.#host;
    if (mapped === undefined) return 0;
    if (fault === "checked before the section") {
      const isCurrent = (yield load(this.#page.sequence)) === mapped.sequence;
      yield add(this.#slot, 1);
      if (isCurrent) return mapped.frame;
    } else {
      yield add(this.#slot, 1);
      if (fault === "sequence not compared in the access" || (yield load(this.#page.sequence)) === mapped.sequence) return mapped.frame;
    }
    yield add(this.#slot, 1);
    this.#mapped = undefined;
    return 0;
  }

  /** Closes the section. */
  *leave(): Steps {
    yield add(this.#slot, 1);
  }

  /** access: an event is set in the page, which is looked up as often as it takes. */
  *setEvent(): Steps {
    for (;;) {
      const frame = yield* this.enter();
      if (frame !== 0) {
        if (this.#host.fault === "section left before the use") yield* this.leave();
        yield* this.#page.setEvent(frame);
        if (this.#host.fault !== "section left before the use") yield* this.leave();
        return;
      }
      if (this.#host.fault === "refresh inside the section") yield add(this.#slot, 1);
      yield* this.refresh();
      if (this.#host.fault === "refresh inside the section") yield add(this.#slot, 1);
    }
  }

  /** RevocablePage.map. `find` answers which page is behind the guest frame now, where memslots change. */
  *refresh(find?: () => Steps<OurPage>): Steps {
    const { fault, generation } = this.#host;
    for (;;) {
      const before = yield load(generation);
      if (find !== undefined) this.#page = yield* find();
      const page = this.#page;
      let sequence = fault === "sequence sampled behind the look-up" ? -1 : yield load(page.sequence);
      yield* page.faultIn();
      const frame = yield load(page.entry);
      if (sequence === -1) sequence = yield load(page.sequence);
      // Found between the two stores of a cut; the shipped loop goes round until the second one is there, and sleeps in faultIn then.
      if (frame === BUSY) yield spinUntil(page.entry, (now) => now !== BUSY);
      if (frame === ABSENT) yield spinUntil(page.npt, (now) => now === 0);
      if (frame === BUSY || frame === ABSENT || !(yield* this.#mayPublish(sequence))) continue;
      if (find !== undefined && fault !== "generation not compared" && (yield load(generation)) !== before) continue;
      this.#mapped = { sequence, frame };
      return;
    }
  }

  /** Invalidations.mayPublish: active, then sequence. */
  *#mayPublish(sequence: number): Steps<boolean> {
    const { active, sequence: now } = this.#page;
    const { fault } = this.#host;
    if (fault === "sequence tested before active") {
      const isSame = (yield load(now)) === sequence;
      if ((yield load(active)) === 0) return isSame;
      yield sleepUntil(active, (count) => count === 0);
      return false;
    }
    if (fault !== "active not tested" && (yield load(active)) !== 0) {
      yield sleepUntil(active, (count) => count === 0);
      return false;
    }
    return fault === "sequence not tested" || (yield load(now)) === sequence;
  }
}
