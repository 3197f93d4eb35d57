/** How translated code looks into a TLB (interpreter/tlb.ts). */
import { TLB_ADDEND, TLB_ENTRIES } from "../../abi/layout.js";
import { LOCAL } from "./region-layout.js";
import { type CodeWriter, W } from "./wasm-writer.js";

const TLB_ENTRY_SHIFT = 5;
/** The bits of a linear address that name its page, as an i64. */
export const PAGE_MASK = -4096;
/** The bits of an address in a TLB that name its entry, as an i32. */
export const ENTRY_ADDRESS_MASK = -1 << TLB_ENTRY_SHIFT;

/** Pushes the address of the entry for the linear address in `address`, of the TLB at `tlb`: the hash of interpreter/tlb.ts, tlbEntry. */
export function pushEntry(code: CodeWriter, address: number, tlb: number = LOCAL.tlb): void {
  code.get(address).i64(12 - TLB_ENTRY_SHIFT).op(W.i64ShrU).get(address).i64(24 - TLB_ENTRY_SHIFT).op(W.i64ShrU, W.i64Xor, W.i32Wrap)
    .i32((TLB_ENTRIES - 1) << TLB_ENTRY_SHIFT).op(W.i32And).get(tlb).op(W.i32Add);
}

/**
 * Takes the linear address of an access's last byte from the stack, and pushes whether that is not in the page of `tag` (TLB_TAG_READ, TLB_TAG_WRITE) of the entry at LOCAL.tlbEntry, which is that of its
 * first byte. Returns where the tag stands in the code, one byte.
 */
export function pushIsElsewhere(code: CodeWriter, tag: number): number {
  code.i64(PAGE_MASK).op(W.i64And).get(LOCAL.tlbEntry).access(W.i64Load, tag);
  const place = code.length - 1;
  code.op(W.i64Ne);
  return place;
}

/** Pushes the host address of the linear address in `address`, by the entry at LOCAL.tlbEntry. */
export function pushHostAddress(code: CodeWriter, address: number): void {
  code.get(address).op(W.i32Wrap).get(LOCAL.tlbEntry).access(W.i32Load, TLB_ADDEND).op(W.i32Add);
}
