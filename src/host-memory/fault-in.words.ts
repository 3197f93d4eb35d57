/** A place in this room's share of the VM block that only its thread tests use. */
import { VM_BLOCK_BASE } from "../abi/layout.js";

/** Index of the first of 16 words. */
export const WORD_TEST_AREA = (VM_BLOCK_BASE + 0xf000) >>> 2;
