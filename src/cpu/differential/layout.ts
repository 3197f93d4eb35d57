/**
 * The differential tests' memory map and record layouts; test/differential/generate.c has the same numbers.
 *
 *   CODE_BASE       two pages of INT3, the instruction under test somewhere in them
 *   DATA_BASE       two writable pages of fixed background bytes; WINDOW_SIZE bytes around the border between them are new in each case
 *   READ_ONLY_BASE  one page of the same background
 * Every other address faults with "page not present".
 */
export const CODE_BASE = 0x1000_0000;
export const CODE_SIZE = 0x2000;
/** Where the instruction normally stands in the code pages. */
export const CODE_OFFSET = 0x800;
export const DATA_BASE = 0x2000_0000;
export const DATA_SIZE = 0x2000;
export const WINDOW_OFFSET = 0xe00;
export const WINDOW_SIZE = 0x400;
export const WINDOW_BASE = DATA_BASE + WINDOW_OFFSET;
/** A second address of the data pages that 16-bit addressing reaches. */
export const LOW_DATA_BASE = 0x8000;
export const READ_ONLY_BASE = 0x2000_4000;
export const READ_ONLY_SIZE = 0x1000;
/** Segment bases of FS and GS in 64-bit mode. */
export const FS_BASE = 0x0000_0000_1234_5678n;
export const GS_BASE = 0x0000_7abc_0000_1000n;
/** Selectors as Linux gives them to a user program. */
export const SELECTOR_CODE_32 = 0x23;
export const SELECTOR_DATA = 0x2b;
export const SELECTOR_CODE_64 = 0x33;

/** struct test_case, byte offsets. */
export const CASE = {
  mode: 0, codeOffset: 4, codeLength: 8, code: 16, gpr: 32, rflags: 160, fsBase: 168, gsBase: 176, fx: 184, window: 696, size: 1720,
} as const;

/** struct test_result, byte offsets. */
export const RESULT = {
  trap: 0, errorCode: 4, cr2: 8, rip: 16, gpr: 24, rflags: 152, fsBase: 160, gsBase: 168, selectors: 176, changeCount: 188, fx: 192, size: 704,
} as const;
/** struct memory_change: u64 address, u64 value. */
export const CHANGE_SIZE = 16;

/** FXSAVE image, byte offsets. */
export const FX = { control: 0, status: 2, tag: 4, mxcsr: 24, st: 32, xmm: 160, size: 512 } as const;

/** Bytes outside the window. */
export function backgroundBytes(size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let x = 0x9e3779b9;
  for (let i = 0; i < size; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    bytes[i] = x;
  }
  return bytes;
}
