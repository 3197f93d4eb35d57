import assert from "node:assert/strict";
import { test } from "node:test";
import { checkOptions, initWords } from "./options.js";
import { VirtualMachine } from "./virtual-machine.js";

test("memory outside 64 MiB to 3 GiB is refused", () => {
  for (const memoryBytes of [0, -1, 1.5, NaN, 63 * 2 ** 20, 3073 * 2 ** 20]) {
    assert.throws(() => checkOptions({ memoryBytes }), { code: "ERR_INVALID_OPTION" }, `${memoryBytes}`);
  }
  for (const memoryBytes of [64 * 2 ** 20, 3072 * 2 ** 20]) checkOptions({ memoryBytes });
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
