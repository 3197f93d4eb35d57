import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { GuestImageError } from "../../../abi/guest-image-error.js";
import { buildCpio, S_IFCHR, S_IFDIR, S_IFREG } from "./cpio.js";
import { buildInitramfs, listEntries } from "./initramfs.js";

const busybox = new TextEncoder().encode("not really busybox");

interface Unpacked {
  readonly mode: number;
  readonly device: string;
  readonly content: string;
}

/** Reads a newc archive the way the kernel does. */
function readCpio(archive: Uint8Array): Map<string, Unpacked> {
  const bytes = Buffer.from(archive);
  const files = new Map<string, Unpacked>();
  for (let at = 0; ; ) {
    assert.equal(bytes.toString("latin1", at, at + 6), "070701", `a header must be at ${at}`);
    const field = (n: number) => parseInt(bytes.toString("latin1", at + 6 + 8 * n, at + 14 + 8 * n), 16);
    const name = bytes.toString("utf8", at + 110, at + 110 + field(11) - 1);
    const start = Math.ceil((at + 110 + field(11)) / 4) * 4;
    if (name === "TRAILER!!!") return files;
    files.set(name, { mode: field(1), device: `${field(9)},${field(10)}`, content: bytes.toString("utf8", start, start + field(6)) });
    at = Math.ceil((start + field(6)) / 4) * 4;
  }
}

test("a cpio archive is byte for byte what the newc format asks for", () => {
  const archive = buildCpio([
    { path: "d", mode: S_IFDIR | 0o755 },
    { path: "d/file", mode: S_IFREG | 0o644, bytes: new TextEncoder().encode("hello") },
    { path: "d/null", mode: S_IFCHR | 0o666, device: [1, 3] },
  ]);
  const expected =
    "070701" + "00000001" + "000041ed" + "00000000" + "00000000" + "00000002" + "00000000" + "00000000" + "00000000" + "00000000" + "00000000" + "00000000" + "00000002" + "00000000" + "d\0" +
    "070701" + "00000002" + "000081a4" + "00000000" + "00000000" + "00000001" + "00000000" + "00000005" + "00000000" + "00000000" + "00000000" + "00000000" + "00000007" + "00000000" + "d/file\0" + "\0\0\0" + "hello\0\0\0" +
    "070701" + "00000003" + "000021b6" + "00000000" + "00000000" + "00000001" + "00000000" + "00000000" + "00000000" + "00000000" + "00000001" + "00000003" + "00000007" + "00000000" + "d/null\0" + "\0\0\0" +
    "070701" + "00000000" + "00000000" + "00000000" + "00000000" + "00000001" + "00000000" + "00000000" + "00000000" + "00000000" + "00000000" + "00000000" + "0000000b" + "00000000" + "TRAILER!!!\0" + "\0\0\0";
  assert.equal(Buffer.from(archive).toString("latin1"), expected);
});

test("the initramfs holds init, busybox, console and the user's files with their folders", async () => {
  const files = readCpio(await buildInitramfs({
    busybox,
    files: [{ path: "/root/deep/er/test", mode: 0o700, bytes: new TextEncoder().encode("#!/bin/sh\n") }],
  }));
  assert.match(files.get("init")!.content, /^#!\/bin\/busybox sh\n/);
  assert.equal(files.get("init")!.mode, 0o100755);
  assert.equal(files.get("bin/busybox")!.content, "not really busybox");
  assert.deepEqual({ ...files.get("dev/console"), content: "" }, { mode: 0o020600, device: "5,1", content: "" });
  assert.equal(files.get("root/deep/er/test")!.mode, 0o100700);
  assert.equal(files.get("root/deep/er")!.mode, 0o040755);
  assert.equal(files.get("unpinned/dev/fd")!.content, "/proc/self/fd");
});

test("every file of the initramfs comes after its folder", () => {
  const seen = new Set<string>();
  for (const { path } of listEntries({ busybox, files: [{ path: "/a/b/c", mode: 0o644, bytes: busybox }] }, busybox)) {
    const folder = path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : ".";
    assert.ok(path === "." || seen.has(folder), `${folder} must come before ${path}`);
    assert.ok(!seen.has(path), `${path} must come once`);
    seen.add(path);
  }
});

test("a user's file may replace one of ours, but not init", () => {
  const given = (path: string) => ({ path, mode: 0o644, bytes: new TextEncoder().encode("theirs") });
  const entries = listEntries({ busybox, files: [given("/etc/passwd"), given("/init")] }, new TextEncoder().encode("ours"));
  const contentOf = (path: string) => new TextDecoder().decode(entries.find((entry) => entry.path === path)!.bytes);
  assert.equal(contentOf("etc/passwd"), "theirs");
  assert.equal(contentOf("init"), "ours");
});

test("a path that is not absolute, or climbs, is refused", async () => {
  for (const path of ["root/test", "/", "/a/../b", "/a//b", "", "/a/./b", "/a\0b"]) {
    await assert.rejects(buildInitramfs({ busybox, files: [{ path, mode: 0o644, bytes: busybox }] }), GuestImageError);
  }
});

test("the init script is good shell", async (context) => {
  const archive = readCpio(await buildInitramfs({ busybox }));
  const { error, status, stderr } = spawnSync("sh", ["-n"], { input: archive.get("init")!.content, encoding: "utf8" });
  if (error) return context.skip("there is no sh here");
  assert.equal(status, 0, stderr);
});

test("every folder that the init script mounts on or writes to is in the initramfs", async () => {
  const archive = readCpio(await buildInitramfs({ busybox }));
  const table = archive.get("etc/fstab")!.content;
  for (const [, point] of table.matchAll(/^\S+ \/(\S+) /gm)) {
    assert.ok(archive.has(point!) || archive.has(`unpinned/${point}`), `${point} must be there`);
  }
  assert.equal(table.trim().split("\n").length, 5);
});
