/** A table's vectors: encodings and outcomes of all its rows, in one Brotli-compressed file. */
import { brotliCompressSync, brotliDecompressSync, constants } from "node:zlib";
import { ByteReader, ByteWriter } from "./byte-stream.js";
import { fillCase } from "./case-state.js";
import { readDelta, writeDelta, type DeltaStreams } from "./delta.js";
import { PROFILES, SPECIALS, type Encoding, type Profile, type Special } from "./encoding.js";
import { CASE } from "./layout.js";
import type { Outcome } from "./outcome.js";

/** What one row's vectors hold: `outcomes[e][c]` belongs to case c of encoding e. */
export interface RowVectors {
  readonly key: string;
  readonly encodings: readonly Encoding[];
  readonly outcomes: readonly (readonly Outcome[])[];
}

const MAGIC = 0x31564455;
const STREAM_NAMES = ["meta", "heads", "flags", "values"] as const;
type Streams<T> = { readonly [name in (typeof STREAM_NAMES)[number]]: T };

function writeEncoding(out: ByteWriter, encoding: Encoding): void {
  out.u8(encoding.mode);
  out.u16(encoding.codeOffset);
  out.u8(encoding.bytes.length);
  out.raw(encoding.bytes);
  out.u8(PROFILES.indexOf(encoding.profile));
  out.u8(PROFILES.indexOf(encoding.memoryProfile));
  out.u8(SPECIALS.indexOf(encoding.special));
  out.u32(encoding.argument);
  out.u32(encoding.target);
  out.u32(encoding.seed);
  out.u16(encoding.caseCount);
  out.u8(encoding.fixups.length);
  for (const [register, value] of encoding.fixups) {
    out.u8(register);
    out.u64(value);
  }
}

function readEncoding(input: ByteReader): Encoding {
  const mode = input.u8() as 64 | 32;
  const codeOffset = input.u16();
  const bytes = input.raw(input.u8());
  const profile = PROFILES[input.u8()] as Profile;
  const memoryProfile = PROFILES[input.u8()] as Profile;
  const special = SPECIALS[input.u8()] as Special;
  const argument = input.u32(), target = input.u32(), seed = input.u32(), caseCount = input.u16();
  const fixups = Array.from({ length: input.u8() }, () => [input.u8(), input.u64()] as const);
  return { mode, codeOffset, bytes, profile, memoryProfile, special, argument, target, seed, caseCount, fixups };
}

/** Adler-like sum of the initial states of a row: tells when case-state.ts changed and the vectors did not. */
function addToSum(sum: number, view: DataView): number {
  let value = sum;
  for (let i = 0; i < CASE.size; i += 4) value = Math.imul(value ^ view.getUint32(i, true), 0x01000193);
  return value >>> 0;
}

/** The compressed file of a table. */
export function packVectors(rows: readonly RowVectors[]): Uint8Array {
  const streams: Streams<ByteWriter> = { meta: new ByteWriter(), heads: new ByteWriter(), flags: new ByteWriter(), values: new ByteWriter() };
  const initial = new DataView(new ArrayBuffer(CASE.size));
  for (const row of rows) {
    streams.meta.text(row.key);
    streams.meta.u16(row.encodings.length);
    let sum = 0;
    row.encodings.forEach((encoding, e) => {
      writeEncoding(streams.meta, encoding);
      for (let c = 0; c < encoding.caseCount; c++) {
        fillCase(initial, encoding, c);
        sum = addToSum(sum, initial);
        writeDelta(streams, initial, (row.outcomes[e] as readonly Outcome[])[c] as Outcome);
      }
    });
    streams.meta.u32(sum);
  }
  const parts = STREAM_NAMES.map((name) => streams[name].finish());
  const out = new ByteWriter();
  out.u32(MAGIC);
  for (const part of parts) out.u32(part.length);
  for (const part of parts) out.raw(part);
  const bytes = out.finish();
  const { BROTLI_PARAM_QUALITY: quality, BROTLI_PARAM_LGWIN: window, BROTLI_PARAM_SIZE_HINT: size } = constants;
  return brotliCompressSync(bytes, { params: { [quality]: 11, [window]: 24, [size]: bytes.length } });
}

/** One case handed to a visitor. The views are reused: valid only during the call. */
export interface CaseVisit {
  readonly key: string;
  readonly encoding: Encoding;
  readonly caseIndex: number;
  readonly initial: DataView;
  readonly expected: Outcome;
}

/** Walks all cases of a compressed file in order. Throws when the initial states are not those the vectors were made with. */
export function visitVectors(compressed: Uint8Array, visit: (visit: CaseVisit) => void): void {
  const input = new ByteReader(brotliDecompressSync(compressed));
  if (input.u32() !== MAGIC) throw new Error("not a vector file");
  const sizes = STREAM_NAMES.map(() => input.u32());
  const [meta, heads, flags, values] = sizes.map((size) => new ByteReader(input.raw(size))) as [ByteReader, ByteReader, ByteReader, ByteReader];
  const streams: DeltaStreams<ByteReader> = { heads, flags, values };
  const initial = new DataView(new ArrayBuffer(CASE.size));
  while (!meta.ended) {
    const key = meta.text();
    let sum = 0;
    for (let encodings = meta.u16(); encodings > 0; encodings--) {
      const encoding = readEncoding(meta);
      for (let caseIndex = 0; caseIndex < encoding.caseCount; caseIndex++) {
        fillCase(initial, encoding, caseIndex);
        sum = addToSum(sum, initial);
        visit({ key, encoding, caseIndex, initial, expected: readDelta(streams, initial) });
      }
    }
    if (meta.u32() !== sum) throw new Error(`the initial states of "${key}" are not those its vectors were made with: make the vectors again`);
  }
}
