/**
 * FXSAVE, FXRSTOR, LDMXCSR, STMXCSR (Intel SDM vol 2, table 3-45 to 3-48).
 *
 *   0 FCW  2 FSW  4 FTW (abridged)  6 FOP  8 FIP  16 FDP  24 MXCSR  28 MXCSR_MASK  32 ST(0..7), 16 bytes each  160 XMM0..15
 *
 * FIP and FDP are 64 bits wide with REX.W, else 32 followed by a selector, which is stored as 0. XMM and MXCSR are part of it while CR4.OSFXSR is
 * set, XMM8..15 only in 64-bit mode. The bytes behind the last register saved are left as they are.
 */
import * as L from "./generated/layout";
import { readPointer, write32, writeBytes } from "./memory";
import { OP_BITS, OP_BITS_SIZE_MASK } from "./op";
import { VECTOR_GP, VECTOR_NM, VECTOR_UD, bail, cpu, effectiveAddress, raise, raiseError } from "./state";
import { setControlWord } from "./x87-control";
import { controlWord, enterWithoutWait, setStatus, slot, status } from "./x87-state";

/** Where the bytes to be written are put together. */
// @ts-ignore: decorator
@inline function staging(): u32 { return cpu + L.VCPU_AREA_scratch; }
const CR0_EM: u64 = 4;
const CR0_TS: u64 = 8;
const CR4_OSFXSR: u64 = 0x200;
const MXCSR_MASK: u32 = 0xffff;
const AREA_SIZE: u32 = 512;
const AREA_MXCSR: u32 = 24;
const AREA_ST: u32 = 32;
const AREA_XMM: u32 = 160;

// @ts-ignore: decorator
@inline function savesSse(): bool { return (load<u64>(cpu + L.VCPU_cr4) & CR4_OSFXSR) != 0; }
/** Bytes of the XMM registers that the current mode can name. */
function xmmSize(): u32 { return load<u32>(cpu + L.VCPU_mode) == L.MODE_64 ? 256 : 128; }
// @ts-ignore: decorator
@inline function isWide(op: u32): bool { return (load<u8>(op + OP_BITS) & OP_BITS_SIZE_MASK) == 3; }

function stageX87(wide: bool): void {
  const c = cpu;
  store<u16>(staging(), controlWord());
  store<u16>(staging() + 2, status());
  store<u16>(staging() + 4, load<u32>(c + L.VCPU_fpuTag) & 0xff);
  store<u16>(staging() + 6, load<u32>(c + L.VCPU_fpuOpcode));
  const instruction = load<u64>(c + L.VCPU_fpuInstructionPointer), data = load<u64>(c + L.VCPU_fpuDataPointer);
  store<u64>(staging() + 8, wide ? instruction : u64(u32(instruction)));
  store<u64>(staging() + 16, wide ? data : u64(u32(data)));
  for (let i: u32 = 0; i < 8; i++) {
    const to = staging() + AREA_ST + 16 * i, from = slot(i);
    store<u64>(to, load<u64>(from));
    store<u64>(to + 8, load<u16>(from + 8));
  }
}

function saveArea(op: u32): i32 {
  const address = effectiveAddress(op);
  if ((address & 15) != 0) return raiseError(VECTOR_GP, 0);
  stageX87(isWide(op));
  store<u32>(staging() + AREA_MXCSR, savesSse() ? load<u32>(cpu + L.VCPU_mxcsr) : 0);
  store<u32>(staging() + AREA_MXCSR + 4, savesSse() ? MXCSR_MASK : 0);
  if (!savesSse()) return writeBytes(address, staging(), AREA_XMM);
  memory.copy(staging() + AREA_XMM, cpu + L.VCPU_xmm, xmmSize());
  return writeBytes(address, staging(), AREA_XMM + xmmSize());
}

/** Does not wait for pending x87 exceptions. */
export function fxsave(op: u32): i32 {
  const refused = enterWithoutWait();
  return refused != 0 ? refused : saveArea(op);
}

function restoreX87(pointer: u32, wide: bool): void {
  const c = cpu;
  store<u32>(c + L.VCPU_fpuTag, load<u8>(pointer + 4));
  store<u32>(c + L.VCPU_fpuOpcode, load<u16>(pointer + 6) & 0x7ff);
  store<u64>(c + L.VCPU_fpuInstructionPointer, wide ? load<u64>(pointer + 8) : load<u32>(pointer + 8));
  store<u64>(c + L.VCPU_fpuDataPointer, wide ? load<u64>(pointer + 16) : load<u32>(pointer + 16));
  setStatus(load<u16>(pointer + 2));
  setControlWord(load<u16>(pointer));
  for (let i: u32 = 0; i < 8; i++) {
    const from = pointer + AREA_ST + 16 * i, to = slot(i);
    store<u64>(to, load<u64>(from));
    store<u16>(to + 8, load<u16>(from + 8));
  }
}

/** #GP for reserved bits of MXCSR. Unmasked x87 exceptions in what is loaded are raised by the next waiting instruction. */
export function fxrstor(op: u32): i32 {
  const refused = enterWithoutWait();
  if (refused != 0) return refused;
  const address = effectiveAddress(op);
  if ((address & 15) != 0) return raiseError(VECTOR_GP, 0);
  const pointer = readPointer(address, AREA_SIZE);
  if (pointer == 0) return bail;
  const mxcsr = load<u32>(pointer + AREA_MXCSR);
  if (savesSse()) {
    if ((mxcsr & ~MXCSR_MASK) != 0) return raiseError(VECTOR_GP, 0);
    store<u32>(cpu + L.VCPU_mxcsr, mxcsr);
    memory.copy(cpu + L.VCPU_xmm, pointer + AREA_XMM, xmmSize());
  }
  restoreX87(pointer, isWide(op));
  return 0;
}

/** #UD or #NM where SSE is not available; else 0. */
function sseRefused(): i32 {
  const cr0 = load<u64>(cpu + L.VCPU_cr0);
  if ((cr0 & CR0_EM) != 0 || !savesSse()) return raise(VECTOR_UD);
  return (cr0 & CR0_TS) != 0 ? raise(VECTOR_NM) : 0;
}

/** LDMXCSR m32. */
export function ldmxcsr(op: u32): i32 {
  const refused = sseRefused();
  if (refused != 0) return refused;
  const pointer = readPointer(effectiveAddress(op), 4);
  if (pointer == 0) return bail;
  const value = load<u32>(pointer);
  if ((value & ~MXCSR_MASK) != 0) return raiseError(VECTOR_GP, 0);
  store<u32>(cpu + L.VCPU_mxcsr, value);
  return 0;
}

/** STMXCSR m32. */
export function stmxcsr(op: u32): i32 {
  const refused = sseRefused();
  return refused != 0 ? refused : write32(effectiveAddress(op), load<u32>(cpu + L.VCPU_mxcsr));
}
