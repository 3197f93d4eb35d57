/** Writes WebAssembly: bytes, LEB128 numbers, structured control flow, and the module around functions (WebAssembly core specification 2.0, §5). */

/** Opcodes (§5.4). */
export const W = {
  unreachable: 0x00, block: 0x02, loop: 0x03, if: 0x04, else: 0x05, end: 0x0b, br: 0x0c, brIf: 0x0d, brTable: 0x0e, return: 0x0f, call: 0x10, returnCall: 0x12, returnCallIndirect: 0x13, drop: 0x1a, select: 0x1b,
  get: 0x20, set: 0x21, tee: 0x22, globalGet: 0x23,
  i32Load: 0x28, i64Load: 0x29, i32Load8U: 0x2d, i32Load16U: 0x2f, i64Load8S: 0x30, i64Load8U: 0x31, i64Load16S: 0x32, i64Load16U: 0x33,
  i64Load32S: 0x34, i64Load32U: 0x35, i32Store: 0x36, i64Store: 0x37, i64Store8: 0x3c, i64Store16: 0x3d, i64Store32: 0x3e,
  i32Const: 0x41, i64Const: 0x42,
  i32Eqz: 0x45, i32Eq: 0x46, i32Ne: 0x47, i32LtS: 0x48, i32GeS: 0x4e,
  i64Eqz: 0x50, i64Eq: 0x51, i64Ne: 0x52, i64LtS: 0x53, i64LtU: 0x54, i64GtU: 0x56, i64GeU: 0x5a, i64LeS: 0x57, i64LeU: 0x58,
  i32Add: 0x6a, i32Sub: 0x6b, i32And: 0x71, i32Or: 0x72, i32Xor: 0x73, i32Shl: 0x74, i32ShrS: 0x75, i32ShrU: 0x76,
  i32Rotl: 0x77, i32Rotr: 0x78,
  i64Clz: 0x79, i64Ctz: 0x7a, i64Popcnt: 0x7b, i64Add: 0x7c, i64Sub: 0x7d, i64Mul: 0x7e, i64DivS: 0x7f, i64DivU: 0x80, i64RemS: 0x81, i64RemU: 0x82,
  i64And: 0x83, i64Or: 0x84, i64Xor: 0x85, i64Shl: 0x86, i64ShrS: 0x87, i64ShrU: 0x88, i64Rotl: 0x89, i64Rotr: 0x8a,
  f64Eq: 0x61, f64Lt: 0x63, f64Load: 0x2b, f64Store: 0x39, f64Add: 0xa0, f64Sub: 0xa1, f64Mul: 0xa2, f64Div: 0xa3, f64ConvertI32S: 0xb7, f64ConvertI64S: 0xb9, i32TruncF64S: 0xaa, i64TruncF64S: 0xb0, f64FromBits: 0xbf, bitsFromF64: 0xbd,
  i32Wrap: 0xa7, i64ExtendU: 0xad, i64Extend8S: 0xc2, i64Extend16S: 0xc3, i64Extend32S: 0xc4,
} as const;
export const I32 = 0x7f;
export const I64 = 0x7e;
export const V128 = 0x7b;
const FUNCREF = 0x70;
const VOID = 0x40;
const FUNCTION_TYPE = 0x60;
const SHARED_WITH_MAXIMUM = 3;
const MODULE_HEAD = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0] as const;

/** Bytes of a number that is written later. */
const LATER = [0x80, 0x80, 0x80, 0x80, 0x80] as const;
const OP_BYTES_MAX = 4;
const CAPACITY_DEFAULT = 1 << 14;
/** A region's module besides its code: enough for most. */
const MODULE_CAPACITY = 1 << 11;
const SMALL_CAPACITY = 64;
/** In place of a byte. */
const NONE = -1;

/** A place that branches may go to. */
export interface Label { readonly depth: number }

/** Bytes of code, growing. */
export class CodeWriter {
  #bytes: Uint8Array;
  #length = 0;
  /** Blocks that are open. */
  #depth = 0;
  /** Offsets of the opcodes of ifs that are hardly ever true. */
  readonly #unlikely: number[] = [];

