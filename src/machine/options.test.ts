import assert from "node:assert/strict";
import { test } from "node:test";
import { checkOptions, initWords, type VirtualMachineOptions } from "./options.js";
import { VirtualMachine } from "./virtual-machine.js";

test("memory outside 64 MiB to 3 GiB is refused", () => {
  for (const memoryBytes of [0, -1, 1.5, NaN, 63 * 2 ** 20, 3073 * 2 ** 20]) {
    assert.throws(() => checkOptions({ memoryBytes }), { code: "ERR_INVALID_OPTION" }, `${memoryBytes}`);
  }
  for (const memoryBytes of [64 * 2 ** 20, 3072 * 2 ** 20]) checkOptions({ memoryBytes });
});

test("options about memory that cannot be used are refused, each by its name", () => {
  const right = [
    {}, { memoryLimitBytes: 16 * 2 ** 20 }, { swapBytes: 4096 }, { storm: 0 }, { storm: "max" }, { storm: 10_000_000, stormSeed: 2 ** 32 - 1 },
    { pageAccess: "map-each-time" },
  ];
  const wrong = [
    { memoryLimitBytes: 2 ** 28 }, { memoryLimitBytes: 2 ** 24 - 1 }, { memoryLimitBytes: NaN }, { swapBytes: 0 }, { swapBytes: 2 ** 33 }, { storm: -1 },
    { storm: 1.5 }, { storm: "fast" }, { stormSeed: -1 }, { stormSeed: 2 ** 32 }, { pageAccess: "loose" },
  ];
  for (const options of right) checkOptions(options as VirtualMachineOptions);
  for (const options of wrong) {
    const [name] = Object.keys(options);
    assert.throws(() => checkOptions(options as VirtualMachineOptions), { code: "ERR_INVALID_OPTION", message: new RegExp(`^${name} must be`) }, name);
  }
});

test("a cache is a folder, or none", () => {
  for (const options of [{}, { cache: false }, { cache: { directory: "somewhere" } }] as const) checkOptions(options);
  for (const cache of [true, "somewhere", null, {}, { directory: "" }]) {
    assert.throws(() => checkOptions({ cache } as unknown as VirtualMachineOptions), { code: "ERR_INVALID_OPTION", message: /^cache must be/ });
  }
});

test("files go into the default guest only", () => {
  const files = [{ path: "/root/test", mode: 0o644, bytes: new Uint8Array(1) }];
  checkOptions({ files });
  checkOptions({ files: [], initrd: new Uint8Array(1) });
  assert.throws(() => checkOptions({ files, initrd: new Uint8Array(1) }), { code: "ERR_INVALID_OPTION", message: /^files must be left out/ });
});

test("lock step is refused where it has nothing to check, or cannot keep others away", () => {
  for (const options of [{ lockStep: 0 }, { lockStep: 1 }, { lockStep: 1_000_000, tier: "translator" }, { lockStep: 0, tier: "interpreter", pageAccess: "pinned" }] as const) checkOptions(options);
  for (const lockStep of [-1, 1.5, NaN, 1_000_001]) assert.throws(() => checkOptions({ lockStep }), { code: "ERR_INVALID_OPTION", message: /^lockStep must be/ });
  assert.throws(() => checkOptions({ lockStep: 1, tier: "interpreter" }), { message: /^lockStep needs translated code/ });
  assert.throws(() => checkOptions({ lockStep: 1, pageAccess: "pinned" }), { message: /^lockStep needs pageAccess/ });
});

test("a personality that does not exist is refused", () => {
  for (const personality of ["xen", "kvm", undefined] as const) checkOptions({ ...(personality === undefined ? {} : { personality }) });
  for (const personality of ["", "KVM", "hyperv", 1]) assert.throws(() => checkOptions({ personality: personality as never }), { code: "ERR_INVALID_OPTION" });
});

test("an aborted signal keeps a VM from being made", async () => {
  const reason = new Error("not today");
  await assert.rejects(VirtualMachine.create({ signal: AbortSignal.abort(reason) }), reason);
});

test("a kernel that cannot be read is one line with the path", async () => {
  await assert.rejects(VirtualMachine.create({ kernel: "/nonexistent/vmlinuz" }), {
    name: "InputFileError", message: "cannot read the kernel /nonexistent/vmlinuz: no such file",
  });
});

test("the shell's options become words of the command line", () => {
  assert.deepEqual(initWords({ verbose: true, shell: { rows: 5, columns: 7, echo: false } }), [
    "unpinned.rows=5", "unpinned.cols=7", "unpinned.echo=0",
  ]);
  assert.deepEqual(initWords({}), ["quiet", "loglevel=2"]);
});
