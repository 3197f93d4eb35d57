/** How the flags of a region get from the vCPU's state into locals and back. */
import { VCPU } from "../../abi/layout.js";
import { LOCAL } from "./region-layout.js";
import { type CodeWriter, W } from "./wasm-writer.js";

const FLAG_WORDS = [VCPU.flagResult, VCPU.flagAux, VCPU.flagExtra] as const;

/** Loads the three words of the flags; the note is left alone. */
export function loadFlags(code: CodeWriter): void {
  FLAG_WORDS.forEach((offset, index) => code.get(LOCAL.base).access(W.i64Load, offset).set(LOCAL.flagResult + index));
}

/** Stores the three words of the flags, and the note that says what they are. */
export function storeFlags(code: CodeWriter): void {
  FLAG_WORDS.forEach((offset, index) => code.get(LOCAL.base).get(LOCAL.flagResult + index).access(W.i64Store, offset));
  code.get(LOCAL.base).get(LOCAL.flagNote).access(W.i32Store, VCPU.regionFlags);
}
