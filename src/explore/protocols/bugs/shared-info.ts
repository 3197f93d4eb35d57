/**
 * Writers of shared_info, vcpu_info and run states: B13, B18, B21, B32 and what is next to them.
 *
 *     sender                    1 mode once   2 pending bit   3 selector bit of that mode   4 upcall
 *     VMM moving vcpu_info      1 deactivate: sends go to the shadow   2 copy 64 bytes   3 register the new place   4 the vCPU moves the shadow over
 *     run state                 1 byte with UPDATE   2 the rest   3 byte without UPDATE
 *
 * vcpu_info "safely" copied while it is active (B18):
 *
 *     VMM                                       sender
 *     copies the old vcpu_info
 *                                               sets the selector bit in the old vcpu_info
 *     registers the new one
 *     -> the event is in a place nobody looks at
 */
import type { Scenario } from "../../model.js";
import type { Steps } from "../steps.js";
import { Words, claim, exchange, load, lock, maySleep, noSleep, protocol, setBits, sleepUntil, store, thread, unlock } from "../steps.js";

/** B13, B18, B21, B32. */
export const SHARED_INFO_BUGS = protocol({
  name: "shared-info-bugs",
  says: "a vcpu_info is moved by its VMM while an event comes",
  expected: "holds",
  variants: {
    "B18, copied while active": "end",
    "B21, mode read twice": "claim",
    "B21, mode read once": "holds",
    "B32, flag in the long store": "claim",
    "B32, flag in its own byte": "holds",
    "B32, guest's long load torn": "claim",
    "B13, sleeping lock in sched_out": "sleep-in-no-sleep",
  },
  create: (variant = "") => {
    if (variant.startsWith("B21")) return modeScenario(variant === "B21, mode read twice");
    if (variant.startsWith("B32")) return runstateScenario(variant);
    if (variant.startsWith("B13")) return schedOutScenario();
    return moveScenario(variant.startsWith("B18"));
  },
});

function moveScenario(isCopiedActive: boolean): Scenario {
  const words = new Words();
  const place = words.word("place of vcpu_info", 1);
  const selectors = [words.word("shadow selector"), words.word("pending_sel, old place"), words.word("pending_sel, new place")];
  const gpcLock = words.word("gpc->lock");
  function* sender(): Steps {
    yield lock(gpcLock);
    yield setBits(selectors[yield load(place)]!, 1);
    yield unlock(gpcLock);
  }
  function* register(to: number): Steps {
    yield lock(gpcLock);
    yield store(place, to);
    yield unlock(gpcLock);
  }
  function* vmm(): Steps {
    if (!isCopiedActive) yield* register(0);
    yield store(selectors[2]!, yield load(selectors[1]!));
    yield* register(2);
    yield setBits(selectors[2]!, yield exchange(selectors[0]!, 0));
  }
  return {
    words: words.list, threads: [thread("sender", sender), thread("VMM", vmm)],
    atEnd: (view) => (view.value(selectors[2]!) === 1 ? undefined : "I9: the event is not in the vcpu_info that the guest looks at"),
  };
}

function modeScenario(isReadTwice: boolean): Scenario {
  const words = new Words();
  const longMode = words.word("long_mode", 1);
  return { words: words.list, threads: [
    thread("sender", function* () {
      const forLimit = yield load(longMode);
      const forLayout = isReadTwice ? yield load(longMode) : forLimit;
      // Port 2000 is one of 4096 of a 64-bit guest; a 32-bit guest's bitmap ends at 1024.
      yield claim(forLimit === forLayout, "port 2000 passed the 64-bit limit and is set in the 32-bit bitmap: written over mask and clock");
    }),
    thread("VMM", function* () {
      yield store(longMode, 0);
    }),
  ] };
}

/**
 * An 8-byte store at an odd address is two stores to its reader: the low bytes, then the high byte with the flag. The guest reads the
 * entry time as Linux does where a load may be torn (get64 in drivers/xen/time.c): high, low, high again. With high and then low alone
 * the flag's own byte does not help: high before the update began, low from its middle, and both as before when it is over.
 */
function runstateScenario(variant: string): Scenario {
  const words = new Words();
  const [low, flag, time] = [words.word("entry time, bytes 0 to 6"), words.word("entry time, byte 7"), words.word("time[]")];
  function* hypervisor(): Steps {
    if (variant !== "B32, flag in the long store") yield store(flag, 0x80);
    yield store(low, 1);
    yield store(flag, 0x80);
    yield store(time, 1);
    yield store(flag, 0);
  }
  function* entryTime(): Steps<readonly [high: number, low: number] | undefined> {
    const high = yield load(flag);
    const rest = yield load(low);
    return variant === "B32, guest's long load torn" || (yield load(flag)) === high ? [high, rest] : undefined;
  }
  function* guest(): Steps {
    const before = yield* entryTime();
    if (before === undefined || before[0] !== 0) return;
    const sum = yield load(time);
    const after = yield* entryTime();
    const isQuiet = after !== undefined && after[0] === 0 && after[1] === before[1];
    if (isQuiet) yield claim(before[1] === sum, `I11: entry time ${before[1]}, times that add up to ${sum}, and no sign of an update`);
  }
  return { words: words.list, threads: [thread("hypervisor", hypervisor), thread("guest", guest)] };
}

/** B13: with the run queue lock held, a guest page that has to be faulted in. */
function schedOutScenario(): Scenario {
  const words = new Words();
  const mapped = words.word("guest page there");
  return { words: words.list, threads: [
    thread("sched_out", function* () {
      yield noSleep();
      yield sleepUntil(mapped, (value) => value === 1);
      yield maySleep();
    }),
    thread("host", function* () {
      yield store(mapped, 1);
    }),
  ] };
}
