/** Encodes a memory operand in one of the addressing forms so that it lies at a given linear address. */
import { DATA_BASE, FS_BASE, GS_BASE, LOW_DATA_BASE } from "./layout.js";
import type { Random } from "./random.js";

/** 64-bit mode's forms; a leading "67:" stands for the address-size prefix, "FS:" for a segment override. */
const FORMS_64 = [
  "base", "base+8", "base+32", "base+index", "base+index+8", "base+index+32", "rip", "absolute", "index+32", "67:base+index+32", "67:base+8", "FS:base+8",
  "GS:base+index+32", "67:rip", "DS:base", "67:FS:base+32",
] as const;
const FORMS_32 = ["base", "base+8", "base+32", "base+index", "base+index+8", "base+index+32", "absolute", "index+32", "SS:base+8", "67:16"] as const;
type Form = (typeof FORMS_64)[number] | (typeof FORMS_32)[number];

/** A memory operand, encoded. */
export interface MemoryOperand {
  readonly prefixes: readonly number[];
  /** REX.X and REX.B. */
  readonly rexX: number;
  readonly rexB: number;
  /** ModRM without its reg field, then SIB and displacement. */
  readonly modrm: number;
  readonly tail: readonly number[];
  /** The last four bytes of the tail are relative to the end of the instruction: linear target; undefined otherwise. */
  readonly ripTarget: number | undefined;
  readonly fixups: readonly (readonly [number, bigint])[];
}

/** What a memory operand has to be. */
export interface OperandRequest {
  readonly mode: 64 | 32;
  /** Linear address wanted; any canonical or non-canonical 64-bit number. */
  readonly target: bigint;
  /** Registers that may be neither base nor index. */
  readonly avoid: readonly number[];
  /** Counts up, so that successive requests take successive forms. */
  readonly turn: number;
}

