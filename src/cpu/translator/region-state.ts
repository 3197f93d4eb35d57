/** How the registers and flags of a region get from the vCPU's state, which begins at `base`, into locals and back. */
import { VCPU } from "../../abi/layout.js";
import { LOCAL, REGISTER_COUNT } from "./region-layout.js";
import { type CodeWriter, W } from "./wasm-writer.js";

const FLAG_WORDS = [VCPU.flagResult, VCPU.flagAux, VCPU.flagExtra] as const;

/** Visits the locals of `registers` (a bit each), with their places. */
function eachRegister(base: number, registers: number, visit: (local: number, address: number) => void): void {
  for (let number = 0; number < REGISTER_COUNT; number++) {
    if ((registers & (1 << number)) !== 0) visit(LOCAL.registers + number, base + VCPU.gpr + number * 8);
  }
}

/** Loads general registers, a bit each in `registers`. */
export function loadRegisters(code: CodeWriter, base: number, registers: number): void {
  eachRegister(base, registers, (local, address) => code.i32(address).access(W.i64Load).set(local));
}

/** Stores general registers, a bit each in `registers`. */
export function storeRegisters(code: CodeWriter, base: number, registers: number): void {
  eachRegister(base, registers, (local, address) => code.i32(address).get(local).access(W.i64Store));
}

/** Loads the three words of the flags; the note is left alone. */
export function loadFlags(code: CodeWriter, base: number): void {
  FLAG_WORDS.forEach((offset, index) => code.i32(base + offset).access(W.i64Load).set(LOCAL.flagResult + index));
}

/** Stores the three words of the flags, and the note that says what they are. */
export function storeFlags(code: CodeWriter, base: number): void {
  FLAG_WORDS.forEach((offset, index) => code.i32(base + offset).get(LOCAL.flagResult + index).access(W.i64Store));
  code.i32(base + VCPU.regionFlags).get(LOCAL.flagNote).access(W.i32Store);
}
