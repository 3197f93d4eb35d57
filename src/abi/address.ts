/**
 * Branded numbers for the address spaces between a guest instruction and a host page.
 *
 *   gva  guest linear address          bigint, 64 bits
 *   gpa  guest physical address        number, below 2^40        gfn = gpa / 4096
 *   hva  address in the VM's own host address space, always counted in pages here
 *   pfn  host frame number             address in the host memory / 4096
 *
 * Only this file makes a branded number from a bare one, so mixing two kinds does not compile.
 */

declare const brand: unique symbol;
type Branded<Base, Name extends string> = Base & { readonly [brand]: Name };

/** Guest physical address in bytes, 0 <= gpa < 2^40. */
export type Gpa = Branded<number, "Gpa">;
/** Guest frame number: gpa / 4096, 0 <= gfn < 2^28. */
export type Gfn = Branded<number, "Gfn">;
/** Host frame number: byte address of the frame in the host memory / 4096, below 2^20. 0 is never a frame. */
export type Pfn = Branded<number, "Pfn">;
/** Page number in the VM's host address space, 0 <= hvaPage < 2^28. */
export type HvaPage = Branded<number, "HvaPage">;
/** Guest linear address, 0 <= gva < 2^64. */
export type Gva = Branded<bigint, "Gva">;

const PAGE_BYTES = 4096;

/** Takes a byte address as a guest physical address. */
export function gpaOf(byteAddress: number): Gpa {
  return byteAddress as Gpa;
}

/** Takes a page number as a guest frame number. */
export function gfnOf(pageNumber: number): Gfn {
  return pageNumber as Gfn;
}

/** Takes a page number as a host frame number. */
export function pfnOf(pageNumber: number): Pfn {
  return pageNumber as Pfn;
}

/** Takes a page number as one of the VM's host address space. */
export function hvaPageOf(pageNumber: number): HvaPage {
  return pageNumber as HvaPage;
}

/** Takes a 64-bit value as a guest linear address; upper bits beyond 64 are cut off. */
export function gvaOf(address: bigint): Gva {
  return BigInt.asUintN(64, address) as Gva;
}

/** The guest frame that holds `gpa`. */
export function gfnOfGpa(gpa: Gpa): Gfn {
  return Math.floor(gpa / PAGE_BYTES) as Gfn;
}

/** The guest physical address `offsetBytes` behind the first byte of `gfn`. */
export function gpaOfGfn(gfn: Gfn, offsetBytes = 0): Gpa {
  return (gfn * PAGE_BYTES + offsetBytes) as Gpa;
}

/** The guest physical address `lengthBytes` behind `gpa`. */
export function gpaPlus(gpa: Gpa, lengthBytes: number): Gpa {
  return (gpa + lengthBytes) as Gpa;
}

/** Offset of `gpa` in its page, 0..4095. */
export function pageOffset(gpa: Gpa): number {
  return gpa % PAGE_BYTES;
}

/** Byte address of the frame in the host memory. */
export function frameAddress(pfn: Pfn): number {
  return pfn * PAGE_BYTES;
}

/** The frame that holds a byte address of the host memory. */
export function pfnOfAddress(byteAddress: number): Pfn {
  return Math.floor(byteAddress / PAGE_BYTES) as Pfn;
}
