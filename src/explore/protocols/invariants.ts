/**
 * What must hold in every protocol, as functions of the words: the invariants that the scenarios are checked against, by their numbers.
 *
 *     I1  an access finds its frame allocated                    the model's own check of every use
 *     I2  a write that begins after a change goes to the frame the page has now        claim `landsInCurrentFrame`
 *     I3  active if and only if on the list, at lock boundaries  `activeIsListed`
 *     I4  valid implies active                                   `validIsActive`
 *     I5  valid implies that no invalidation's start has returned since the look-up    I1 and I9 by its consequences
 *     I6  references = mappings at the end                       HostPage.leakAt
 *     I7  an offline succeeds once users pause                   claim in the offliner
 *     I8  the mapped offset is the address's                     claim `hasOffset`
 *     I9  an event that was delivered is seen by the guest       `eventIsSeen`
 *     I10 versions are even at rest, equal even versions frame whole data              `isEven`, claim in the guest's reader
 *     I11 a run state's times add up to its entry time           claim in the guest's reader
 *     I12 who may not sleep does not                             the model's own check of every sleeping step
 *     I13 nobody waits in a circle                               the model's own check at the end of every schedule
 *     I14 a refresh ends when invalidations do                   the same, and the bound on retries
 *     I15 counts are never negative and 0 at the end             `isNeverNegative`, `isZeroAtEnd`
 *     I16 a memslot update ends                                  as I13
 */
import type { Cell, ModelView } from "../model.js";
import type { HostPage } from "./host-page.js";
import { claim } from "./steps.js";

/** A condition on the words; a text is what is wrong. */
export type Condition = (view: ModelView) => string | undefined;

/** Every condition; the first that is broken speaks. */
export function all(...conditions: readonly Condition[]): Condition {
  return (view) => {
    for (const condition of conditions) {
      const fault = condition(view);
      if (fault !== undefined) return fault;
    }
    return undefined;
  };
}

/** I2, a step of the writer: it began when the change was over (`began` = 1) and must have written to the frame of the new mapping. */
export function landsInCurrentFrame(began: number, frame: number, current: number): ReturnType<typeof claim> {
  return claim(began === 0 || frame === current, `I2: written to frame ${frame} after the page had become frame ${current} for good`);
}

/** I3: `lock` is free or the fields agree. */
export function activeIsListed(lock: Cell, active: Cell, listed: Cell): Condition {
  return (view) => {
    const isFault = view.value(lock) === 0 && view.value(active) === 1 && view.value(listed) === 0;
    return isFault ? "I3: an active cache is not on the notifier's list" : undefined;
  };
}

/** I4. */
export function validIsActive(valid: Cell, active: Cell): Condition {
  return (view) => (view.value(valid) === 1 && view.value(active) === 0 ? "I4: a cache that is not active is valid" : undefined);
}

/** I8, a step. */
export function hasOffset(offset: number, expected: number): ReturnType<typeof claim> {
  return claim(offset === expected, `I8: used at offset 0x${offset.toString(16)} of the page, registered at 0x${expected.toString(16)}`);
}

/** I9, at the end: what was reported as delivered is in the page that the guest sees. */
export function eventIsSeen(page: HostPage, delivered: Cell): Condition {
  return (view) => {
    const isLost = view.value(delivered) !== 0 && !page.hasEvent(view);
    return isLost ? "I9: an event was delivered, and the guest's page does not have it" : undefined;
  };
}

/** I6, at the end. */
export function hasNoLeak(page: HostPage): Condition {
  return (view) => page.leakAt(view);
}

/** I10, at the end: a version is even. */
export function isEven(version: Cell): Condition {
  return (view) => (view.value(version) % 2 === 0 ? undefined : `I10: version ${view.value(version)} at rest`);
}

/** I15, after every step. */
export function isNeverNegative(...counts: readonly Cell[]): Condition {
  return (view) => (counts.some((cell) => view.value(cell) < 0) ? "I15: a count of invalidations is negative" : undefined);
}

/** I15, at the end. */
export function isZeroAtEnd(...counts: readonly Cell[]): Condition {
  return (view) => (counts.some((cell) => view.value(cell) !== 0) ? "I15: a count of invalidations is not 0 when all have ended" : undefined);
}
