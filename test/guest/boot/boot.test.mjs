/**
 * The default guest boots, whatever the size of its memory and whichever of Debian's kernels it is.
 *
 * What: boots to init and asks for uname, MemTotal, the clock source and the kernel's log; with the least memory to 3 GiB, with kernels whose payload is
 *   packed with LZ4, zstd or XZ, and with nothing but a console on the command line of ours.
 * Why: each kernel takes another way through the loader, and each size another memory map.
 * How it can tell: MemTotal within what a kernel keeps for itself; page counts from the VM's own statistics; no warning in the log.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { fetchKernel } from "../../../dist/platform/node/guest-image/index.js";
import { askGuest, bootGuest } from "../support/guest.mjs";

const MIB = 1 << 20;
/** What no kernel of a healthy machine says. */
const COMPLAINT = /BUG:|WARNING:|Oops|Call Trace|rcu.*stall|lockup|general protection fault[,:]|Kernel panic/i;

/** @param {import("../../../dist/machine/index.js").VirtualMachine} vm */
async function readFacts(vm) {
  const text = await askGuest(vm, "awk '/^MemTotal/ { print $2 }' /proc/meminfo; cat /sys/devices/system/clocksource/clocksource0/current_clocksource; uname -r");
  const [memTotalKib, clockSource, release] = text.split("\n");
  return { memTotalBytes: Number(memTotalKib) * 1024, clockSource, release };
}

describe("memory sizes", () => {
  /** Pages touched until init, by size in MiB. */
  const pagesTouched = new Map();

  for (const sizeMib of [128, 256, 1024, 2048, 3072]) {
    test(`a guest with ${sizeMib} MiB boots, and its kernel sees that much`, async (context) => {
      const vm = await bootGuest({ memoryBytes: sizeMib * MIB });
      try {
        const { memory, bootMs } = vm.stats();
        pagesTouched.set(sizeMib, memory.pagesTouched);
        const { memTotalBytes, clockSource } = await readFacts(vm);
        context.diagnostic(`init after ${bootMs?.toFixed(0)} ms, ${memory.pagesTouched} pages touched, MemTotal ${(memTotalBytes / MIB).toFixed(1)} MiB`);
        assert.ok(memTotalBytes < sizeMib * MIB, `MemTotal ${memTotalBytes}`);
        // Kernel image and page structures (1/64 of the size) are the kernel's own.
        assert.ok(memTotalBytes > sizeMib * MIB * (1 - 1 / 32) - 48 * MIB, `MemTotal ${memTotalBytes}`);
        assert.equal(clockSource, "xen");
        assert.doesNotMatch(await askGuest(vm, "dmesg"), COMPLAINT);
      } finally {
        await vm.dispose();
      }
    });
  }

  test("too little memory is refused in one line that names a size, and with that size the guest boots", async (context) => {
    const refusal = await bootGuest({ memoryBytes: 64 * MIB }).then(async (vm) => void await vm.dispose(), (error) => error);
    assert.equal(refusal?.name, "GuestImageError", "64 MiB are too little for the default guest");
    const needed = Number(/at least (\d+) MiB/.exec(refusal.message)?.[1]);
    assert.ok(needed > 64 && !refusal.message.includes("\n"), refusal.message);
    const vm = await bootGuest({ memoryBytes: needed * MIB });
    try {
      const { memTotalBytes } = await readFacts(vm);
      context.diagnostic(`${needed} MiB: init after ${vm.stats().bootMs?.toFixed(0)} ms, MemTotal ${(memTotalBytes / MIB).toFixed(1)} MiB`);
    } finally {
      await vm.dispose();
    }
  });

  test("a guest with more memory touches hardly more pages", () => {
    const small = pagesTouched.get(256);
    const large = pagesTouched.get(3072);
    assert.ok(small !== undefined && large !== undefined, "the boots above must have worked");
    // The kernel's array of page structures grows by 16 bytes a KiB: it is written, so it counts.
    const structures = (3072 - 256) * MIB / 4096 * 64 / 4096;
    assert.ok(large < small + structures + 4096, `${small} pages with 256 MiB, ${large} with 3 GiB`);
  });

  test("all of a guest's memory can be used", async () => {
    const vm = await bootGuest({ memoryBytes: 96 * MIB });
    try {
      const before = vm.stats().memory.pagesTouched;
      const digest = await askGuest(vm, "mount -o remount,size=90% /tmp; yes unpinned | head -c 30000000 >/tmp/big; md5sum </tmp/big; rm /tmp/big");
      assert.equal(digest, `${createHash("md5").update(Buffer.alloc(30_000_000, "unpinned\n")).digest("hex")}  -`);
      const touched = vm.stats().memory.pagesTouched - before;
      assert.ok(touched > 2000 && touched <= 96 * MIB / 4096, `${touched} pages`);
    } finally {
      await vm.dispose();
    }
  });
});

