/**
 * Control and debug registers, TLB and cache instructions (Intel SDM vol 2 "MOV—Move to/from Control Registers", "MOV—Move to/from
 * Debug Registers", "CLTS", "INVLPG"; vol 3 §2.5, §9.8.5; AMD APM vol 2 §14.6 for the way into long mode).
 */
import * as L from "./generated/layout";
import {
  ATTRIBUTE_LONG, attributesOf, CR0_PE, currentPrivilege, EFER_LMA, is64, isLong,
} from "./descriptors";
import { flushTlb, flushTlbNonGlobal, flushTlbPage, updateAccessWatch } from "./tlb";
import { BAIL_FAULT, BAIL_NEXT } from "./op";
import { updateMode } from "./segments";
import { cpu, effectiveAddress, raise, raiseError, regAddress, rmAddress, segmentAddress, VECTOR_DB, VECTOR_GP, VECTOR_UD } from "./state";

const CR0_TS: u64 = 8;
const CR0_ET: u64 = 0x10;
const CR0_WP: u64 = 0x1_0000;
const CR0_AM: u64 = 0x4_0000;
const CR0_NW: u64 = 0x2000_0000;
const CR0_CD: u64 = 0x4000_0000;
const CR0_PG: u64 = 0x8000_0000;
/** PE MP EM TS ET NE WP AM NW CD PG. */
const CR0_DEFINED: u64 = 0xe005_003f;

const CR4_DE: u64 = 0x8;
const CR4_PSE: u64 = 0x10;
const CR4_PAE: u64 = 0x20;
const CR4_PGE: u64 = 0x80;
const CR4_SMEP: u64 = 0x10_0000;
const CR4_SMAP: u64 = 0x20_0000;
/** TSD DE PSE PAE MCE PGE PCE OSFXSR OSXMMEXCPT UMIP FSGSBASE SMEP SMAP. */
const CR4_OFFERED: u64 = 0x31_0ffc;

const EFER_LME: u64 = 0x100;
/** Bits of CR3 that name a table in a 40-bit guest-physical space, and PWT and PCD. */
const CR3_DEFINED: u64 = 0xff_ffff_ffff;

const DR6: u32 = L.VCPU_dr + 48;
const DR7: u32 = L.VCPU_dr + 56;
const DR6_FIXED: u64 = 0xffff_0ff0;
const DR6_WRITABLE: u64 = 0xe00f;
const DR6_BD: u64 = 0x2000;
const DR7_FIXED: u64 = 0x400;
const DR7_WRITABLE: u64 = 0xffff_23ff;
const DR7_GD: u64 = 0x2000;

/** Value that a move to a control or debug register takes from its general register. */
function sourceValue(op: u32): u64 {
  const value = load<u64>(rmAddress(op));
  return is64() ? value : value & 0xffff_ffff;
}

function storeResult(op: u32, value: u64): void { store<u64>(rmAddress(op), is64() ? value : value & 0xffff_ffff); }

/** 0F 20. */
export function movFromControl(op: u32): i32 {
  const register = regAddress(op) - cpu;
  if (register != L.VCPU_cr0 && register != L.VCPU_cr2 && register != L.VCPU_cr3 && register != L.VCPU_cr4 && register != L.VCPU_cr8) return raise(VECTOR_UD);
  if (currentPrivilege() != 0) return raiseError(VECTOR_GP, 0);
  storeResult(op, load<u64>(cpu + register));
  return 0;
}

/** 0F 22. */
export function movToControl(op: u32): i32 {
  const register = regAddress(op) - cpu;
  const value = sourceValue(op);
  if (register != L.VCPU_cr0 && register != L.VCPU_cr2 && register != L.VCPU_cr3 && register != L.VCPU_cr4 && register != L.VCPU_cr8) return raise(VECTOR_UD);
  if (currentPrivilege() != 0) return raiseError(VECTOR_GP, 0);
  if (register == L.VCPU_cr0) return writeCr0(value);
  if (register == L.VCPU_cr3) return writeCr3(value);
  if (register == L.VCPU_cr4) return writeCr4(value);
  if (register == L.VCPU_cr8 && value > 15) return raiseError(VECTOR_GP, 0);
  store<u64>(cpu + register, value);
  return BAIL_NEXT;
}

/** Whether the combination of PG, PE, NW, CD and the way into long mode is allowed. */
function isCr0Allowed(value: u64, before: u64): bool {
  if ((value >> 32) != 0) return false;
  if ((value & CR0_PG) != 0 && (value & CR0_PE) == 0) return false;
  if ((value & CR0_NW) != 0 && (value & CR0_CD) == 0) return false;
  const paging = (value & CR0_PG) != 0;
  if (paging && (before & CR0_PG) == 0 && (load<u64>(cpu + L.VCPU_efer) & EFER_LME) != 0) {
    const code = attributesOf(segmentAddress(L.SEGMENT_CS));
    return (load<u64>(cpu + L.VCPU_cr4) & CR4_PAE) != 0 && (code & ATTRIBUTE_LONG) == 0;
  }
  return paging || !is64();
}

