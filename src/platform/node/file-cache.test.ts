import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { FileCache } from "./file-cache.js";

const root = mkdtempSync(join(tmpdir(), "unpinned-cache-"));
after(() => rmSync(root, { recursive: true }));
let folderCount = 0;

function freshFolder(): string {
  return join(root, String(folderCount++), "not", "there", "yet");
}

function bytesOf(length: number, seed = 1): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 31 + seed * 7 + (index >>> 8)) & 255);
}

/** A file's last use, in whole seconds from now. */
function setAge(folder: string, key: string, seconds: number): void {
  const at = new Date(Date.now() - seconds * 1000);
  utimesSync(join(folder, key), at, at);
}

test("what was put comes back, whole and in parts, and nothing for another key", () => {
  const cache = new FileCache(freshFolder());
  assert.equal(cache.get("kernel-1"), undefined);
  assert.ok(cache.put("kernel-1", bytesOf(3_000_000), Uint8Array.of(1, 2, 3)));
  assert.deepEqual(cache.get("kernel-1"), Uint8Array.from([...bytesOf(3_000_000), 1, 2, 3]));
  assert.equal(cache.get("kernel-2"), undefined);
  const file = cache.open("kernel-1")!;
  const part = new Uint8Array(5);
  file.read(part, 2_999_998);
  assert.deepEqual(part, Uint8Array.from([...bytesOf(3_000_000).subarray(2_999_998), 1, 2, 3]));
  assert.throws(() => file.read(part, 3_000_001), /cut short/);
  file.close();
});

test("an empty file is kept, too, and a later one takes the place of an earlier one", () => {
  const cache = new FileCache(freshFolder());
  assert.ok(cache.put("a"));
  assert.deepEqual(cache.get("a"), new Uint8Array(0));
  assert.ok(cache.put("a", bytesOf(10)));
  assert.deepEqual(cache.get("a"), bytesOf(10));
});

test("a truncated file, at whatever length, and a longer one are not there, and are removed", () => {
  const folder = freshFolder();
  const cache = new FileCache(folder);
  cache.put("key", bytesOf(100));
  const whole = readFileSync(join(folder, "key"));
  for (let length = 0; length < whole.length; length++) {
    writeFileSync(join(folder, "key"), whole.subarray(0, length));
    assert.equal(cache.get("key"), undefined, `${length} bytes`);
    assert.ok(!existsSync(join(folder, "key")));
  }
  writeFileSync(join(folder, "key"), Buffer.concat([whole, Buffer.of(0)]));
  assert.equal(cache.get("key"), undefined);
});

test("a flipped bit, wherever it is, makes a file not there", () => {
  const folder = freshFolder();
  const cache = new FileCache(folder);
  cache.put("key", bytesOf(40));
  const whole = readFileSync(join(folder, "key"));
  for (let bit = 0; bit < whole.length * 8; bit++) {
    const changed = Buffer.from(whole);
    changed[bit >>> 3]! ^= 1 << (bit & 7);
    writeFileSync(join(folder, "key"), changed);
    assert.equal(cache.get("key"), undefined, `bit ${bit}`);
  }
  cache.put("key", bytesOf(40));
  assert.deepEqual(cache.get("key"), bytesOf(40));
});

test("a file under another's name is not taken for it", () => {
  const folder = freshFolder();
  const cache = new FileCache(folder);
  cache.put("key", bytesOf(40));
  writeFileSync(join(folder, "kez"), readFileSync(join(folder, "key")));
  assert.equal(cache.get("kez"), undefined);
});

test("a folder that cannot be made or written is an empty cache, without a word", (context) => {
  const file = join(root, "a-file");
  writeFileSync(file, "");
  const impossible = new FileCache(join(file, "folder"));
  assert.equal(impossible.put("key", bytesOf(10)), false);
  assert.equal(impossible.get("key"), undefined);
  if (process.platform === "win32" || process.getuid?.() === 0) return context.diagnostic("permissions are not looked at here");
  const folder = freshFolder();
  new FileCache(folder).put("key", bytesOf(10));
  chmodSync(folder, 0o500);
  assert.equal(new FileCache(folder).put("other", bytesOf(10)), false);
  assert.deepEqual(new FileCache(folder).get("key"), bytesOf(10));
  chmodSync(folder, 0o700);
});

