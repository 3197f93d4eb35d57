import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { SwapFile, SwapFileSlots } from "./swap-file.js";

const PAGE = 4096;
let folder = "";
before(() => (folder = mkdtempSync(join(tmpdir(), "unpinned-swap-test-"))));
after(() => rmSync(folder, { recursive: true }));

function page(value: number): Uint8Array {
  return new Uint8Array(PAGE).fill(value);
}

test("slots hold what was written, in any order, through any number of handles", () => {
  const file = SwapFile.open(join(folder, "slots"), 100);
  const [one, other] = [new SwapFileSlots(file.share), new SwapFileSlots(file.share)];
  one.write(99, page(9));
  other.write(0, page(1));
  one.write(0, page(2));
  const target = page(0);
  for (const [slot, value] of [[99, 9], [0, 2]] as const) {
    other.read(slot, target);
    assert.deepEqual(target, page(value));
  }
  assert.equal(one.slotCount, 100);
  file.close();
});

test("only written slots take disk space", { skip: process.platform === "win32" }, () => {
  const path = join(folder, "sparse");
  const file = SwapFile.open(path, 1_000_000);
  new SwapFileSlots(file.share).write(999_999, page(1));
  const { size, blocks } = statSync(path);
  assert.ok(size > 4e9 && blocks * 512 < 1e6, `${size} bytes, ${blocks} blocks`);
  file.close();
});

test("a named file is for its user alone while it is open, and empty afterwards", () => {
  const path = join(folder, "named");
  const file = SwapFile.open(path, 10);
  if (process.platform !== "win32") assert.equal(statSync(path).mode & 0o777, 0o600);
  new SwapFileSlots(file.share).write(0, page(7));
  assert.throws(() => SwapFile.open(path, 10), { code: "ERR_SWAP_FILE", message: `swap file ${path}: process ${process.pid} uses it` });
  file.close();
  file.close();
  assert.equal(readFileSync(path).length, 0);
  SwapFile.open(path, 10).close();
});

test("what a killed process left is taken over, other contents are not", () => {
  const path = join(folder, "left");
  // No process has this number: the largest that Linux gives is 4194304.
  writeFileSync(path, `unpinned swap file of process 999999999\n${"x".repeat(9000)}`);
  SwapFile.open(path, 10).close();
  writeFileSync(path, "dear diary");
  assert.throws(() => SwapFile.open(path, 10), { message: `swap file ${path}: the file has other contents; name a new one` });
  assert.equal(readFileSync(path, "utf8"), "dear diary");
  writeFileSync(path, new Uint8Array(PAGE * 2));
  SwapFile.open(path, 10).close();
});

test("the temporary file is not left behind", () => {
  const mine = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith(`unpinned-swap-${process.pid}-`));
  const file = SwapFile.open(undefined, 10);
  if (process.platform !== "win32") assert.deepEqual(mine(), []);
  const slots = new SwapFileSlots(file.share);
  slots.write(3, page(3));
  const target = page(0);
  slots.read(3, target);
  assert.deepEqual(target, page(3));
  file.close();
  assert.deepEqual(mine(), []);
});

test("a full device is said in one line, and nothing is lost of other slots", { skip: !existsSync("/dev/full") }, () => {
  const file = SwapFile.open("/dev/full", 10);
  assert.throws(() => new SwapFileSlots(file.share).write(5, page(1)),
    { code: "ERR_SWAP_FILE", message: "swap file /dev/full is full (no space left on device)" });
  file.close();
});

test("a file that was shortened is noticed", () => {
  const path = join(folder, "short");
  const file = SwapFile.open(path, 10);
  assert.throws(() => new SwapFileSlots(file.share).read(5, page(0)), /slot 5 is missing/);
  file.close();
});

test("a path that cannot be used is said in one line", () => {
  assert.throws(() => SwapFile.open(folder, 10), { message: `swap file ${folder}: it is a directory` });
  assert.throws(() => SwapFile.open(join(folder, "no", "where"), 10), { message: /no such folder$/ });
});
