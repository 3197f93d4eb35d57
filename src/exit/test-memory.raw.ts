/** A host memory that is only as large as a test needs. */

const WASM_PAGE_BYTES = 0x1_0000;

/** A shared memory of `sizeBytes` zero bytes, which cost nothing until they are touched. */
export function createTestMemory(sizeBytes: number): WebAssembly.Memory {
  const pages = sizeBytes / WASM_PAGE_BYTES;
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
}
