import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { gzipSync } from "node:zlib";
import { pack } from "tar-stream";
import { GuestImageError } from "../../../abi/guest-image-error.js";
import { apt, parseControl, parseDepends, type PackageSource } from "./apt.js";
import { readDebFiles } from "./deb.js";
import { defaultCacheFolder, fetchBusybox, fetchDefaultGuest } from "./default-guest.js";

/** Bytes of a tar archive with these files. */
async function makeTar(files: Record<string, string>): Promise<Buffer> {
  const archive = pack();
  archive.entry({ name: "./boot/", type: "directory" });
  for (const [name, content] of Object.entries(files)) archive.entry({ name, mode: 0o755 }, content);
  archive.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of archive) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function makeAr(members: readonly (readonly [name: string, bytes: Buffer])[]): Buffer {
  const parts = members.flatMap(([name, bytes]) => [
    Buffer.from(`${name.padEnd(16)}${"0".padEnd(12)}${"0".padEnd(6)}${"0".padEnd(6)}${"100644".padEnd(8)}${String(bytes.length).padEnd(10)}\`\n`),
    bytes,
    Buffer.alloc(bytes.length % 2, "\n"),
  ]);
  return Buffer.concat([Buffer.from("!<arch>\n"), ...parts]);
}

async function makeDeb(files: Record<string, string>): Promise<Buffer> {
  return makeAr([
    ["debian-binary", Buffer.from("2.0\n")],
    ["control.tar.xz", Buffer.from("odd")],
    ["data.tar.gz", gzipSync(await makeTar(files))],
  ]);
}

/** A tar archive with ./boot/vmlinuz-1 = "kernel" in it, packed with `xz -9e`. */
const packedByXz =
  "/Td6WFoAAATm1rRGAgAhARwAAAAQz1jM4Cf/AH1dABcLyMfqmSTcUnKv46bKZHONS5U0ZKv9U277VZZDnqr6vJ3M9hoimfDeQ+WTZekkN+75oisQGDtB" +
  "yfwdR5XC8fgHK86locle1FCTqpzPOCFYrD98vJx32dGNF3ypywmZbvTDUicdwYMBkcPsM8EhvybpnWF7+1cUKCm8f9gAAAAAAOMy1BaCwKiBAAGZAYBQ" +
  "AABtIrlFscRn+wIAAAAABFla";

/** Packs as zstd (RFC 8878) in raw blocks. */
function storeAsZstd(bytes: Buffer): Buffer {
  const blocks: Buffer[] = [Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0, 0])];
  blocks[0]!.writeUInt32LE(bytes.length, 5);
  for (let at = 0; at < bytes.length; at += 0x1_0000) {
    const block = bytes.subarray(at, at + 0x1_0000);
    const header = Buffer.alloc(3);
    header.writeUIntLE((at + 0x1_0000 >= bytes.length ? 1 : 0) | (block.length << 3), 0, 3);
    blocks.push(header, block);
  }
  return Buffer.concat(blocks);
}

/** A stand-in for apt that knows three packages and counts what it is asked. */
function fakePackages(): PackageSource & { readonly calls: string[] } {
  const calls: string[] = [];
  const known: Record<string, { dependsOn: string[]; files: Record<string, string> }> = {
    "linux-image-cloud-amd64": { dependsOn: ["linux-image-6.1.0-56-cloud-amd64"], files: {} },
    "linux-image-6.1.0-56-cloud-amd64": { dependsOn: ["kmod", "linux-base"], files: { "./boot/config-6.1.0": "config", "./boot/vmlinuz-6.1.0": "kernel" } },
    "busybox-static": { dependsOn: [], files: { "./bin/busybox": "busybox", "./usr/share/doc/busybox": "text" } },
  };
  return {
    calls,
    async describe(name) {
      calls.push(`describe ${name}`);
      const found = known[name];
      if (!found) throw new GuestImageError(`apt knows no package ${name}`);
      return { name, version: "1:2.3-4", lengthBytes: 1000, dependsOn: found.dependsOn };
    },
    async download(name, folder) {
      calls.push(`download ${name}`);
      await writeFile(join(folder, `${name}_1%3a2.3-4_amd64.deb`), await makeDeb(known[name]!.files));
    },
  };
}

