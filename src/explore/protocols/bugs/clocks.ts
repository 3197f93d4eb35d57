/**
 * The clock page, pvclock_vcpu_time_info: B33, B35, B43.
 *
 *     hypervisor                1 version odd   2 data   3 version even
 *     guest                     1 version, even? otherwise again   2 data   3 version the same? otherwise again
 *
 * Version and data in one go, version first or last (B33):
 *
 *     hypervisor                                guest, another vCPU
 *     writes the new system_time
 *                                               version 2; reads system_time (new), mul (old); version 2 still
 *     writes the new mul
 *     writes version 4
 *     -> time goes backwards on one vCPU
 */
import type { Scenario } from "../../model.js";
import { isEven } from "../invariants.js";
import type { Steps } from "../steps.js";
import { Words, claim, load, protocol, setBits, store, thread } from "../steps.js";

/** B33, B35, B43; mutation M25's first half. */
export const CLOCK_BUGS = protocol({
  name: "clock-bugs",
  says: "a clock is written while another vCPU reads it",
  expected: "holds",
  variants: {
    "B33, version once at the end": "claim",
    "version even before the data": "claim",
    "B43, clock update only requested": "claim",
    "B43, updated at once": "holds",
    "B35, one copy for two clocks": "claim",
  },
  create: (variant = "") => {
    if (variant.startsWith("B43")) return offsetScenario(variant === "B43, updated at once");
    if (variant.startsWith("B35")) return flagScenario();
    return versionScenario(variant);
  },
});

function versionScenario(variant: string): Scenario {
  const words = new Words();
  const version = words.word("version", 2);
  const [systemTime, mul] = [words.word("system_time"), words.word("tsc_to_system_mul")];
  const startsOdd = variant !== "B33, version once at the end";
  const endsEarly = variant === "version even before the data";
  return {
    words: words.list, atEnd: isEven(version), threads: [
      thread("hypervisor", function* () {
        const odd = (yield load(version)) + 1;
        if (startsOdd) yield store(version, odd);
        if (endsEarly) yield store(version, odd + 1);
        yield store(systemTime, 1);
        yield store(mul, 1);
        if (!endsEarly) yield store(version, odd + 1);
      }),
      thread("guest", function* () {
        const before = yield load(version);
        const [time, factor] = [yield load(systemTime), yield load(mul)];
        const isWhole = before % 2 === 0 && (yield load(version)) === before;
        if (isWhole) yield claim(time === factor, "I10: the same even version before and after, and half of the data is new");
      }),
    ],
  };
}

/** B43: the TSC offset of a vCPU changes; until its clock was computed anew, the guest must not run. */
function offsetScenario(isAtOnce: boolean): Scenario {
  const words = new Words();
  const [tscOffset, clockOffset, request] = [words.word("tsc offset"), words.word("offset the clock was made with"), words.word("clock update request")];
  return { words: words.list, threads: [
    thread("VMM", function* () {
      yield store(tscOffset, 1);
      if (isAtOnce) yield store(clockOffset, 1);
      yield store(request, 1);
    }),
    thread("vCPU", function* () {
      // The VMM's ioctl runs on the vCPU's own thread, between exit and entry: one request, one look at it.
      if ((yield load(request)) === 0) return;
      yield store(request, 0);
      yield claim((yield load(clockOffset)) === (yield load(tscOffset)), "the guest computes time with the new counter and the old parameters");
    }),
  ] };
}

/** B35: a flag meant for kvmclock stays in the one copy that the Xen clock is written from next. Needs no second thread. */
function flagScenario(): Scenario {
  const words = new Words();
  const [copy, xenClock] = [words.word("hv_clock.flags"), words.word("vcpu_info.time.flags")];
  function* write(): Steps {
    yield setBits(copy, 2);
    yield store(xenClock, yield load(copy));
    yield claim((yield load(xenClock)) === 0, "GUEST_STOPPED, meant for kvmclock, is in the Xen clock");
  }
  return { words: words.list, threads: [thread("vCPU", write)] };
}