test("the files used longest ago go when there are too many or too much, never the newest", () => {
  const folder = freshFolder();
  const cache = new FileCache(folder, { bytesMax: 5000, filesMax: 3 });
  for (const [index, key] of ["a", "b", "c"].entries()) {
    cache.put(key, bytesOf(1000));
    setAge(folder, key, 30 - index);
  }
  // A look makes "a" a file that was used just now.
  assert.ok(cache.get("a"));
  cache.put("d", bytesOf(1000));
  assert.deepEqual(readdirSync(folder).sort(), ["a", "c", "d"]);
  setAge(folder, "a", 10);
  cache.put("e", bytesOf(3500));
  assert.deepEqual(readdirSync(folder).sort(), ["d", "e"]);
  setAge(folder, "e", -60);
  cache.put("f", bytesOf(4900));
  assert.deepEqual(readdirSync(folder).sort(), ["f"]);
  assert.equal(cache.put("g", bytesOf(5000)), false);
  assert.deepEqual(readdirSync(folder).sort(), ["f"]);
});

test("what killed processes left goes after an hour; what is not ours stays", () => {
  const folder = freshFolder();
  const cache = new FileCache(folder, { bytesMax: 100, filesMax: 1 });
  cache.put("a");
  for (const name of [".new-1-old", ".new-1-young", "Holiday photo.jpg"]) writeFileSync(join(folder, name), bytesOf(1000));
  setAge(folder, ".new-1-old", 4000);
  cache.put("b");
  assert.deepEqual(readdirSync(folder).sort(), [".new-1-young", "Holiday photo.jpg", "b"]);
});

test("a file that is open stays readable when the cache drops it", (context) => {
  if (process.platform === "win32") return context.skip("an open file is not removed there");
  const folder = freshFolder();
  const cache = new FileCache(folder, { bytesMax: 5000, filesMax: 1 });
  cache.put("a", bytesOf(1000));
  const file = cache.open("a")!;
  cache.put("b", bytesOf(1000));
  assert.deepEqual(readdirSync(folder), ["b"]);
  const part = new Uint8Array(1000);
  file.read(part, 0);
  file.close();
  assert.deepEqual(part, bytesOf(1000));
});

test("two processes that write the same keys at once leave whole files and nothing else", async () => {
  const folder = freshFolder();
  const keys = ["a", "b", "c"];
  const worker = fileURLToPath(new URL("./file-cache.worker.js", import.meta.url));
  const children = [1, 2].map((seed) => fork(worker, [folder, String(seed)]));
  const ended = children.map((child) => new Promise<number | null>((resolve) => child.once("exit", resolve)));
  const cache = new FileCache(folder);
  let isOver = false;
  void Promise.all(ended).then(() => (isOver = true));
  const seen = new Set<number>();
  while (!isOver) {
    for (const key of keys) {
      const bytes = cache.get(key);
      if (bytes === undefined) continue;
      // Each process writes its own contents: a mixture would have another sum.
      assert.ok([1, 2].some((seed) => Buffer.compare(bytes, bytesOf(200_000, seed)) === 0));
      seen.add(bytes[0]!);
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(await Promise.all(ended), [0, 0]);
  assert.deepEqual(readdirSync(folder).sort(), keys);
  assert.ok(seen.size > 0);
});

test("keys that are no file names are refused, and files are the user's alone", () => {
  const folder = freshFolder();
  const cache = new FileCache(folder);
  for (const key of ["", "../a", "A", "a/b", ".new-1", "a b", "x".repeat(121)]) assert.throws(() => cache.get(key), /expected a key/);
  cache.put("key", bytesOf(1));
  if (process.platform !== "win32") assert.equal(statSync(join(folder, "key")).mode & 0o777, 0o600);
  truncateSync(join(folder, "key"), 0);
  assert.equal(cache.open("key"), undefined);
});
