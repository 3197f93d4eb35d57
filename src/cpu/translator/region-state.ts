/** How the registers and flags of a region get from the vCPU's state into locals and back. */
import { VCPU } from "../../abi/layout.js";
import { LOCAL, REGISTER_COUNT } from "./region-layout.js";
import { type CodeWriter, W } from "./wasm-writer.js";

const FLAG_WORDS = [VCPU.flagResult, VCPU.flagAux, VCPU.flagExtra] as const;

/** Visits the locals of `registers` (a bit each), with their places. */
function eachRegister(registers: number, visit: (local: number, offset: number) => void): void {
  for (let number = 0; number < REGISTER_COUNT; number++) {
    if ((registers & (1 << number)) !== 0) visit(LOCAL.registers + number, VCPU.gpr + number * 8);
  }
}

/** Loads general registers, a bit each in `registers`. */
export function loadRegisters(code: CodeWriter, registers: number): void {
  eachRegister(registers, (local, offset) => code.get(LOCAL.base).access(W.i64Load, offset).set(local));
}

/** Stores general registers, a bit each in `registers`. */
export function storeRegisters(code: CodeWriter, registers: number): void {
  eachRegister(registers, (local, offset) => code.get(LOCAL.base).get(local).access(W.i64Store, offset));
}

/** Loads the three words of the flags; the note is left alone. */
export function loadFlags(code: CodeWriter): void {
  FLAG_WORDS.forEach((offset, index) => code.get(LOCAL.base).access(W.i64Load, offset).set(LOCAL.flagResult + index));
}

/** Stores the three words of the flags, and the note that says what they are. */
export function storeFlags(code: CodeWriter): void {
  FLAG_WORDS.forEach((offset, index) => code.get(LOCAL.base).get(LOCAL.flagResult + index).access(W.i64Store, offset));
  code.get(LOCAL.base).get(LOCAL.flagNote).access(W.i32Store, VCPU.regionFlags);
}