async function temporaryFolder(context: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "unpinned-test-"));
  context.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

test("the first fetch follows the meta package and the second one asks nobody", async (context) => {
  const cacheFolder = join(await temporaryFolder(context), "not", "yet", "there");
  const packages = fakePackages();
  const messages: string[] = [];
  const guest = await fetchDefaultGuest({ cacheFolder, packages, onProgress: (message) => messages.push(message) });
  assert.equal(await readFile(guest.kernelPath, "utf8"), "kernel");
  assert.equal(await readFile(guest.busyboxPath, "utf8"), "busybox");
  assert.equal(guest.version, "linux-image-6.1.0-56-cloud-amd64 1:2.3-4");
  assert.match(messages[0]!, /^Fetching linux-image-6\.1\.0-56-cloud-amd64 1:2\.3-4 \(0\.0 MiB\)$/);
  assert.deepEqual(packages.calls, [
    "describe linux-image-cloud-amd64", "describe linux-image-6.1.0-56-cloud-amd64", "download linux-image-6.1.0-56-cloud-amd64",
    "describe busybox-static", "download busybox-static",
  ]);

  const silent = fakePackages();
  const again = await fetchDefaultGuest({ cacheFolder, packages: silent, onProgress: (message) => messages.push(message) });
  assert.deepEqual(again, guest);
  assert.deepEqual(silent.calls, []);
  assert.equal(messages.length, 4);
  assert.deepEqual((await readdir(cacheFolder)).filter((name) => name.startsWith(".fetch-")), []);
});

test("a cached file that has lost bytes or is gone is fetched anew", async (context) => {
  const cacheFolder = await temporaryFolder(context);
  const { path } = await fetchBusybox({ cacheFolder, packages: fakePackages() });
  await rm(path);
  assert.equal(await readFile((await fetchBusybox({ cacheFolder, packages: fakePackages() })).path, "utf8"), "busybox");
  await truncate(path, 0);
  assert.equal(await readFile((await fetchBusybox({ cacheFolder, packages: fakePackages() })).path, "utf8"), "busybox");
});

test("a download that fails or gives a broken package leaves nothing that looks whole", async (context) => {
  const cacheFolder = await temporaryFolder(context);
  const failures: [PackageSource["download"], RegExp][] = [
    [() => Promise.reject(new GuestImageError("apt could not download it")), /could not download/],
    [async () => undefined, /gave no file/],
    [(_, folder) => writeFile(join(folder, "x.deb"), "<html>"), /no ar archive/],
    [async (_, folder) => writeFile(join(folder, "x.deb"), (await makeDeb({ "./bin/busybox": "x".repeat(9999) })).subarray(0, 200)), /cut short/],
    [async (_, folder) => writeFile(join(folder, "x.deb"), await makeDeb({ "./bin/other": "x" })), /holds 0 of the 1 files/],
  ];
  for (const [download, message] of failures) {
    await assert.rejects(fetchBusybox({ cacheFolder, packages: { ...fakePackages(), download } }), message);
    assert.deepEqual(await readdir(cacheFolder), []);
  }
});

test("eight fetches at once all succeed and leave one package", async (context) => {
  const cacheFolder = await temporaryFolder(context);
  const guests = await Promise.all(Array.from({ length: 8 }, () => fetchDefaultGuest({ cacheFolder, packages: fakePackages() })));
  for (const { kernelPath } of guests) assert.equal(await readFile(kernelPath, "utf8"), "kernel");
  assert.deepEqual((await readdir(cacheFolder)).sort(), [
    "busybox-static.json", "busybox-static_1-2.3-4", "linux-image-6.1.0-56-cloud-amd64_1-2.3-4", "linux-image-cloud-amd64.json",
  ]);
});

test("an abort before or during a fetch gives the signal's reason and leaves no folder", async (context) => {
  const cacheFolder = await temporaryFolder(context);
  const controller = new AbortController();
  const packages: PackageSource = {
    ...fakePackages(),
    download: async () => {
      controller.abort(new Error("enough"));
      controller.signal.throwIfAborted();
    },
  };
  await assert.rejects(fetchBusybox({ cacheFolder, packages, signal: controller.signal }), /enough/);
  await assert.rejects(fetchBusybox({ cacheFolder, packages, signal: controller.signal }), /enough/);
  assert.deepEqual(await readdir(cacheFolder), []);
});

