/** Threads that several scenarios have. */
import type { Gfn } from "../abi/address.js";
import type { ModelView, ScenarioThread } from "../explore/index.js";
import { HVA_SWAPPED, pfnOfEntry, slotOfEntry, stateOfEntry } from "../host-memory/address-space.js";
import type { PageAccess } from "../guest-page/index.js";
import type { HostMemory } from "../host-memory/index.js";
import type { MoveOutcome } from "../host-memory/operations.js";
import { $ } from "./instrument/runtime.js";
import type { Access } from "./instrument/runtime.js";
import { MemoryWords } from "./invariants.js";
import type { Setting } from "./setting.js";
import { SWAP_FILE } from "./swap-file.js";
import type { PageView } from "./views.js";

/** A thread that makes one call of the instrumented source. */
export function threadOf(name: string, call: () => unknown): ScenarioThread {
  return {
    name,
    *run() {
      yield* $(call());
    },
  };
}

/** The same thread, which must not sleep (I12). */
export function sleepless({ name, run }: ScenarioThread): ScenarioThread {
  return {
    name,
    *run() {
      yield { kind: "no-sleep", begins: true };
      yield* run();
      yield { kind: "no-sleep", begins: false };
    },
  };
}

/** Gives pages other frames. Nobody in these scenarios may keep one where it is (I7). `wire`: how its changes reach a vCPU. */
export function mover(setting: Setting, name: string, gfns: readonly Gfn[], wire?: (host: HostMemory) => void): ScenarioThread {
  const host = setting.attach();
  wire?.(host);
  return {
    name,
    *run() {
      const { moved, pinned } = (yield* $(host.moveFrames(gfns) as unknown)) as MoveOutcome;
      yield { kind: "claim", holds: pinned === 0, says: `I7: of ${gfns.length} frames ${moved} were moved, and ${pinned} are held by somebody` };
    },
  };
}

/** Adds one to a word of the page, by a plain read and a plain write with room between them. Each user has a word of its own. */
function addOneAt(offset: number): (view: PageView) => Access<true> {
  return function* (view) {
    const value = yield* view.readU32(offset);
    yield* view.writeU32(offset, value + 1);
    return true;
  };
}

/** Who uses a page how often, and its word in it. */
export interface UserParts {
  readonly gfn: Gfn;
  readonly times: number;
  readonly offset?: number;
  readonly enter?: "access" | "tryAccess";
  readonly pageAccess?: PageAccess;
  /** How the thread's handle is wired. */
  readonly wire?: (host: HostMemory) => void;
}

/** Uses the page, looking it up where it was revoked; "tryAccess": what does not go through is not done. */
export function user(setting: Setting, name: string, { gfn, times, offset = 0, enter = "access", pageAccess, wire }: UserParts): ScenarioThread {
  const host = setting.attach();
  wire?.(host);
  const page = setting.openPage(gfn, host, pageAccess);
  const addOne = addOneAt(offset);
  const own = setting.counts.push(0) - 1;
  return {
    name,
    *run() {
      for (let time = 0; time < times; time++) {
        if ((yield* $(page[enter](addOne as never) as unknown)) === true) setting.counts[own]!++;
      }
    },
  };
}

/** Nothing that was added to a page is lost: the question at the end for scenarios whose changes keep contents. */
export function keepsWhatWasAdded(setting: Setting, gfn: Gfn): (view: ModelView) => string | undefined {
  const { map, contents } = setting.world;
  return (view) => {
    const memory = new MemoryWords(map, view);
    const entry = memory.entryAt(gfn) ?? 0;
    const first = stateOfEntry(entry) === HVA_SWAPPED ? SWAP_FILE + slotOfEntry(entry) * 1024 : pfnOfEntry(entry) * 1024;
    const added = setting.counts.reduce((sum, count) => sum + count, 0);
    const found = contents.reduce((sum, offset) => sum + memory.word(first + offset / 4), 0);
    return found === added ? undefined : `${added} were added to the page, and it has ${found}`;
  };
}
