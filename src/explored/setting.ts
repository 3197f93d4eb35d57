/**
 * One execution of a scenario over the shipped source: its memory, and handles on it. What is the same in each execution (a host memory
 * with its memslot and its first pages) is set up once, and the others begin with its words.
 */
import { gfnOf, gpaOfGfn } from "../abi/address.js";
import type { Gfn, Gpa } from "../abi/address.js";
import { NPT_LEAF_ENTRIES, PAGE_SIZE } from "../abi/layout.js";
import type { Scenario, ScenarioThread } from "../explore/index.js";
import type { GuestMemory, GuestPage, PageAccess } from "../guest-page/index.js";
import type { HostMemory } from "../host-memory/index.js";
import { WORD_HVA_ROOT } from "../host-memory/layout.js";
import { $, $now, setAtOnce } from "./instrument/runtime.js";
import type { Access } from "./instrument/runtime.js";
import { endFault, stepFault } from "./invariants.js";
import type { ExploredModules } from "./modules.js";
import type { HostViews } from "./views.js";
import { setWorld } from "./views.js";
import { World } from "./world.js";
import type { CellMap } from "./world.js";

/** Pages of guest memory, in one memslot from guest frame 0 on. */
export const PAGE_COUNT = 16;
/** The memslot. */
export const SLOT = { id: 0, baseGfn: gfnOf(0), pageCount: PAGE_COUNT } as const;

/** Where the memslot is moved to in scenarios that do so. */
export const ELSEWHERE = gfnOf(0x400);
/** All guest frames that memslots ever have. */
const GFNS = [0, ELSEWHERE].flatMap((base) => Array.from({ length: PAGE_COUNT }, (_, at) => base + at));

/** A scenario over the shipped source. */
export interface ShippedScenario {
  readonly name: string;
  readonly says: string;
  /** Offsets of the words that frames have. */
  readonly contents: readonly number[];
  /** Pages that have a frame at the start. */
  readonly pages: readonly Gfn[];
  /** What else is set up once, at once. */
  readonly prepare?: (setting: Setting) => void;
  readonly make: (setting: Setting) => ScenarioParts;
}

/** What a scenario is made of, besides its memory. */
export interface ScenarioParts {
  readonly threads: readonly ScenarioThread[];
  /** Asked at the end, with the invariants of all scenarios. */
  readonly atEnd?: NonNullable<Scenario["atEnd"]>;
}

/** What executions have in common. */
interface Common {
  readonly modules: ExploredModules;
  readonly map: CellMap;
  readonly scenario: ShippedScenario;
}

/** One execution's memory and handles. */
export class Setting {
  readonly modules: ExploredModules;
  readonly world: World;
  readonly memory: HostMemory["memory"];
  /** What each thread counts for the end, in an element that is its own. */
  readonly counts: number[] = [];

  private constructor({ modules, map, scenario }: Common, values?: readonly number[]) {
    this.modules = modules;
    this.world = new World(map, scenario.contents, values);
    this.memory = { buffer: { world: this.world } } as never;
    setAtOnce(this.world);
  }

  /** The first execution, set up from nothing; its words are what the others begin with. */
  static first(common: Common): Setting {
    const setting = new Setting(common);
    setWorld(setting.world);
    const host = $now<HostMemory>(common.modules.HostMemory.create({ guestMemoryBytes: 1 << 20, vcpuCount: 1 }));
    $now(host.addMemslot(SLOT));
    for (const gfn of common.scenario.pages) $now(host.faultIn(gfn, true));
    for (const gfn of common.scenario.pages) setting.world.map.name(setting.entryIndex(gfn), `entry of page ${gfn}`);
    common.scenario.prepare?.(setting);
    return setting;
  }

  /** A further execution. */
  static next(common: Common, first: Setting): Setting {
    return new Setting(common, first.world.values);
  }

  /** A thread's own handle. */
  attach(): HostMemory {
    return $now(this.modules.HostMemory.attach(this.memory));
  }

  /** A thread's own way to guest memory; the pages that are opened tell invariants for which guest frame they are. */
  guestOf(host: HostMemory, pageAccess: PageAccess = "revocable"): GuestMemory {
    const guest = new this.modules.GuestMemory(host, { pageAccess });
    const openPage = guest.openPage.bind(guest);
    const views = host.views as unknown as HostViews;
    guest.openPage = function* (gpa: Gpa, ...rest: [number, never]): Access<unknown> {
      views.nextPage = gpa;
      return yield* $(openPage(gpa, ...rest) as unknown);
    } as never;
    return guest;
  }

  /** A guest page of a thread's own, mapped. */
  openPage(gfn: Gfn, host = this.attach(), pageAccess: PageAccess = "revocable"): GuestPage {
    return $now<GuestPage | undefined>(this.guestOf(host, pageAccess).openPage(gpaOfGfn(gfn), PAGE_SIZE, "test"))!;
  }

  /** The word at `offset` of a page, as set-up finds it. */
  pageWord(gfn: Gfn, offset: number): number {
    return (this.#entry(gfn) >>> 12) * 1024 + offset / 4;
  }

  /** Writes a word of a page, during set-up. */
  poke(gfn: Gfn, offset: number, value: number): void {
    this.world.carryOut({ kind: "store", cell: this.world.map.cellOf(this.pageWord(gfn, offset)), value });
  }

  #entry(gfn: Gfn): number {
    return this.world.value(this.world.map.cellOf(this.entryIndex(gfn)));
  }

  /** The word of the address space's entry of a page of the first memslot. Precondition: its leaf table is there. */
  entryIndex(gfn: Gfn): number {
    const { world } = this;
    const page = NPT_LEAF_ENTRIES + gfn;
    const leaf = world.value(world.map.cellOf(WORD_HVA_ROOT + Math.floor(page / NPT_LEAF_ENTRIES)));
    return (leaf >>> 2) + (page % NPT_LEAF_ENTRIES);
  }

  /** Ends the set-up and makes the scenario. */
  finish({ threads, atEnd }: ScenarioParts, words: Scenario["words"]): Scenario {
    const { map } = this.world;
    setAtOnce(undefined);
    return { words, threads, invariant: (view) => stepFault(map, view), atEnd: (view) => endFault(map, view, GFNS) ?? atEnd?.(view) };
  }
}
