/**
 * What every SSE instruction does before and after its arithmetic: the availability checks and the operands.
 *
 * Text followed: Intel SDM vol 2 §2.4 (exception types of SSE instructions) and vol 3 §13.1 (CR0.EM, CR0.TS, CR4.OSFXSR). An
 * instruction calls exactly one `source*` function (or sseRefused, when it has no source in memory) before
 * it changes anything.
 */
import * as L from "./generated/layout";
import { readPointer } from "./memory";
import { OP_BITS, OP_BITS_MEMORY } from "./op";
import { cpu, effectiveAddress, raise, raiseError, regAddress, rmAddress, VECTOR_GP, VECTOR_NM, VECTOR_UD } from "./state";

/** No x87 unit: MMX and SSE raise #UD. */
export const CR0_EM: u64 = 4;
/** The state belongs to another task: MMX and SSE raise #NM. */
export const CR0_TS: u64 = 8;
/** The operating system saves SSE state; without it SSE raises #UD. */
export const CR4_OSFXSR: u64 = 0x200;

/** Whether CR0 and CR4 let SSE instructions run now. */
// @ts-ignore: decorator
@inline export function sseReady(): bool {
  const c = cpu;
  return (load<u64>(c + L.VCPU_cr0) & (CR0_EM | CR0_TS)) == 0 && (load<u64>(c + L.VCPU_cr4) & CR4_OSFXSR) != 0;
}

/** Raises #UD or #NM, whichever forbids SSE now; 0 when nothing does. */
export function sseRefused(): i32 {
  if (sseReady()) return 0;
  const cr0 = load<u64>(cpu + L.VCPU_cr0);
  if ((cr0 & CR0_EM) != 0 || (load<u64>(cpu + L.VCPU_cr4) & CR4_OSFXSR) == 0) return raise(VECTOR_UD);
  return raise(VECTOR_NM);
}

/** Whether the rm operand of `op` is memory. */
// @ts-ignore: decorator
@inline export function isMemory(op: u32): bool { return (load<u8>(op + OP_BITS) & OP_BITS_MEMORY) != 0; }

/**
 * Host address of the 16-byte rm operand of `op`, register or aligned memory, after the availability checks.
 * 0: a fault or exit is recorded and `bail` is to be returned.
 */
export function source128(op: u32): u32 {
  if (!sseReady()) { sseRefused(); return 0; }
  if (!isMemory(op)) return rmAddress(op);
  const address = effectiveAddress(op);
  if ((address & 15) != 0) { raiseError(VECTOR_GP, 0); return 0; }
  return readPointer(address, 16);
}

/** As source128 for an operand that needs no alignment and of which `size` bytes (1..16) are read from memory. */
export function sourceUnaligned(op: u32, size: u32): u32 {
  if (!sseReady()) { sseRefused(); return 0; }
  if (!isMemory(op)) return rmAddress(op);
  return readPointer(effectiveAddress(op), size);
}

/** Checks that a 16-byte aligned store to the memory operand of `op` may start: 0, or the code to return. */
export function storeRefused(op: u32): i32 {
  const refused = sseRefused();
  if (refused != 0) return refused;
  return (effectiveAddress(op) & 15) != 0 ? raiseError(VECTOR_GP, 0) : 0;
}

/** The XMM register named by ModRM.reg. */
// @ts-ignore: decorator
@inline export function readXmm(op: u32): v128 { return v128.load(regAddress(op)); }

/** Replaces the XMM register named by ModRM.reg; the instruction is done. */
// @ts-ignore: decorator
@inline export function writeXmm(op: u32, value: v128): i32 { v128.store(regAddress(op), value); return 0; }

/** Address of XMM0, the implicit operand of some instructions. */
// @ts-ignore: decorator
@inline export function xmm0Address(): u32 { return cpu + L.VCPU_xmm; }
