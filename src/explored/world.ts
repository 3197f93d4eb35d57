/**
 * The shared memory of an exploration of the shipped source: the words that were touched, each a cell of the model. Set-up happens at once,
 * before the threads begin; the words are then what the exploration starts from. A word's cell is the same in every execution.
 */
import type { Operation } from "../explore/index.js";
import * as layout from "../host-memory/layout.js";

/** Room for words that are first touched while threads run. */
const SPARE_CELLS = 256;

/** Index from which on cells stand for the wake-ups of words. */
export const WAKE_UPS = 2 ** 31;
/** Index from which on cells stand for what views are open. */
const OPEN_FRAMES = 2 ** 33;

/** Names of the words that host-memory has one of. */
const WORD_NAMES = new Map<number, string>(Object.entries(layout).flatMap(([name, value]) =>
  (name.startsWith("WORD_") && typeof value === "number" ? [[value, name.slice("WORD_".length).toLowerCase().replaceAll("_", " ")] as const] : [])));

/** Which cell stands for which word, for one scenario and all its executions. */
export class CellMap {
  readonly #cells = new Map<number, number>();
  readonly names: string[] = [];

  /** The cell of the word at `index`. */
  cellOf(index: number): number {
    const known = this.#cells.get(index);
    if (known !== undefined) return known;
    const cell = this.names.length;
    this.#cells.set(index, cell);
    this.names.push(nameOf(index));
    return cell;
  }

  /** The cell of the word at `index` if it has one. */
  known(index: number): number | undefined {
    return this.#cells.get(index);
  }

  /** Gives the word at `index` a name for people. */
  name(index: number, name: string): void {
    this.names[this.cellOf(index)] = name;
  }
}

function nameOf(index: number): string {
  if (index >= WAKE_UPS && index < OPEN_FRAMES) return `wake-ups of ${nameOf(index - WAKE_UPS)}`;
  return WORD_NAMES.get(index) ?? `word 0x${(index * 4).toString(16)}`;
}

/** One execution's memory before its threads begin. */
export class World {
  readonly map: CellMap;
  /** Cells that tell the frame in which an access of a view is going on, 0 = none. */
  readonly openCells: number[] = [];
  readonly #values: number[] = [];

  constructor(map: CellMap) {
    this.map = map;
  }

  /** Makes a cell for a view of its own. */
  addOpenCell(): number {
    const index = OPEN_FRAMES + this.openCells.length;
    this.map.name(index, `frame in use ${this.openCells.length}`);
    const cell = this.map.cellOf(index);
    this.openCells.push(cell);
    return cell;
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

  /** The words as a scenario has them, with room for more. */
  words(): { readonly name: string; readonly value: number }[] {
    const { names } = this.map;
    const value = (cell: number): number => this.value(cell);
    return Array.from({ length: names.length + SPARE_CELLS }, (_, cell) => ({
      get name() {
        return names[cell] ?? `spare ${cell}`;
      },
      value: value(cell),
    }));
  }
}