test("what a fetch that was cut off has left is removed when it is a day old", async (context) => {
  const cacheFolder = await temporaryFolder(context);
  for (const name of [".fetch-old", ".fetch-new"]) await mkdir(join(cacheFolder, name));
  const past = new Date(Date.now() - 25 * 3600 * 1000);
  await utimes(join(cacheFolder, ".fetch-old"), past, past);
  await fetchBusybox({ cacheFolder, packages: fakePackages() });
  assert.deepEqual((await readdir(cacheFolder)).filter((name) => name.startsWith(".fetch-")), [".fetch-new"]);
});

test("a cache folder that cannot be made is named, with what to set", async (context) => {
  const folder = await temporaryFolder(context);
  await writeFile(join(folder, "file"), "");
  await assert.rejects(fetchBusybox({ cacheFolder: join(folder, "file", "cache"), packages: fakePackages() }), /file\/cache cannot be used \(ENOTDIR\): set XDG_CACHE_HOME/);
});

test("where there is no apt, one line says which files to pass", async (context) => {
  const path = process.env["PATH"];
  process.env["PATH"] = await temporaryFolder(context);
  context.after(() => (process.env["PATH"] = path));
  await assert.rejects(apt.describe("busybox-static"), (error: unknown) => {
    assert.ok(error instanceof GuestImageError);
    assert.match(error.message, /^there is no apt-cache here .*--kernel FILE and --initrd FILE$/);
    return true;
  });
});

test("apt's words are understood", () => {
  const fields = parseControl("Package: busybox-static\nVersion: 1:1.35\nDescription: shell\n folded\nSize: 42\n\nPackage: other\nSize: 43\n");
  assert.equal(fields.get("Version"), "1:1.35");
  assert.equal(fields.get("Size"), "42");
  assert.deepEqual(parseDepends("linux-image-6.12.117+deb12-cloud-amd64 (= 6.12.117-1~deb12u1), a | b, c (>= 1)"), ["linux-image-6.12.117+deb12-cloud-amd64", "a", "c"]);
  assert.deepEqual(parseDepends(""), []);
});

test("the cache folder follows XDG_CACHE_HOME and the platform", () => {
  assert.equal(defaultCacheFolder({ XDG_CACHE_HOME: "/x" }, "linux"), "/x/unpinned/debian");
  assert.match(defaultCacheFolder({ XDG_CACHE_HOME: "relative" }, "linux"), /\/\.cache\/unpinned\/debian$/);
  assert.match(defaultCacheFolder({}, "darwin"), /Library\/Caches\/unpinned\/debian$/);
});

test("a package packed in any way gives the chosen file and stops reading there", async (context) => {
  const folder = await temporaryFolder(context);
  const deb = join(folder, "x.deb");
  const tar = await makeTar({ "./boot/vmlinuz-1": "kernel", "./usr/big": "x".repeat(100_000) });
  const packings = [["data.tar", tar], ["data.tar.gz", gzipSync(tar)], ["data.tar.zst", storeAsZstd(tar)], ["data.tar.xz", Buffer.from(packedByXz, "base64")]] as const;
  for (const [name, bytes] of packings) {
    await writeFile(deb, makeAr([["debian-binary", Buffer.from("2.0\n")], [`${name}/`, bytes]]));
    const files = await readDebFiles(deb, (path) => (path === "boot/vmlinuz-1" ? "vmlinuz" : undefined), 1);
    assert.deepEqual([...files].map(([file, content]) => [file, new TextDecoder().decode(content)]), [["vmlinuz", "kernel"]]);
  }
  await writeFile(deb, makeAr([["debian-binary", Buffer.from("2.0\n")], ["data.tar.lzma", tar]]));
  await assert.rejects(readDebFiles(deb, () => undefined, 1), /data\.tar\.lzma has an unknown compression/);
  await writeFile(deb, makeAr([["debian-binary", Buffer.from("2.0\n")]]));
  await assert.rejects(readDebFiles(deb, () => undefined, 1), /has no data\.tar/);
  await writeFile(deb, makeAr([["data.tar.gz", gzipSync(tar).fill(0, 20)]]));
  await assert.rejects(readDebFiles(deb, () => undefined, 1), /does not unpack/);
});
