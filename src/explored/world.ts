/**
 * The shared memory of an exploration of the shipped source: the words that were touched, each a cell of the model. Set-up happens at once,
 * before the threads begin; the words are then what the exploration starts from. A word's cell is the same in every execution.
 */
import type { Operation } from "../explore/index.js";
import { XEN_BLOCK_BASE, XEN_DOMAIN, XEN_VCPU } from "../abi/xen-block.js";
import * as layout from "../host-memory/layout.js";

/** Room for words that are first touched while threads run. */
const SPARE_CELLS = 256;

/** Index from which on cells stand for the wake-ups of words. */
export const WAKE_UPS = 2 ** 31;
/** Index from which on cells stand for what views are open. */
const OPEN_FRAMES = 2 ** 33;
/** Index of the word of a translation in use. */
const TRANSLATION = 2 ** 34;
/** Most views that one handle on the memory makes. */
const VIEWS_PER_HANDLE = 64;
/** Frame numbers are below this; the guest frame stands above. */
const PFN_LIMIT = 2 ** 20;

/** What a view's word holds while it is open: its frame, and the guest frame it is for where that is known. */
export function openValueOf(pfn: number, gpa: number | undefined): number {
  return pfn + (gpa === undefined ? 0 : (Math.floor(gpa / 4096) + 1) * PFN_LIMIT);
}

/** The way back: what a view is open in; undefined = it is not. */
export function openPlaceOf(value: number): { readonly pfn: number; readonly gfn: number | undefined } | undefined {
  if (value === 0) return undefined;
  const gfn = Math.floor(value / PFN_LIMIT) - 1;
  return { pfn: value % PFN_LIMIT, gfn: gfn < 0 ? undefined : gfn };
}

const inXenBlock = (field: number): number => (XEN_BLOCK_BASE + field) >>> 2;
const words = (name: string): string => name.replace(/([A-Z])/g, " $1").replaceAll("_", " ").toLowerCase();

/** Names of the words that host-memory and the Xen block have one of, vCPU 0's included. */
const WORD_NAMES = new Map<number, string>([
  ...Object.entries(XEN_DOMAIN).map(([name, field]) => [inXenBlock(field), words(name)] as const),
  ...Object.entries(XEN_VCPU).map(([name, field]) => [inXenBlock(XEN_DOMAIN.vcpus + field), words(name)] as const),
  ...Object.entries(layout).flatMap(([name, value]) =>
    (name.startsWith("WORD_") && typeof value === "number" ? [[value, name.slice("WORD_".length).toLowerCase().replaceAll("_", " ")] as const] : [])),
]);

/** Which cell stands for which word, for one scenario and all its executions. */
export class CellMap {
  readonly #cells = new Map<number, number>();
  readonly #given = new Map<number, string>();
  #active: readonly number[] = [];
  /** How many cells there were when #active was made. */
  #activeCount = 0;
  readonly names: string[] = [];
  /** Cells that tell the frame in which an access of a view is going on, 0 = none: those of all executions so far. */
  readonly openCells: number[] = [];
  /** The same of translations. */
  readonly translationCells: number[] = [];

  /** The cell of the word at `index`. */
  cellOf(index: number): number {
    const known = this.#cells.get(index);
    if (known !== undefined) return known;
    const cell = this.names.length;
    this.#cells.set(index, cell);
    this.names.push(this.#nameOf(index));
    return cell;
  }

  /** The cell of the word at `index` if it has one. */
  known(index: number): number | undefined {
    return this.#cells.get(index);
  }

  /** The cell of the open word of a handle's view. */
  openCellOf(handle: number, view: number): number {
    if (view >= VIEWS_PER_HANDLE) throw new Error(`expected at most ${VIEWS_PER_HANDLE} views of a handle`);
    return this.#listed(OPEN_FRAMES + handle * VIEWS_PER_HANDLE + view, `view ${handle}.${view}`, this.openCells);
  }

  /** The cell in which a vCPU tells the frame that it reaches by a translation, 0 = none. */
  translationCell(): number {
    return this.#listed(TRANSLATION, "translation", this.translationCells);
  }

  #listed(index: number, name: string, list: number[]): number {
    const known = this.#cells.get(index);
    if (known !== undefined) return known;
    const cell = this.cellOf(index);
    this.names[cell] = name;
    list.push(cell);
    return cell;
  }

