/**
 * Scenarios whose threads run the source that ships, instrumented: what the model contributes is the memory, the contents of
 * frames, and a processor that keeps a translation as a TLB does.
 *
 * Bounds that all of them have: a frame's contents are two words; words that only count are no accesses; a sleep with a time-out ends at
 * once; one guest page.
 */
import { gfnOf, gpaOf } from "../abi/address.js";
import type { Gfn } from "../abi/address.js";
import { PAGE_SIZE, VCPU } from "../abi/layout.js";
import type { GuestMemory, GuestPage } from "../guest-page/index.js";
import type { Edit } from "../guest-page/testing/mutant-tree.js";
import { HVA_PRESENT } from "../host-memory/address-space.js";
import type { HostMemory } from "../host-memory/index.js";
import { WORD_HVA_ROOT, WORD_INVALIDATION_BUCKETS, INVALIDATION_BUCKET_COUNT } from "../host-memory/layout.js";
import { faultsOf } from "./faults.js";
import { loadInstrumented } from "./instrument/modules.js";
import { $, $now, setAtOnce } from "./instrument/runtime.js";
import type { Access } from "./instrument/runtime.js";
import type { ModelView, Scenario, ScenarioDescription, ScenarioThread } from "../explore/index.js";
import { ModelWords } from "./seam.js";
import type { PageView } from "./views.js";
import { setWorld } from "./views.js";
import { CellMap, World } from "./world.js";

const GFN = gfnOf(5);
const PAGE_COUNT = 8;
const SLOT = { id: 0, baseGfn: gfnOf(0), pageCount: PAGE_COUNT } as const;

/** The instrumented modules that scenarios use. */
export interface ExploredModules {
  readonly HostMemory: typeof HostMemory;
  readonly GuestMemory: typeof GuestMemory;
  readonly enterGuestMode: (vcpu: never) => unknown;
  readonly leaveGuestMode: (vcpu: never) => unknown;
  readonly flushVcpuTlbs: (vcpus: readonly never[], options?: { readonly mustNotSleep?: boolean }) => unknown;
}

/** Loads them, with faults planted if wished. Throws Error. */
export async function loadExplored(edits: readonly Edit[] = []): Promise<ExploredModules> {
  const paths = ["host-memory/index.js", "guest-page/index.js", "exit/requests/guest-mode.js", "exit/requests/vcpu-requests.js"];
  return (await loadInstrumented(paths, edits)) as unknown as ExploredModules;
}

/** One execution: its memory, and handles on it. */
class Setting {
  readonly world: World;
  readonly host: HostMemory;
  /** Successful additions, by the threads themselves. */
  added = 0;
  /** False where the page's contents may go, as by a discard. */
  keepsContents = true;
  readonly modules: ExploredModules;

  constructor(modules: ExploredModules, map: CellMap) {
    this.modules = modules;
    this.world = new World(map);
    setWorld(this.world);
    setAtOnce(this.world);
    this.host = $now(modules.HostMemory.create({ guestMemoryBytes: 1 << 20, vcpuCount: 1 }));
    $now(this.host.addMemslot(SLOT));
    $now(this.host.faultIn(GFN, true));
  }

  /** A thread's own handle. */
  attach(): HostMemory {
    return $now(this.modules.HostMemory.attach(this.host.memory));
  }

  /** A guest page of a thread's own, mapped. */
  openPage(): GuestPage {
    const guest = new this.modules.GuestMemory(this.attach());
    return $now<GuestPage | undefined>(guest.openPage(gpaOf(GFN * PAGE_SIZE), PAGE_SIZE, "test"))!;
  }

  /** Ends the set-up and makes the scenario. */
  scenario(threads: readonly ScenarioThread[]): Scenario {
    const page = $now<number>(this.host.findHvaPage(GFN));
    setAtOnce(undefined);
    const entry = entryCell(this.world, page);
    return {
      words: this.world.words(), threads,
      invariant: (view) => this.#openFramesAreCurrent(view, entry),
      atEnd: (view) => this.#endFault(view, entry),
    };
  }

