/** The page of call stubs that kernels older than direct VMMCALL ask for (Xen public/arch-x86/cpuid.h, leaf 2). */

const STUB_COUNT = 128;
const STUB_SIZE = 32;

/** One page: stub n is "mov eax, n; vmmcall; ret", 32 bytes apart. */
export function hypercallPage(): Uint8Array {
  const page = new Uint8Array(STUB_COUNT * STUB_SIZE);
  for (let number = 0; number < STUB_COUNT; number++) {
    page.set([0xb8, number, 0, 0, 0, 0x0f, 0x01, 0xd9, 0xc3], number * STUB_SIZE);
  }
  return page;
}
