/** Scenarios of pages: users, a vCPU's translation, and every kind of change between them. */
import { gfnOf } from "../abi/address.js";
import type { ScenarioThread } from "../explore/index.js";
import { keepsWhatWasAdded, mover, sleepless, threadOf, user } from "./actors.js";
import { $ } from "./instrument/runtime.js";
import type { Access } from "./instrument/runtime.js";
import { SLOT } from "./setting.js";
import type { Setting, ShippedScenario } from "./setting.js";
import { ModelVcpu, walk, wireFlush } from "./vcpu.js";

const GFN = gfnOf(5);
const COMMON = { contents: [0, 4], pages: [GFN] } as const;

/** A scenario whose changes keep what users add. */
function keeping(name: string, says: string, threads: (setting: Setting) => readonly ScenarioThread[]): ShippedScenario {
  return { ...COMMON, name, says, make: (setting) => ({ threads: threads(setting), atEnd: keepsWhatWasAdded(setting, GFN) }) };
}

/** A scenario whose changes may take contents away. */
function losing(name: string, says: string, threads: (setting: Setting) => readonly ScenarioThread[]): ShippedScenario {
  return { ...COMMON, name, says, make: (setting) => ({ threads: threads(setting) }) };
}

/** A processor that adds to the page through a translation it keeps until it is asked to drop it. */
function processor(setting: Setting, vcpu: ModelVcpu, turns: number): ScenarioThread {
  const { modules, world } = setting;
  const host = setting.attach();
  const own = setting.counts.push(0) - 1;
  let pfn: number | undefined;
  return {
    name: "vCPU",
    *run() {
      for (let turn = 0; turn < turns; turn++) {
        if ((yield* vcpu.takeRequests(-1)) !== 0) pfn = undefined;
        if ((yield* $(modules.enterGuestMode(vcpu as never))) !== true) continue;
        // A TLB miss: the nested page table is read in guest mode.
        pfn ??= yield* walk(host, GFN);
        if (pfn !== undefined) {
          const cell = world.map.cellOf(pfn * 1024);
          const value = yield { kind: "plain-load", cell };
          yield { kind: "plain-store", cell, value: value + 1 };
          setting.counts[own]!++;
        }
        yield* $(modules.leaveGuestMode(vcpu as never));
        if (pfn === undefined) yield* $(host.faultIn(GFN, true) as unknown);
      }
    },
  };
}

/** Adds to the page by a walk of its own outside of the guest's code, as a hypercall reads its arguments. */
function walker(setting: Setting, vcpu: ModelVcpu): ScenarioThread {
  const { modules, world } = setting;
  const host = setting.attach();
  const own = setting.counts.push(0) - 1;
  return threadOf("vCPU's hypercall", () => modules.asInGuestMode(vcpu as never, function* (): Access<void> {
    const pfn = yield* walk(host, GFN);
    if (pfn === undefined) return;
    const cell = world.map.cellOf(pfn * 1024);
    const value = yield { kind: "plain-load", cell };
    yield { kind: "plain-store", cell, value: value + 1 };
    setting.counts[own]!++;
  }));
}

function moveAnd(setting: Setting, other: (vcpu: ModelVcpu) => ScenarioThread): readonly ScenarioThread[] {
  const vcpu = new ModelVcpu(setting);
  return [mover(setting, "mover", [GFN], (host) => wireFlush(setting, host, vcpu)), other(vcpu)];
}

function discardWithoutSleep(setting: Setting): ScenarioThread {
  const host = setting.attach();
  return sleepless(threadOf("discard", () => host.discardPages(GFN, 1, { mustNotSleep: true })));
}

function removal(setting: Setting): ScenarioThread {
  const host = setting.attach();
  return threadOf("memslots", () => host.removeMemslot(SLOT.id));
}

/** What scenarios of pages there are. */
export const PAGE_SCENARIOS: readonly ShippedScenario[] = [
  keeping("shipped-move-and-use", "a page is used twice while its frame moves",
    (setting) => [mover(setting, "mover", [GFN]), user(setting, "user", { gfn: GFN, times: 2 })]),
  keeping("shipped-move-and-two-users", "two threads use a page while its frame moves",
    (setting) => [mover(setting, "mover", [GFN]), user(setting, "user", { gfn: GFN, times: 1 }), user(setting, "other user", { gfn: GFN, times: 1, offset: 4 })]),
  keeping("shipped-move-and-sleepless-user", "a page is used by who may not sleep while its frame moves",
    (setting) => [mover(setting, "mover", [GFN]), sleepless(user(setting, "sender", { gfn: GFN, times: 2, enter: "tryAccess" }))]),
  keeping("shipped-two-movers-and-use", "two threads move a frame that a third uses",
    (setting) => [mover(setting, "mover", [GFN]), mover(setting, "other mover", [GFN]), user(setting, "user", { gfn: GFN, times: 1 })]),
  keeping("shipped-move-and-guest", "a vCPU writes by its translation while the frame moves",
    (setting) => moveAnd(setting, (vcpu) => processor(setting, vcpu, 3))),
  keeping("shipped-move-and-walk", "a walk for a hypercall's argument goes on while the frame moves",
    (setting) => moveAnd(setting, (vcpu) => walker(setting, vcpu))),
  losing("shipped-slot-and-use", "a memslot goes while its page is used",
    (setting) => [removal(setting), user(setting, "user", { gfn: GFN, times: 1 })]),
  losing("shipped-discard-without-sleep", "a change that must not sleep meets one that may, and a user",
    (setting) => [discardWithoutSleep(setting), mover(setting, "mover", [GFN]), user(setting, "user", { gfn: GFN, times: 1 })]),
];