  /** I1, I2, I5: who is inside an access is in the frame that the page has. */
  #openFramesAreCurrent(view: ModelView, entry: number): string | undefined {
    const current = view.value(entry);
    for (const cell of this.world.openCells) {
      const pfn = view.value(cell);
      if (pfn !== 0 && current !== ((pfn << 12) | HVA_PRESENT)) return `an access is in frame 0x${pfn.toString(16)} while the page's entry is 0x${(current >>> 0).toString(16)}`;
    }
    return undefined;
  }

  /** Nothing that was added is lost, and all counts of active invalidations are back at zero (I15). */
  #endFault(view: ModelView, entry: number): string | undefined {
    const { map } = this.world;
    for (let bucket = 0; bucket < INVALIDATION_BUCKET_COUNT; bucket++) {
      const cell = map.known(WORD_INVALIDATION_BUCKETS + 2 * bucket + 1);
      if (cell !== undefined && view.value(cell) !== 0) return `the active count of bucket ${bucket} is ${view.value(cell)} at the end`;
    }
    const current = view.value(entry);
    const frameWord = (current >>> 12) * 1024;
    const isPresent = (current & 7) === HVA_PRESENT;
    const found = isPresent ? view.value(map.cellOf(frameWord)) + view.value(map.cellOf(frameWord + 1)) : this.added;
    return found === this.added || !this.keepsContents ? undefined : `${this.added} were added to the page, and it has ${found}`;
  }
}

/** The cell of a page's entry in the address space. */
function entryCell(world: World, page: number): number {
  const leaf = world.value(world.map.cellOf(WORD_HVA_ROOT + (page >>> 10)));
  const index = (leaf >>> 2) + (page & 1023);
  world.map.name(index, "entry of the page");
  return world.map.cellOf(index);
}

/** Adds one to a word of the page, by a plain read and a plain write with room between them. Each user has a word of its own. */
function addOneAt(offset: number): (view: PageView) => Access<true> {
  return function* (view) {
    const value = yield* view.readU32(offset);
    yield* view.writeU32(offset, value + 1);
    return true;
  };
}

/** Uses the page `times` times, looking it up where it was revoked. */
function user(setting: Setting, name: string, times: number, offset = 0): ScenarioThread {
  const page = setting.openPage();
  const addOne = addOneAt(offset);
  return {
    name,
    *run() {
      for (let time = 0; time < times; time++) {
        if ((yield* $(page.access(addOne as never) as unknown)) === true) setting.added++;
      }
    },
  };
}

/** Uses the page without sleeping; what does not go through is not done. */
function sleeplessUser(setting: Setting, name: string, times: number): ScenarioThread {
  const page = setting.openPage();
  const addOne = addOneAt(0);
  return sleepless({
    name,
    *run() {
      for (let time = 0; time < times; time++) {
        if ((yield* $(page.tryAccess(addOne as never) as unknown)) === true) setting.added++;
      }
    },
  });
}

/** The same thread, which must not sleep. */
function sleepless({ name, run }: ScenarioThread): ScenarioThread {
  return {
    name,
    *run() {
      yield { kind: "no-sleep", begins: true };
      yield* run();
      yield { kind: "no-sleep", begins: false };
    },
  };
}

/** A thread that makes one call of the instrumented source. */
function threadOf(name: string, call: () => unknown): ScenarioThread {
  return {
    name,
    *run() {
      yield* $(call());
    },
  };
}

function mover(setting: Setting, name: string, gfns: readonly Gfn[]): ScenarioThread {
  const host = setting.attach();
  return threadOf(name, () => host.moveFrames(gfns));
}

/** What stands for a vCPU's state: the words of its requests and its mode. */
interface ModelVcpu {
  readonly index: 0;
  readonly words: ModelWords;
  readonly longs: ModelWords;
  wordIndex(field: number): number;
  readonly requests: number;
}

const VCPU_WORDS = 2 ** 20;

function modelVcpu(world: World): ModelVcpu {
  const words = new ModelWords(world);
  return { index: 0, words, longs: words, wordIndex: (field) => VCPU_WORDS + field / 4, requests: 0 };
}

/** A processor that adds to the page through a translation it keeps until it is asked to drop it. */
function processor(setting: Setting, vcpu: ModelVcpu, turns: number): ScenarioThread {
  const { modules } = setting;
  const host = setting.attach();
  const request = setting.world.map.cellOf(vcpu.wordIndex(VCPU.request));
  setting.world.map.name(vcpu.wordIndex(VCPU.request), "request word");
  setting.world.map.name(vcpu.wordIndex(VCPU.guestEpoch), "guest epoch");
  let pfn = 0;
  return {
    name: "vCPU",
    *run() {
      for (let turn = 0; turn < turns; turn++) {
        if ((yield { kind: "update", cell: request, by: () => 0 }) !== 0) pfn = 0;
        if ((yield* $(modules.enterGuestMode(vcpu as never))) !== true) continue;
        // A TLB miss: the nested page table is read in guest mode.
        if (pfn === 0) {
          const entry = (yield* $(host.nptEntry(GFN) as unknown)) as number;
          if ((entry & 1) !== 0) pfn = entry >>> 12;
        }
        if (pfn !== 0) {
          const cell = setting.world.map.cellOf(pfn * 1024);
          const value = yield { kind: "plain-load", cell };
          yield { kind: "plain-store", cell, value: value + 1 };
          setting.added++;
        }
        yield* $(modules.leaveGuestMode(vcpu as never));
        if (pfn === 0) yield* $(host.faultIn(GFN, true) as unknown);
      }
    },
  };
}

