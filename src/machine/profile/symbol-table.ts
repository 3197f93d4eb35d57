/** Symbols of a kernel: where each one begins, by address and by name. */

/** Widest gap behind a symbol in which an address still belongs to it; no function of a kernel is longer. */
const SYMBOL_BYTES_MAX = 1n << 20n;
const CODE_TYPES = "tTwW";

/** Symbols, a column for each thing that is told of them: there are some 100,000. */
export interface SymbolList {
  /** Linear addresses as linked, without the shift of KASLR; per-CPU variables of Linux up to 6.14 have offsets. */
  readonly addresses: BigUint64Array<ArrayBuffer>;
  /** A letter of nm for each: t and T code, w and W weak, the others data or absolute. */
  readonly types: string;
  readonly names: readonly string[];
}

/** The symbols of one kernel. */
export class SymbolTable {
  readonly #list: SymbolList;
  /** Functions by their addresses; the list's index of each. */
  readonly #addresses: BigUint64Array;
  readonly #indices: Uint32Array;

  /** Of several symbols at one address, code is found by the first, as in the kernel's own kallsyms_lookup. */
  constructor(list: SymbolList) {
    const { addresses, types } = list;
    const code: number[] = [];
    for (let index = 0; index < types.length; index++) if (CODE_TYPES.includes(types[index]!)) code.push(index);
    code.sort((a, b) => (addresses[a]! < addresses[b]! ? -1 : addresses[a]! > addresses[b]! ? 1 : a - b));
    const first = code.filter((index, place) => place === 0 || addresses[index] !== addresses[code[place - 1]!]);
    this.#list = list;
    this.#indices = Uint32Array.from(first);
    this.#addresses = new BigUint64Array(first.length);
    first.forEach((index, place) => (this.#addresses[place] = addresses[index]!));
  }

  /** Address as linked of the symbol `name`; undefined = there is none. */
  addressOf(name: string): bigint | undefined {
    const index = this.#list.names.indexOf(name);
    return index < 0 ? undefined : this.#list.addresses[index];
  }

  /** The function that the code at `address` (as linked) belongs to; undefined = none of this table. */
  functionAt(address: bigint): string | undefined {
    let low = 0, high = this.#addresses.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#addresses[middle]! <= address) low = middle + 1;
      else high = middle;
    }
    if (low === 0 || address - this.#addresses[low - 1]! >= SYMBOL_BYTES_MAX) return undefined;
    return this.#list.names[this.#indices[low - 1]!];
  }
}

const MAP_LINE = /^([0-9a-f]{8,16}) (\S) (\S+)/;
/** Of a match: the whole, address, type, name. */
const MAP_GROUPS = 4;

/** Reads a System.map (nm's output: address, type, name). Lines of other forms are left out; undefined = no code is named. */
export function parseSystemMap(text: string): SymbolList | undefined {
  const lines = text.split("\n").flatMap((line) => MAP_LINE.exec(line) ?? []);
  const column = (group: number): string[] => lines.filter((_, index) => index % MAP_GROUPS === group);
  const types = column(2).join("");
  if (!/[tT]/.test(types)) return undefined;
  return { addresses: BigUint64Array.from(column(1), (address) => BigInt(`0x${address}`)), types, names: column(3) };
}
