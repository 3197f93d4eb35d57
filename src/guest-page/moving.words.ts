/** Words by which moving.test.ts and its threads talk, in a part of the VM block that nobody else uses. */
import { VM_BLOCK_BASE } from "../abi/layout.js";

const word = (index: number): number => ((VM_BLOCK_BASE + 0xf000) >>> 2) + index * 16;

/** Not 0 = threads end. */
export const WORD_STOP = word(0);
/** Not 0 = the pretended vCPU drops its translation before it uses it again. */
export const WORD_VCPU_REQUEST = word(1);
/** 1 = the pretended vCPU is in guest mode. */
export const WORD_VCPU_MODE = word(2);