function writeCr0(value: u64): i32 {
  const before = load<u64>(cpu + L.VCPU_cr0);
  if (!isCr0Allowed(value, before)) return raiseError(VECTOR_GP, 0);
  const now = (value & CR0_DEFINED) | CR0_ET;
  const changed = now ^ before;
  store<u64>(cpu + L.VCPU_cr0, now);
  if ((changed & CR0_PG) != 0) {
    const efer = load<u64>(cpu + L.VCPU_efer) & ~EFER_LMA;
    const long = (now & CR0_PG) != 0 && (efer & EFER_LME) != 0;
    store<u64>(cpu + L.VCPU_efer, long ? efer | EFER_LMA : efer);
  }
  if ((changed & (CR0_PG | CR0_PE | CR0_WP)) != 0) flushTlb();
  if ((changed & CR0_AM) != 0) updateAccessWatch();
  updateMode();
  return BAIL_NEXT;
}

function writeCr3(value: u64): i32 {
  if ((value & ~CR3_DEFINED) != 0) return raiseError(VECTOR_GP, 0);
  store<u64>(cpu + L.VCPU_cr3, value);
  flushTlbNonGlobal();
  return BAIL_NEXT;
}

function writeCr4(value: u64): i32 {
  const before = load<u64>(cpu + L.VCPU_cr4);
  if ((value & ~CR4_OFFERED) != 0 || (isLong() && (value & CR4_PAE) == 0)) return raiseError(VECTOR_GP, 0);
  store<u64>(cpu + L.VCPU_cr4, value);
  if (((value ^ before) & (CR4_PSE | CR4_PAE | CR4_PGE | CR4_SMEP | CR4_SMAP)) != 0) flushTlb();
  updateAccessWatch();
  return BAIL_NEXT;
}

/** LMSW with the low four bits of `value`: PE can be set but not cleared. Returns what the handler answers. */
export function loadMachineStatus(value: u64): i32 {
  if (currentPrivilege() != 0) return raiseError(VECTOR_GP, 0);
  const before = load<u64>(cpu + L.VCPU_cr0);
  return writeCr0((before & ~(<u64>0xe)) | (value & 0xf));
}

/** 0F 06. */
export function clts(op: u32): i32 {
  if (currentPrivilege() != 0) return raiseError(VECTOR_GP, 0);
  store<u64>(cpu + L.VCPU_cr0, load<u64>(cpu + L.VCPU_cr0) & ~CR0_TS);
  return 0;
}

/**
 * Checks of a move to or from a debug register. Returns its offset in VCPU, with DR4 and DR5 as DR6 and DR7, or 0 with
 * the fault recorded.
 */
function debugRegister(op: u32): u32 {
  let register = regAddress(op) - cpu;
  if (register < L.VCPU_dr || register > DR7) { raise(VECTOR_UD); return 0; }
  if (register == L.VCPU_dr + 32 || register == L.VCPU_dr + 40) {
    if ((load<u64>(cpu + L.VCPU_cr4) & CR4_DE) != 0) { raise(VECTOR_UD); return 0; }
    register += 16;
  }
  if (currentPrivilege() != 0) { raiseError(VECTOR_GP, 0); return 0; }
  if ((load<u64>(cpu + DR7) & DR7_GD) != 0) {
    store<u64>(cpu + DR6, load<u64>(cpu + DR6) | DR6_BD);
    raise(VECTOR_DB);
    return 0;
  }
  return register;
}

/** 0F 21. */
export function movFromDebug(op: u32): i32 {
  const register = debugRegister(op);
  if (register == 0) return BAIL_FAULT;
  const value = load<u64>(cpu + register);
  storeResult(op, register == DR6 ? value | DR6_FIXED : register == DR7 ? value | DR7_FIXED : value);
  return 0;
}

/** 0F 23. */
export function movToDebug(op: u32): i32 {
  const register = debugRegister(op);
  if (register == 0) return BAIL_FAULT;
  const value = sourceValue(op);
  if (register >= DR6 && (value >> 32) != 0) return raiseError(VECTOR_GP, 0);
  if (register == DR6) store<u64>(cpu + DR6, (value & DR6_WRITABLE) | DR6_FIXED);
  else if (register == DR7) {
    store<u64>(cpu + DR7, (value & DR7_WRITABLE) | DR7_FIXED);
    updateAccessWatch();
  } else store<u64>(cpu + register, value);
  return BAIL_NEXT;
}

/** 0F 01 /7. */
export function invlpg(op: u32): i32 {
  if (currentPrivilege() != 0) return raiseError(VECTOR_GP, 0);
  flushTlbPage(effectiveAddress(op));
  return BAIL_NEXT;
}

/** 0F 08 and 0F 09: there is no cache to write back. */
export function flushCaches(op: u32): i32 { return currentPrivilege() != 0 ? raiseError(VECTOR_GP, 0) : 0; }