describe("kernels", () => {
  /** Package to fetch, and what its name stands for. A package that this host cannot get is skipped, and the reason is said. */
  const kernels = [
    ["linux-image-cloud-amd64", "the cloud kernel of the host's Debian release"],
    ["linux-image-amd64", "the full kernel of the host's Debian release"],
    ["linux-image-6.12-cloud-amd64", "the cloud kernel 6.12"],
  ];
  for (const [kernelPackage, what] of kernels) {
    test(`${what} (${kernelPackage}) boots`, async (context) => {
      const kernel = await fetchOrSkip(context, kernelPackage);
      if (kernel === undefined) return;
      const vm = await bootGuest({ kernel: kernel.path, memoryBytes: 512 * MIB });
      try {
        const { release, clockSource } = await readFacts(vm);
        const stats = vm.stats();
        context.diagnostic(`${kernel.package} ${kernel.version}: ${payloadOf(readFileSync(kernel.path))} payload, init after ${stats.bootMs?.toFixed(0)} ms, ${stats.memory.pagesTouched} pages touched`);
        assert.ok(kernel.package.endsWith(release ?? "?"), `${release} of ${kernel.package}`);
        assert.equal(clockSource, "xen");
        const log = await askGuest(vm, "dmesg");
        assert.match(log, /Hypervisor detected: Xen HVM/);
        assert.doesNotMatch(log, COMPLAINT);
      } finally {
        await vm.dispose();
      }
    });
  }

  test("a guest with crypto self-tests, mitigations and paravirtual spin locks, as without the words we add, boots as well", async () => {
    // What stands last wins, so this takes back those of our words that can be taken back.
    const vm = await bootGuest({ append: "mitigations=auto cryptomgr.notests=0 nopvspin=0 loglevel=7" });
    try {
      assert.doesNotMatch(await askGuest(vm, "dmesg"), COMPLAINT);
    } finally {
      await vm.dispose();
    }
  });
});

/** @param {import("node:test").TestContext} context @param {string} kernelPackage */
async function fetchOrSkip(context, kernelPackage) {
  try {
    return await fetchKernel({ kernelPackage });
  } catch (error) {
    if (!(error instanceof Error) || error.name !== "GuestImageError") throw error;
    context.skip(error.message);
    return undefined;
  }
}

/** How the kernel inside a bzImage is packed, by the first bytes of its payload. @param {Uint8Array} image */
function payloadOf(image) {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const setupSectors = view.getUint8(0x1f1) || 4;
  const at = (setupSectors + 1) * 512 + view.getUint32(0x248, true);
  const magic = view.getUint32(at, false).toString(16).padStart(8, "0");
  const names = { "02214c18": "LZ4", "28b52ffd": "zstd", "fd377a58": "XZ" };
  return Object.entries(names).find(([start]) => magic.startsWith(start))?.[1] ?? (magic.startsWith("1f8b") ? "gzip" : magic);
}
