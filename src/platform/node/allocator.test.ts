import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";

const BLOCKS = 8;
const BLOCK_BYTES = 1 << 20;
const PAGE_BYTES = 4096;
/** V8 frees array buffers in a thread of its own, behind the collection. */
const FREED_AFTER_MS = 1000;
const IS_GLIBC = (process.report.getReport() as { header: { glibcVersionRuntime?: string } }).header.glibcVersionRuntime !== undefined;

/** Page faults of a process that has V8 take and free ever larger blocks (it copies shared bytes before it looks at them), behind `prelude`. */
function countFaults(prelude: string): number {
  const program = `${prelude}
    const shared = new SharedArrayBuffer(${BLOCKS * BLOCK_BYTES});
    new Uint8Array(shared).fill(1);
    const before = process.resourceUsage().minorPageFault;
    for (let block = 1; block <= ${BLOCKS}; block++) WebAssembly.validate(new Uint8Array(shared, 0, block * ${BLOCK_BYTES} - 1024));
    console.log(process.resourceUsage().minorPageFault - before);`;
  return Number(execFileSync(process.execPath, ["--input-type=module", "--eval", program], { encoding: "utf8" }));
}

test("memory that was freed is there for the next who takes it, without a page fault for each page", { skip: IS_GLIBC ? false : "needs glibc" }, () => {
  const everyPage = (BLOCKS * (BLOCKS + 1) / 2 * BLOCK_BYTES) / PAGE_BYTES;
  const kept = countFaults(`(await import(${JSON.stringify(new URL("./allocator.js", import.meta.url).href)})).keepFreedMemory();
    await new Promise((resolve) => setTimeout(resolve, ${FREED_AFTER_MS}));`);
  assert.ok(kept < everyPage / 4, `${kept} page faults`);
  assert.ok(countFaults("") > everyPage / 2, "expected the C library to give memory back, if nobody asks for something else");
});