/** A scenario without the modules it runs. */
interface ShippedScenario {
  readonly name: string;
  readonly says: string;
  make(setting: Setting): Scenario;
}

const SHIPPED: readonly ShippedScenario[] = [
  {
    name: "shipped-move-and-use", says: "the source that ships: a page is used twice while its frame moves",
    make: (setting) => setting.scenario([mover(setting, "mover", [GFN]), user(setting, "user", 2)]),
  },
  {
    name: "shipped-move-and-two-users", says: "the source that ships: two threads use a page while its frame moves",
    make: (setting) => setting.scenario([mover(setting, "mover", [GFN]), user(setting, "user", 1), user(setting, "other user", 1, 4)]),
  },
  {
    name: "shipped-move-and-sleepless-user", says: "the source that ships: a page is used by who may not sleep while its frame moves",
    make: (setting) => setting.scenario([mover(setting, "mover", [GFN]), sleeplessUser(setting, "sender", 2)]),
  },
  {
    name: "shipped-two-movers-and-use", says: "the source that ships: two threads move a frame that a third uses",
    make: (setting) => setting.scenario([mover(setting, "mover", [GFN]), mover(setting, "other mover", [GFN]), user(setting, "user", 1)]),
  },
  {
    name: "shipped-move-and-guest", says: "the source that ships: a vCPU writes by its translation while the frame moves", make: moveAndGuest,
  },
  {
    name: "shipped-slot-and-use", says: "the source that ships: a memslot goes while its page is used",
    make: (setting) => {
      const host = setting.attach();
      setting.keepsContents = false;
      return setting.scenario([threadOf("memslots", () => host.removeMemslot(SLOT.id)), user(setting, "user", 1)]);
    },
  },
  {
    name: "shipped-discard-without-sleep", says: "the source that ships: a change that must not sleep meets one that may, and a user",
    make: (setting) => {
      const host = setting.attach();
      setting.keepsContents = false;
      const discards = sleepless(threadOf("discard", () => host.discardPages(GFN, 1, { mustNotSleep: true })));
      return setting.scenario([discards, mover(setting, "mover", [GFN]), user(setting, "user", 1)]);
    },
  },
];

function moveAndGuest(setting: Setting): Scenario {
  const { modules } = setting;
  const vcpu = modelVcpu(setting.world);
  const host = setting.attach();
  host.setVcpuFlush({
    tlbs: ((mustNotSleep: boolean) => modules.flushVcpuTlbs([vcpu as never], { mustNotSleep })) as never,
    code: () => undefined,
  });
  return setting.scenario([threadOf("mover", () => host.moveFrames([GFN])), processor(setting, vcpu, 3)]);
}

/** Scenarios over the source that ships, by name. */
export const SHIPPED_SCENARIOS: readonly Omit<ScenarioDescription, "create">[] = SHIPPED.map(({ name, says }) =>
  ({ name, says, expected: "holds", mutations: faultsOf(name).map(({ id }) => id) }));

/** The scenario `name` over the source that ships, with one of its faults planted if wished; undefined = there is none of that name. */
export async function loadShippedScenario(name: string, mutation?: string): Promise<ScenarioDescription | undefined> {
  const fault = faultsOf(name).find(({ id }) => id === mutation);
  return await loadWithEdits(name, fault?.edits);
}

/** As above, with any edits of the compiled modules. Throws Error where one does not fit. */
export async function loadWithEdits(name: string, edits: readonly Edit[] = []): Promise<ScenarioDescription | undefined> {
  const scenario = SHIPPED.find((candidate) => candidate.name === name);
  const description = SHIPPED_SCENARIOS.find((candidate) => candidate.name === name);
  if (scenario === undefined || description === undefined) return undefined;
  const modules = await loadExplored(edits);
  // A word has the same cell in every execution.
  const map = new CellMap();
  nameCells(scenario, new Setting(edits.length === 0 ? modules : await loadExplored(), map));
  return { ...description, create: () => scenario.make(new Setting(modules, map)) };
}

/**
 * Lets each thread run by itself, one after the other, so that the words which they touch have names before the first schedule.
 * Precondition: without a fault planted, with which one might wait for another that has ended.
 */
function nameCells(scenario: ShippedScenario, setting: Setting): void {
  const { threads } = scenario.make(setting);
  setAtOnce(setting.world);
  for (const thread of threads) $now(thread.run());
  setAtOnce(undefined);
}