/** Little-endian bytes of `value`. */
export function littleEndian(value: bigint, size: number): number[] {
  return Array.from({ length: size }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
}

function displacement(random: Random, size: 0 | 1 | 4): bigint {
  if (size === 0) return 0n;
  if (size === 1) return BigInt.asIntN(8, BigInt(random.pick([0, 1, 0x7f, 0x80, 0xff, random.next() & 0xff])));
  return BigInt.asIntN(32, BigInt(random.pick([0, 0x7fff_ffff, 0x8000_0000, 0xffff_fff0, random.next(), random.next()])));
}

/** Makes a memory operand. Targets above 4 GiB take only forms that can reach them. */
export function memoryOperand(random: Random, request: OperandRequest): MemoryOperand {
  const far = request.target >> 32n !== 0n;
  const forms: readonly Form[] = request.mode === 64 ? FORMS_64 : FORMS_32;
  let form = forms[request.turn % forms.length] as Form;
  const data = request.target >= BigInt(DATA_BASE) && request.target < BigInt(DATA_BASE + 0x2000);
  if (far && /67|rip|absolute|FS/.test(form)) form = "base+index+8";
  if (form === "67:16" && !data) form = "base+8";
  if (form === "67:16") return operand16(random, request);
  if (form === "rip" || form === "67:rip") {
    return { prefixes: form === "rip" ? [] : [0x67], rexX: 0, rexB: 0, modrm: 0x05, tail: [0, 0, 0, 0], ripTarget: Number(request.target), fixups: [] };
  }
  return registerOperand(random, request, form);
}

const SEGMENT_PREFIX: { readonly [name: string]: readonly [prefix: number, base: bigint] } = {
  FS: [0x64, FS_BASE], GS: [0x65, GS_BASE], DS: [0x3e, 0n], SS: [0x36, 0n],
};

function registerOperand(random: Random, request: OperandRequest, form: Form): MemoryOperand {
  const short = form.includes("67:");
  const bits = request.mode === 64 && !short ? 64 : 32;
  const [prefix, segmentBase] = SEGMENT_PREFIX[/[A-Z]S/.exec(form)?.[0] ?? ""] ?? [0, 0n];
  const offset = BigInt.asUintN(bits, request.target - segmentBase);
  const prefixes = [...(prefix === 0 ? [] : [prefix]), ...(short ? [0x67] : [])];
  const registers = choose(random, request, form);
  if (form === "absolute") {
    if (request.mode === 32) return { prefixes, rexX: 0, rexB: 0, modrm: 5, tail: littleEndian(offset, 4), ripTarget: undefined, fixups: [] };
    return { prefixes, rexX: 0, rexB: 0, modrm: 4, tail: [0x25, ...littleEndian(offset, 4)], ripTarget: undefined, fixups: [] };
  }
  const size = form.endsWith("32") ? 4 : form.endsWith("+8") ? 1 : registers.base !== undefined && (registers.base & 7) === 5 ? 1 : 0;
  return assemble(random, { prefixes, bits, offset, size, ...registers });
}

function choose(random: Random, request: OperandRequest, form: Form): { base: number | undefined; index: number | undefined; scale: number } {
  const count = request.mode === 64 ? 16 : 8;
  const pickRegister = (avoid: readonly number[]): number => {
    for (;;) {
      const n = random.below(count);
      if (!avoid.includes(n) && !request.avoid.includes(n)) return n;
    }
  };
  const index = form.includes("index") ? pickRegister([4]) : undefined;
  const base = form.includes("base") ? pickRegister(index === undefined ? [] : [index]) : undefined;
  // Without a base the index alone must reach the target, whatever the displacement.
  return { base, index, scale: index === undefined ? 0 : base === undefined ? 0 : random.below(4) };
}

interface Parts {
  readonly prefixes: readonly number[];
  readonly bits: 64 | 32;
  readonly offset: bigint;
  readonly size: 0 | 1 | 4;
  readonly base: number | undefined;
  readonly index: number | undefined;
  readonly scale: number;
}

function assemble(random: Random, parts: Parts): MemoryOperand {
  const { bits, base, index, scale } = parts;
  const junk = bits === 32 ? random.u64() << 32n : 0n;
  const disp = displacement(random, base === undefined ? 4 : parts.size);
  const mod = base === undefined ? 0 : parts.size === 0 ? 0 : parts.size === 1 ? 1 : 2;
  const dispBytes = littleEndian(BigInt.asUintN(32, disp), base === undefined ? 4 : parts.size);
  const fixups: (readonly [number, bigint])[] = [];
  const indexValue = index === undefined ? 0n : base === undefined ? parts.offset - disp : random.oneIn(3) ? random.u64() : BigInt(random.below(0x1000));
  if (index !== undefined) fixups.push([index, BigInt.asUintN(64, BigInt.asUintN(bits, indexValue) | junk)]);
  if (base !== undefined) fixups.push([base, BigInt.asUintN(64, BigInt.asUintN(bits, parts.offset - disp - (indexValue << BigInt(scale))) | junk)]);
  const needsSib = index !== undefined || (base !== undefined && (base & 7) === 4);
  const common = { prefixes: parts.prefixes, rexX: (index ?? 0) >> 3, rexB: (base ?? 0) >> 3, ripTarget: undefined, fixups };
  if (!needsSib) return { ...common, modrm: (mod << 6) | ((base as number) & 7), tail: dispBytes };
  const sib = (scale << 6) | (((index ?? 4) & 7) << 3) | ((base ?? 5) & 7);
  return { ...common, modrm: (mod << 6) | 4, tail: [sib, ...dispBytes] };
}

/** Base and index of ModRM.rm 0..7 with 16-bit addresses: BX SI, BX DI, BP SI, BP DI, SI, DI, BP, BX. */
const PAIRS_16: readonly (readonly number[])[] = [[3, 6], [3, 7], [5, 6], [5, 7], [6], [7], [5], [3]];

function operand16(random: Random, request: OperandRequest): MemoryOperand {
  const target = Number(request.target) - DATA_BASE + LOW_DATA_BASE;
  const usable = PAIRS_16.map((_, rm) => rm).filter((rm) => (PAIRS_16[rm] as readonly number[]).every((n) => !request.avoid.includes(n)));
  const rm = random.oneIn(8) || usable.length === 0 ? 6 : random.pick(usable);
  const prefixes = [0x67];
  if (rm === 6 && (usable.length === 0 || random.oneIn(2))) {
    return { prefixes, rexX: 0, rexB: 0, modrm: 6, tail: littleEndian(BigInt(target), 2), ripTarget: undefined, fixups: [] };
  }
  const mod = rm === 6 ? 1 + random.below(2) : random.below(3);
  const disp = mod === 0 ? 0 : mod === 1 ? (random.next() << 24) >> 24 : random.next() & 0xffff;
  const [first = 3, second] = PAIRS_16[rm] as readonly number[];
  const junk = (): bigint => BigInt(random.next() & 0xffff_0000) & 0xffff_0000n;
  const other = second === undefined ? 0 : random.next() & 0xffff;
  const fixups: (readonly [number, bigint])[] = [[first, junk() | BigInt((target - disp - other) & 0xffff)]];
  if (second !== undefined) fixups.push([second, junk() | BigInt(other)]);
  return { prefixes, rexX: 0, rexB: 0, modrm: (mod << 6) | rm, tail: littleEndian(BigInt(disp & 0xffff), mod), ripTarget: undefined, fixups };
}