  /** Cells of the active counts among invalidation buckets: the second word of each that was ever touched. */
  activeCells(firstIndex: number, bucketCount: number): readonly number[] {
    if (this.#activeCount !== this.names.length) {
      this.#activeCount = this.names.length;
      this.#active = [...this.#cells].filter(([index]) => index >= firstIndex && index < firstIndex + 2 * bucketCount && (index - firstIndex) % 2 === 1).map(([, cell]) => cell);
    }
    return this.#active;
  }

  /** Gives the word at `index` a name for people. */
  name(index: number, name: string): void {
    this.#given.set(index, name);
    this.names[this.cellOf(index)] = name;
  }

  #nameOf(index: number): string {
    if (index >= WAKE_UPS && index < OPEN_FRAMES) return `wake-ups of ${this.#nameOf(index - WAKE_UPS)}`;
    return this.#given.get(index) ?? WORD_NAMES.get(index) ?? `word 0x${(index * 4).toString(16)}`;
  }
}

/** One execution's memory before its threads begin. */
export class World {
  readonly map: CellMap;
  /** Offsets of the words that a frame has. */
  readonly contents: readonly number[];
  readonly #values: number[];
  #viewsNumber = 0;

  /** `values`: those of another world with the same map, that this one begins with. */
  constructor(map: CellMap, contents: readonly number[], values: readonly number[] = []) {
    this.map = map;
    this.contents = contents;
    this.#values = values.slice();
  }

  /** All values, for another world. */
  get values(): readonly number[] {
    return this.#values;
  }

  /** The number of the next handle on this memory: handles are made during set-up, in the same order each time. */
  takeViewsNumber(): number {
    return this.#viewsNumber++;
  }

  /** The cell in which a handle's view tells where it is open. */
  openCell(handle: number, view: number): number {
    return this.map.openCellOf(handle, view);
  }

  /** The value of a cell. */
  value(cell: number): number {
    return this.#values[cell] ?? 0;
  }

  /** Carries an operation out at once; the order of set-up is the order of its calls. */
  carryOut(operation: Operation): number {
    switch (operation.kind) {
      case "load":
      case "plain-load":
        return this.value(operation.cell);
      case "store":
      case "plain-store":
        this.#values[operation.cell] = operation.value;
        return 0;
      case "update": {
        const before = this.value(operation.cell);
        this.#values[operation.cell] = operation.by(before);
        return before;
      }
      case "lock":
        if (this.value(operation.cell) !== 0) throw new Error("set-up: expected a free lock");
        this.#values[operation.cell] = 1;
        return 0;
      case "try-lock":
        if (this.value(operation.cell) !== 0) return 0;
        this.#values[operation.cell] = 1;
        return 1;
      case "unlock":
        this.#values[operation.cell] = 0;
        return 0;
      case "await":
        if (!operation.until(this.value(operation.cell))) throw new Error("set-up: expected not to have to wait");
        return this.value(operation.cell);
      case "claim":
        if (!operation.holds) throw new Error(`set-up: ${operation.says}`);
        return 0;
      default:
        return 0;
    }
  }

  /** The words as a scenario has them, with room for more. The same list does for each execution: all begin alike. */
  words(): { readonly name: string; readonly value: number }[] {
    const { names } = this.map;
    return Array.from({ length: names.length + SPARE_CELLS }, (_, cell) => ({
      get name() {
        return names[cell] ?? `spare ${cell}`;
      },
      value: this.value(cell),
    }));
  }
}
