/**
 * Type information that a Linux kernel carries (CONFIG_DEBUG_INFO_BTF): where members of its structures are. Follows
 * Documentation/bpf/btf.rst.
 */
import { readU16, readU32 } from "../boot/little-endian.js";

const BTF_MAGIC = 0xeb9f;
const HEADER_BYTES = 24;
const TYPE_BYTES = 12;
const MEMBER_BYTES = 12;
/** BTF_KIND_*. */
const KIND = { int: 1, array: 3, struct: 4, union: 5, enum: 6, functionPrototype: 13, variable: 14, dataSection: 15, declarationTag: 17, enum64: 19 } as const;
const KIND_MAX = 31;
/** Bytes behind a type's header: so many, and so many for each of its `vlen` parts. */
const FIXED_BYTES: Readonly<Record<number, number>> = { [KIND.int]: 4, [KIND.array]: 12, [KIND.variable]: 4, [KIND.declarationTag]: 4 };
const PART_BYTES: Readonly<Record<number, number>> = {
  [KIND.struct]: MEMBER_BYTES, [KIND.union]: MEMBER_BYTES, [KIND.enum]: 8, [KIND.functionPrototype]: 8, [KIND.dataSection]: 12, [KIND.enum64]: 12,
};

/** Offset in bytes of `member` in `struct structure`, both direct names; undefined = `btf` is damaged or does not tell. */
export function memberOffset(btf: Uint8Array, structure: string, member: string): number | undefined {
  if (btf.length < HEADER_BYTES || readU16(btf, 0) !== BTF_MAGIC) return undefined;
  const header = readU32(btf, 4);
  const strings = header + readU32(btf, 16);
  const start = header + readU32(btf, 8);
  const end = start + readU32(btf, 12);
  if (Math.max(end, strings) > btf.length) return undefined;
  for (let at = start; at + TYPE_BYTES <= end;) {
    const info = readU32(btf, at + 4);
    const kind = (info >>> 24) & KIND_MAX;
    const count = info & 0xffff;
    const next = at + TYPE_BYTES + (FIXED_BYTES[kind] ?? 0) + count * (PART_BYTES[kind] ?? 0);
    if (kind === KIND.struct && next <= end && isString(btf, strings + readU32(btf, at), structure)) {
      return memberIn(btf, { at: at + TYPE_BYTES, count, hasBitfields: info >>> 31 !== 0, strings }, member);
    }
    at = next;
  }
  return undefined;
}

interface Members {
  readonly at: number;
  readonly count: number;
  readonly hasBitfields: boolean;
  readonly strings: number;
}

function memberIn(btf: Uint8Array, { at, count, hasBitfields, strings }: Members, name: string): number | undefined {
  for (let place = at; place < at + count * MEMBER_BYTES; place += MEMBER_BYTES) {
    if (!isString(btf, strings + readU32(btf, place), name)) continue;
    const bits = readU32(btf, place + 8);
    return (hasBitfields ? bits & 0xff_ffff : bits) / 8;
  }
  return undefined;
}

/** Whether the zero-ended string at `at` is `text`; behind the end there is none. */
function isString(bytes: Uint8Array, at: number, text: string): boolean {
  for (let index = 0; index < text.length; index++) if (bytes[at + index] !== text.charCodeAt(index)) return false;
  return bytes[at + text.length] === 0;
}
