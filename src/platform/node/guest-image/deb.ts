/**
 * Takes single files out of a Debian package, as deb(5) describes it: an `ar` archive of debian-binary, control.tar.* and
 * data.tar.*, the last one packed with xz, zstd, gzip or not at all.
 */

import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { Decompress as ZstdDecompress } from "fzstd";
import { extract, type Extract } from "tar-stream";
// A CommonJS bundle whose names Node cannot see: only the default import works.
import xzDecompress from "xz-decompress";
import { GuestImageError } from "../../../abi/guest-image-error.js";

const AR_MAGIC = "!<arch>\n";
const AR_HEADER_LENGTH = 60;

/** Decides about a file of the package by its path ("boot/vmlinuz-6.1.0"): a name of our own to keep it by, or undefined. */
export type FileChoice = (path: string) => string | undefined;

interface ArMember {
  readonly name: string;
  readonly start: number;
  readonly lengthBytes: number;
}

/**
 * Reads the chosen regular files of a package; reading ends with the `count`th one. Throws GuestImageError if the package is damaged
 * or has fewer of them.
 */
export async function readDebFiles(debPath: string, choose: FileChoice, count: number): Promise<Map<string, Uint8Array>> {
  const member = (await listArMembers(debPath)).find(({ name }) => name.startsWith("data.tar"));
  if (!member) throw damaged(debPath, "it has no data.tar");
  const files = new Map<string, Uint8Array>();
  const unpacker = extract();
  const stop = new AbortController();
  const packed = createReadStream(debPath, { start: member.start, end: member.start + member.lengthBytes - 1 });
  const feeding = pipeline(packed, unpackerFor(member.name, debPath), unpacker, { signal: stop.signal }).catch((cause: unknown) => {
    if (!stop.signal.aborted) throw damaged(debPath, "it does not unpack", cause);
  });
  try {
    await collectFiles(unpacker, choose, { files, count });
  } catch (cause) {
    await feeding;
    throw damaged(debPath, "it does not unpack", cause);
  } finally {
    stop.abort();
  }
  await feeding;
  if (files.size < count) throw damaged(debPath, `it holds ${files.size} of the ${count} files looked for`);
  return files;
}

async function collectFiles(unpacker: Extract, choose: FileChoice, found: { files: Map<string, Uint8Array>; count: number }): Promise<void> {
  for await (const entry of unpacker) {
    const name = entry.header.type === "file" ? choose(entry.header.name.replace(/^(\.?\/)+/, "")) : undefined;
    if (name === undefined) {
      entry.resume();
      continue;
    }
    const chunks: Buffer[] = [];
    for await (const chunk of entry) chunks.push(chunk as Buffer);
    found.files.set(name, Buffer.concat(chunks));
    if (found.files.size === found.count) return;
  }
}

async function listArMembers(path: string): Promise<ArMember[]> {
  const file = await open(path);
  try {
    const magic = Buffer.alloc(AR_MAGIC.length);
    await file.read(magic, 0, magic.length, 0);
    if (magic.toString("latin1") !== AR_MAGIC) throw damaged(path, "it is no ar archive");
    const end = (await file.stat()).size;
    const members: ArMember[] = [];
    for (let at = AR_MAGIC.length; at + AR_HEADER_LENGTH <= end; ) {
      const header = Buffer.alloc(AR_HEADER_LENGTH);
      await file.read(header, 0, header.length, at);
      const member = parseArHeader(header.toString("latin1"), at + AR_HEADER_LENGTH);
      if (!member || member.start + member.lengthBytes > end) throw damaged(path, "it is cut short or garbled");
      members.push(member);
      at = member.start + member.lengthBytes + (member.lengthBytes % 2);
    }
    return members;
  } finally {
    await file.close();
  }
}

/** Reads an ar header: name (16), time (12), owner (6), group (6), mode (8), length (10), all as text, then "`\n". */
function parseArHeader(header: string, start: number): ArMember | undefined {
  const lengthText = header.slice(48, 58).trim();
  if (!header.endsWith("`\n") || !/^\d+$/.test(lengthText)) return undefined;
  return { name: header.slice(0, 16).trim().replace(/\/$/, ""), start, lengthBytes: Number(lengthText) };
}

type Transform = (source: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>;

function unpackerFor(memberName: string, debPath: string): Transform | NodeJS.ReadWriteStream {
  switch (memberName) {
    case "data.tar.xz":
      return unpackXz;
    case "data.tar.zst":
      return unpackZstd;
    case "data.tar.gz":
      return createGunzip();
    case "data.tar":
      return (source) => source;
    default:
      throw damaged(debPath, `its ${memberName} has an unknown compression`);
  }
}

async function* unpackXz(source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  const packed = Readable.toWeb(Readable.from(source)) as unknown as ReadableStream<Uint8Array>;
  const reader = new xzDecompress.XzReadableStream(packed).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

async function* unpackZstd(source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  let ready: Uint8Array[] = [];
  const decompress = new ZstdDecompress((chunk) => ready.push(chunk));
  for await (const chunk of source) {
    decompress.push(chunk);
    yield* ready;
    ready = [];
  }
  decompress.push(new Uint8Array(0), true);
  yield* ready;
}

function damaged(debPath: string, what: string, cause?: unknown): GuestImageError {
  if (cause instanceof GuestImageError) return cause;
  return new GuestImageError(`the package ${debPath} is damaged: ${what}; try again`, cause === undefined ? {} : { cause });
}
