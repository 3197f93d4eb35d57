/**
 * The steps by which a read section begins and ends, as one WebAssembly function each. They are the atomics that `atomicStore` and `atomicLoad` are,
 * in the same order; but V8 compiles `Atomics` of JavaScript to calls that cost some 8 ns each on the machine of bench/README.md, and these to the
 * instructions themselves: a protected access takes three quarters of the time.
 *
 *     (module (import "" "m" (memory 0 65536 shared))
 *       (func (export "storeThenLoad") (param i32 i32 i32) (result i32)
 *         local.get 0 local.get 1 i32.atomic.store local.get 2 i32.atomic.load)
 *       (func (export "store") (param i32 i32) local.get 0 local.get 1 i32.atomic.store))
 */

/** Addresses are those of bytes in the memory, multiples of 4. Everything is sequentially consistent. */
export interface SectionSteps {
  /** Stores `value`, then reads another word. */
  storeThenLoad(storeAddress: number, value: number, loadAddress: number): number;
  store(address: number, value: number): void;
}

const MODULE = Uint8Array.of(
  0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, // magic, version
  0x01, 0x0d, 0x02, 0x60, 0x03, 0x7f, 0x7f, 0x7f, 0x01, 0x7f, 0x60, 0x02, 0x7f, 0x7f, 0x00, // types: three i32 to i32, two i32
  0x02, 0x0a, 0x01, 0x00, 0x01, 0x6d, 0x02, 0x03, 0x00, 0x80, 0x80, 0x04, // import: memory, shared, at most 65536 pages
  0x03, 0x03, 0x02, 0x00, 0x01, 0x07, 0x09, 0x02, 0x01, 0x65, 0x00, 0x00, 0x01, 0x6c, 0x00, 0x01, // functions 0 and 1, exported as e and l
  0x0a, 0x1d, 0x02, // their code
  0x10, 0x00, 0x20, 0x00, 0x20, 0x01, 0xfe, 0x17, 0x02, 0x00, 0x20, 0x02, 0xfe, 0x10, 0x02, 0x00, 0x0b,
  0x0a, 0x00, 0x20, 0x00, 0x20, 0x01, 0xfe, 0x17, 0x02, 0x00, 0x0b,
);

/**
 * The steps on a memory. Undefined in copies of this code whose `Atomics` are others (sync/jitter): each access has to be seen there, and who
 * finds no steps takes the accesses one by one.
 */
export function createSectionSteps(memory: WebAssembly.Memory): SectionSteps | undefined {
  if (Atomics !== globalThis.Atomics) return undefined;
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(MODULE), { "": { m: memory } });
  return { storeThenLoad: exports["e"] as SectionSteps["storeThenLoad"], store: exports["l"] as SectionSteps["store"] };
}