  /** `capacity` is how many bytes there is room for at first. */
  constructor(capacity = CAPACITY_DEFAULT) { this.#bytes = new Uint8Array(capacity); }

  get length(): number { return this.#length; }
  get bytes(): Uint8Array { return this.#bytes.subarray(0, this.#length); }
  get unlikely(): readonly number[] { return this.#unlikely; }
  /** How many blocks are open. */
  get depth(): number { return this.#depth; }

  /** Appends a byte, an opcode of W mostly, and up to three others. */
  op(first: number, second = NONE, third = NONE, fourth = NONE): this {
    if (this.#length + OP_BYTES_MAX > this.#bytes.length) this.#grow(OP_BYTES_MAX);
    this.#bytes[this.#length++] = first;
    if (second !== NONE) this.#bytes[this.#length++] = second;
    if (third !== NONE) this.#bytes[this.#length++] = third;
    if (fourth !== NONE) this.#bytes[this.#length++] = fourth;
    return this;
  }

  /** Appends the bytes of `other`. */
  append(other: ArrayLike<number>): this {
    if (this.#length + other.length > this.#bytes.length) this.#grow(other.length);
    this.#bytes.set(other, this.#length);
    this.#length += other.length;
    return this;
  }

  #grow(by: number): void {
    const bytes = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + by));
    bytes.set(this.#bytes);
    this.#bytes = bytes;
  }

  /** An unsigned LEB128 number below 2^32. */
  unsigned(value: number): this {
    while (value >= 0x80) {
      this.op((value & 0x7f) | 0x80);
      value >>>= 7;
    }
    return this.op(value);
  }

  /** A signed LEB128 number of 32 bits. */
  signed(value: number): this {
    value |= 0;
    while (value < -0x40 || value >= 0x40) {
      this.op((value & 0x7f) | 0x80);
      value >>= 7;
    }
    return this.op(value & 0x7f);
  }

  /** A number of at most 31 bits that `patch` writes later, of an opcode that takes it signed or unsigned. Returns its place. */
  later(): number {
    this.append(LATER);
    return this.#length - LATER.length;
  }

  /** Writes the number at `place`, of at least 0 if the opcode takes it unsigned. */
  patch(place: number, value: number): void {
    for (let byte = 0; byte < LATER.length; byte++) this.#bytes[place + byte] = ((value >> (7 * byte)) & 0x7f) | (byte < LATER.length - 1 ? 0x80 : 0);
  }

  /** Writes one byte at `place`. */
  patchByte(place: number, byte: number): void { this.#bytes[place] = byte; }

  /** i32.const; addresses above 2 GiB are negative there. */
  i32(value: number): this { return this.op(W.i32Const).signed(value); }

  /** i64.const. */
  i64(value: number | bigint): this {
    this.op(W.i64Const);
    if (typeof value === "number" && value === (value | 0)) return this.signed(value);
    let rest = BigInt.asIntN(64, BigInt(value));
    while (rest < -0x40n || rest >= 0x40n) {
      this.op(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    return this.op(Number(rest & 0x7fn));
  }

  get(local: number): this { return this.op(W.get).unsigned(local); }
  set(local: number): this { return this.op(W.set).unsigned(local); }
  tee(local: number): this { return this.op(W.tee).unsigned(local); }

  /** A load or store with a constant offset and no promise of alignment. */
  access(opcode: number, offset = 0): this { return this.op(opcode, 0).unsigned(offset); }

  /** An opcode of SIMD, or another one behind its prefix. */
  simd(opcode: number): this { return this.op(SIMD_PREFIX).unsigned(opcode); }

  /** A load or store of SIMD. */
  simdAccess(opcode: number, offset = 0): this { return this.simd(opcode).op(0).unsigned(offset); }

  /** A read-modify-write of ATOMIC, of 32 or 64 aligned bits. */
  atomic(opcodes: readonly [number, number], size: number): this {
    return this.op(ATOMIC_PREFIX, opcodes[size === 64 ? 1 : 0], size === 64 ? 3 : 2).unsigned(0);
  }

  /** Opens a block, a loop or an if without results. */
  open(opcode: typeof W.block | typeof W.loop | typeof W.if): Label {
    this.op(opcode, VOID);
    this.#depth++;
    return { depth: this.#depth };
  }

  /** As open, an if whose condition is hardly ever true; a compiler that takes hints keeps what is in it out of the way. */
  openUnlikely(): Label {
    this.#unlikely.push(this.#length);
    return this.open(W.if);
  }

  close(): this {
    this.#depth--;
    return this.op(W.end);
  }

  /** br or br_if to a label that is open. */
  branch(label: Label, opcode: typeof W.br | typeof W.brIf = W.br): this { return this.op(opcode).unsigned(this.#depth - label.depth); }

  /** br_table; the last label is that of everything else. */
  branchTable(labels: readonly Label[]): this {
    this.op(W.brTable).unsigned(labels.length - 1);
    for (const label of labels) this.unsigned(this.#depth - label.depth);
    return this;
  }
}

/** One function of a module: its code without the final `end`, and how many locals it has behind its parameters. */
export interface FunctionCode {
  readonly code: Uint8Array;
  readonly i32Locals: number;
  readonly i64Locals: number;
  readonly v128Locals: number;
  /** Offsets in `code` of the ifs that are hardly ever true, in ascending order. */
  readonly unlikely: readonly number[];
  /** The code of FUNCTION.helper, without the final `end`, if the function calls it: of an i32 and two i64 to an i32, with no other locals. */
  readonly helper?: Uint8Array | undefined;
}

/** Opcodes behind the prefix 0xFD (§5.4.8). */
export const SIMD = {
  load: 0x00, store: 0x0b, load32Zero: 0x5c, load64Zero: 0x5d, load64Splat: 0x0a, const: 0x0c, shuffle: 0x0d, swizzle: 0x0e,
  not: 0x4d, and: 0x4e, andnot: 0x4f, or: 0x50, xor: 0x51,
  i8Bitmask: 0x64, i32Bitmask: 0xa4, i64Bitmask: 0xc4,
  i64Splat: 0x12, i64AllTrue: 0xc3, i64Eq: 0xd6, i64LtS: 0xd8, i64GtS: 0xd9, f64Add: 0xf0, f64Sub: 0xf1, f64Mul: 0xf2, f64Div: 0xf3,
} as const;
const SIMD_PREFIX = 0xfd;
const ATOMIC_PREFIX = 0xfe;
/** Opcodes behind the prefix 0xFE (threads proposal), of 32 and of 64 bits; narrower ones follow at the distances below. */
export const ATOMIC = { add: [0x1e, 0x1f], sub: [0x25, 0x26], and: [0x2c, 0x2d], or: [0x33, 0x34], xor: [0x3a, 0x3b], exchange: [0x41, 0x42], compareExchange: [0x48, 0x49] } as const;

/** The types of functions: of the regions (see region-layout.ts), and of the function that they import. */
export const REGION_TYPE = { parameters: [I32, I32, I32, I32, I32], results: [I64] } as const;
const IMPORT_TYPE = { parameters: [I32, I32], results: [I32] } as const;
const HELPER_TYPE = { parameters: [I32, I64, I64], results: [I32] } as const;

/** Writes a section, or what else begins with its length. */
function sized(module: CodeWriter, fill: () => void): void {
  const place = module.later();
  const begin = module.length;
  fill();
  module.patch(place, module.length - begin);
}

function section(module: CodeWriter, id: number, fill: (body: CodeWriter) => void): void {
  module.op(id);
  sized(module, () => fill(module));
}

/** Writes a name of ASCII characters. */
function name(body: CodeWriter, text: string): void {
  body.unsigned(text.length);
  for (let at = 0; at < text.length; at++) body.op(text.charCodeAt(at));
}

/** The types of a module's functions by their index: of the function that they import, of the regions, and of a region's helper. */
const TYPES = [IMPORT_TYPE, REGION_TYPE, HELPER_TYPE] as const;
const IMPORT_TYPE_INDEX = 0;
const REGION_TYPE_INDEX = 1;
const HELPER_TYPE_INDEX = 2;
/** Functions that a region calls, by their index. Imported: the interpreter's for one op, and the way to another region. Beside it: its helper. */
export const FUNCTION = { call: 0, goOn: 1, helper: 3 } as const;
const REGION_FUNCTION = 2;
/** Bits of a region's first parameter that say which of its blocks is entered; above them is the region's place in the table, for goOn. */
export const ENTRY_BITS = 7;

/** A compilation hint (WebAssembly's proposal of that name, as V8 has it): eagerly, by the optimising compiler first and last. Who is translated is hot: baseline code would be replaced in no time, and until then slow. */
const OPTIMIZE_AT_ONCE = 2 | (2 << 2) | (2 << 4);

function types(module: CodeWriter): void {
  section(module, 1, (body) => {
    body.unsigned(TYPES.length);
    for (const { parameters, results } of TYPES) {
      body.op(FUNCTION_TYPE).unsigned(parameters.length).append(parameters).unsigned(results.length).append(results);
    }
  });
}

/**
 * The module of goOn, which goes on in the region that its first parameter names, in the table that it imports. A region does not import the table
 * itself: each instance that does has a copy of it (V8 11.3), which is made anew when it grows, and never given back.
 */
export function writeGoOnModule(): Uint8Array {
  const module = new CodeWriter(MODULE_CAPACITY).append(MODULE_HEAD);
  types(module);
  section(module, 2, (body) => {
    body.unsigned(1);
    name(body, "env");
    name(body, "table");
    body.op(1, FUNCREF, 0).unsigned(0);
  });
  section(module, 3, (body) => { body.unsigned(1).unsigned(REGION_TYPE_INDEX); });
  section(module, 7, (body) => {
    body.unsigned(1);
    name(body, "goOn");
    body.op(0).unsigned(0);
  });
  section(module, 10, (body) => {
    body.unsigned(1);
    sized(body, () => {
      body.unsigned(0);
      REGION_TYPE.parameters.forEach((_, parameter) => body.get(parameter));
      body.get(0).i32(ENTRY_BITS).op(W.i32ShrU, W.returnCallIndirect).unsigned(REGION_TYPE_INDEX).unsigned(0).op(W.end);
    });
  });
  return module.bytes;
}

/**
 * A module with this function, exported as "region". It imports env.memory, shared and with at most `maximumPages` pages, the functions of FUNCTION, and
 * the numbers env[name] of `globals`.
 */
export function writeModule({ code, i32Locals, i64Locals, v128Locals, unlikely, helper }: FunctionCode, globals: readonly string[], maximumPages: number): Uint8Array {
  const helpers = helper === undefined ? [] : [helper];
  const module = new CodeWriter(code.length + MODULE_CAPACITY).append(MODULE_HEAD);
  types(module);
  section(module, 2, (body) => {
    body.unsigned(3 + globals.length);
    name(body, "env");
    name(body, "memory");
    body.op(2, SHARED_WITH_MAXIMUM).unsigned(1).unsigned(maximumPages);
    name(body, "env");
    name(body, "call");
    body.op(0).unsigned(IMPORT_TYPE_INDEX);
    name(body, "env");
    name(body, "goOn");
    body.op(0).unsigned(REGION_TYPE_INDEX);
    for (const global of globals) {
      name(body, "env");
      name(body, global);
      body.op(3, I32, 0);
    }
  });
  section(module, 3, (body) => { body.unsigned(1 + helpers.length).unsigned(REGION_TYPE_INDEX).append(helpers.map(() => HELPER_TYPE_INDEX)); });
  section(module, 7, (body) => {
    body.unsigned(1);
    name(body, "region");
    body.op(0).unsigned(REGION_FUNCTION);
  });
  const head = new CodeWriter(SMALL_CAPACITY).unsigned(3).unsigned(i32Locals).op(I32).unsigned(i64Locals).op(I64).unsigned(v128Locals).op(V128);
  section(module, 0, (body) => {
    name(body, "metadata.code.branch_hint");
    body.unsigned(1).unsigned(REGION_FUNCTION).unsigned(unlikely.length);
    for (const offset of unlikely) body.unsigned(head.length + offset).unsigned(1).unsigned(0);
  });
  section(module, 0, (body) => {
    name(body, "compilationHints");
    body.unsigned(1 + helpers.length).op(OPTIMIZE_AT_ONCE).append(helpers.map(() => OPTIMIZE_AT_ONCE));
  });
  section(module, 10, (body) => {
    body.unsigned(1 + helpers.length);
    sized(body, () => body.append(head.bytes).append(code).op(W.end));
    for (const each of helpers) sized(body, () => body.unsigned(0).append(each).op(W.end));
  });
  return module.bytes;
}
