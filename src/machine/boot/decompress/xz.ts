/**
 * XZ as the kernel's build writes it: one stream, one block, LZMA2 alone or behind the x86 branch filter, CRC32 check. Follows
 * "The .xz File Format" 1.2.1.
 *
 * The library that decodes LZMA2 (xz-decompress, the XZ Embedded code as WebAssembly) is built without branch filters. So
 * the LZMA2 data is put, as it is, into a stream that names no other filter and no check; the branch filter and
 * the check are done here.
 *
 *   given:  header | block header: x86, LZMA2 | LZMA2 chunks | padding | CRC32 | index | footer
 *   fed:    header | block header: LZMA2      | LZMA2 chunks | padding         | index | footer
 */

// A CommonJS bundle whose names Node cannot see: only the default import works.
import xzDecompress from "xz-decompress";
import { crc32 } from "../../../platform/node/index.js";
import { readU32, writeU32 } from "../little-endian.js";
import { decodeX86Branches } from "./x86-branch-filter.js";

const STREAM_HEADER_LENGTH = 12;
const CHECK_NONE = 0;
const CHECK_CRC32 = 1;
const FILTER_X86 = 0x04;
const FILTER_LZMA2 = 0x21;

interface XzBlock {
  readonly check: number;
  readonly x86Branches: boolean;
  readonly dictionaryProperty: number;
  /** The LZMA2 chunks with their end marker. */
  readonly chunks: Uint8Array;
  /** CRC32 of the unpacked bytes, if the stream has one. */
  readonly expectedCrc: number | undefined;
}

/** Unpacks one XZ stream into `output`. Throws an Error when it is damaged or does not give output.length bytes. */
export async function decompressXz(stream: Uint8Array, output: Uint8Array): Promise<void> {
  const block = parseStream(stream);
  let to = 0;
  for await (const piece of readPieces(wrapChunks(block, output.length))) {
    if (piece.length > output.length - to) throw new Error("XZ stream gives more bytes than expected");
    output.set(piece, to);
    to += piece.length;
  }
  if (to !== output.length) throw new Error(`XZ stream gives ${to} bytes, ${output.length} expected`);
  if (block.x86Branches) decodeX86Branches(output);
  if (block.expectedCrc !== undefined && crc32(output) !== block.expectedCrc) throw new Error("XZ checksum differs");
}

function parseStream(stream: Uint8Array): XzBlock {
  if (stream.length < STREAM_HEADER_LENGTH + 12) throw new Error("XZ stream cut short");
  if (crc32(stream.subarray(6, 8)) !== readU32(stream, 8)) throw new Error("XZ stream header damaged");
  const check = stream[7]!;
  if (check !== CHECK_NONE && check !== CHECK_CRC32) throw new Error(`XZ check type ${check} is not one that kernels use`);

  const headerLength = (stream[STREAM_HEADER_LENGTH]! + 1) * 4;
  const header = stream.subarray(STREAM_HEADER_LENGTH, STREAM_HEADER_LENGTH + headerLength);
  if (header.length < headerLength) throw new Error("XZ block header cut short");
  const crcAt = headerLength - 4;
  if (crc32(header.subarray(0, crcAt)) !== readU32(header, crcAt)) throw new Error("XZ block header damaged");
  const filters = parseFilters(header);

  const start = STREAM_HEADER_LENGTH + headerLength;
  const chunks = stream.subarray(start, start + measureLzma2(stream.subarray(start)));
  const checkAt = start + alignUp4(chunks.length);
  if (checkAt + 4 > stream.length) throw new Error("XZ stream cut short");
  return { check, chunks, ...filters, expectedCrc: check === CHECK_CRC32 ? readU32(stream, checkAt) : undefined };
}

function parseFilters(header: Uint8Array): { x86Branches: boolean; dictionaryProperty: number } {
  const flags = header[1]!;
  let at = 2;
  // Optional sizes: variable-length numbers that are not needed here.
  for (const present of [flags & 0x40, flags & 0x80]) {
    if (!present) continue;
    while (header[at]! & 0x80) at++;
    at++;
  }
  let x86Branches = false;
  for (let count = (flags & 3) + 1; count > 0; count--) {
    const id = header[at]!;
    const propertyLength = header[at + 1]!;
    if (id === FILTER_LZMA2 && propertyLength === 1 && count === 1) {
      return { x86Branches, dictionaryProperty: header[at + 2]! };
    }
    if (id !== FILTER_X86 || propertyLength !== 0 || x86Branches) break;
    x86Branches = true;
    at += 2;
  }
  throw new Error("XZ filter that x86-64 kernels do not use");
}

/** Walks the chunk headers of LZMA2 data and returns its length with the end marker. */
function measureLzma2(data: Uint8Array): number {
  let at = 0;
  while (at < data.length) {
    const control = data[at]!;
    if (control === 0) return at + 1;
    if (control >= 0x80) at += (control >= 0xc0 ? 6 : 5) + ((data[at + 3]! << 8) | data[at + 4]!) + 1;
    else if (control <= 2) at += 3 + ((data[at + 1]! << 8) | data[at + 2]!) + 1;
    else throw new Error("XZ chunk damaged");
  }
  throw new Error("XZ stream cut short");
}

/** Puts LZMA2 chunks into a stream of their own: no check, no filter but LZMA2. */
function wrapChunks(block: XzBlock, outputLength: number): Uint8Array {
  const head = new Uint8Array(24);
  head.set([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 0, CHECK_NONE]);
  writeU32(head, 8, crc32(head.subarray(6, 8)));
  head.set([2, 0, FILTER_LZMA2, 1, block.dictionaryProperty], 12);
  writeU32(head, 20, crc32(head.subarray(12, 20)));

  const index = [0, 1, ...variableLength(12 + block.chunks.length), ...variableLength(outputLength)];
  while (index.length % 4 !== 0) index.push(0);
  const tail = new Uint8Array(index.length + 4 + 12);
  tail.set(index);
  writeU32(tail, index.length, crc32(tail.subarray(0, index.length)));
  const footer = tail.subarray(index.length + 4);
  writeU32(footer, 4, index.length / 4);
  footer.set([0, CHECK_NONE, 0x59, 0x5a], 8);
  writeU32(footer, 0, crc32(footer.subarray(4, 10)));

  const wrapped = new Uint8Array(head.length + alignUp4(block.chunks.length) + tail.length);
  wrapped.set(head);
  wrapped.set(block.chunks, head.length);
  wrapped.set(tail, wrapped.length - tail.length);
  return wrapped;
}

function variableLength(value: number): number[] {
  const bytes: number[] = [];
  for (; value >= 0x80; value = Math.floor(value / 128)) bytes.push((value % 128) | 0x80);
  return [...bytes, value];
}

function alignUp4(length: number): number {
  return (length + 3) & ~3;
}

async function* readPieces(stream: Uint8Array): AsyncGenerator<Uint8Array> {
  const source = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(stream);
      controller.close();
    },
  });
  const reader = new xzDecompress.XzReadableStream(source).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}
