/**
 * Model-specific registers that live in the vCPU's state, the time-stamp counter and the FS and GS bases
 * (Intel SDM vol 2 "RDMSR", "WRMSR", "RDTSC", "RDFSBASE"; vol 4; AMD APM vol 2 appendix A). All other MSRs are the run loop's.
 */
import * as L from "./generated/layout";
import { currentPrivilege, EFER_LMA, is64, isCanonical, isProtected } from "./descriptors";
import { flushTlb } from "./tlb";
import { BAIL_NEXT } from "./op";
import { storeRegister, operandSize } from "./stack";
import { cpu, exitFor, gpr, raise, raiseError, rmAddress, segmentAddress, setGpr, VECTOR_GP, VECTOR_UD } from "./state";

const RAX: u32 = 0;
const RCX: u32 = 1;
const RDX: u32 = 2;

const IA32_SYSENTER_CS: u32 = 0x174;
const IA32_SYSENTER_ESP: u32 = 0x175;
const IA32_SYSENTER_EIP: u32 = 0x176;
const IA32_PAT: u32 = 0x277;
const IA32_EFER: u32 = 0xc000_0080;
const IA32_STAR: u32 = 0xc000_0081;
const IA32_LSTAR: u32 = 0xc000_0082;
const IA32_CSTAR: u32 = 0xc000_0083;
const IA32_FMASK: u32 = 0xc000_0084;
const IA32_FS_BASE: u32 = 0xc000_0100;
const IA32_GS_BASE: u32 = 0xc000_0101;
const IA32_KERNEL_GS_BASE: u32 = 0xc000_0102;
const IA32_TSC_AUX: u32 = 0xc000_0103;

const EFER_SCE: u64 = 1;
const EFER_LME: u64 = 0x100;
const EFER_NXE: u64 = 0x800;
const CR0_PG: u64 = 0x8000_0000;
const CR4_TSD: u64 = 4;
const CR4_FSGSBASE: u64 = 0x1_0000;

/** Nanoseconds since the VM was started; the TSC counts them. */
// @ts-ignore: decorator
@external("env", "timestamp")
declare function timestamp(): f64;

/** Offset in the vCPU area of the u64 that holds `msr`; 0 when the run loop answers for it. */
function stateOf(msr: u32): u32 {
  switch (msr) {
    case IA32_FS_BASE: return L.VCPU_segments + L.SEGMENT_FS * L.SEGMENT_SIZE + L.SEGMENT_BASE;
    case IA32_GS_BASE: return L.VCPU_segments + L.SEGMENT_GS * L.SEGMENT_SIZE + L.SEGMENT_BASE;
    case IA32_KERNEL_GS_BASE: return L.VCPU_kernelGsBase;
    case IA32_EFER: return L.VCPU_efer;
    case IA32_STAR: return L.VCPU_star;
    case IA32_LSTAR: return L.VCPU_lstar;
    case IA32_CSTAR: return L.VCPU_cstar;
    case IA32_FMASK: return L.VCPU_sfmask;
    case IA32_TSC_AUX: return L.VCPU_tscAux;
    case IA32_SYSENTER_CS: return L.VCPU_sysenterCs;
    case IA32_SYSENTER_ESP: return L.VCPU_sysenterEsp;
    case IA32_SYSENTER_EIP: return L.VCPU_sysenterEip;
    case IA32_PAT: return L.VCPU_pat;
    default: return 0;
  }
}

function setPair(value: u64): void {
  setGpr(RAX, value & 0xffff_ffff);
  setGpr(RDX, value >> 32);
}

/** 0F 32. */
export function rdmsr(op: u32): i32 {
  if (currentPrivilege() != 0) return raiseError(VECTOR_GP, 0);
  const field = stateOf(u32(gpr(RCX)));
  if (field == 0) return exitFor(L.EXIT_RDMSR, op);
  setPair(load<u64>(cpu + field));
  return 0;
}

/** 0F 30. */
export function wrmsr(op: u32): i32 {
  if (currentPrivilege() != 0) return raiseError(VECTOR_GP, 0);
  const msr = u32(gpr(RCX));
  const field = stateOf(msr);
  if (field == 0) return exitFor(L.EXIT_WRMSR, op);
  const value = (gpr(RAX) & 0xffff_ffff) | (gpr(RDX) << 32);
  if (msr == IA32_EFER) return writeEfer(value);
  if (!isValueAllowed(msr, value)) return raiseError(VECTOR_GP, 0);
  store<u64>(cpu + field, msr == IA32_FMASK ? value & 0xffff_ffff : value);
  return 0;
}

function isValueAllowed(msr: u32, value: u64): bool {
  if (msr == IA32_PAT) return isPatAllowed(value);
  if (msr == IA32_TSC_AUX) return (value >> 32) == 0;
  if (msr == IA32_STAR || msr == IA32_FMASK || msr == IA32_SYSENTER_CS) return true;
  return isCanonical(value);
}

/** Each byte a memory type: UC WC WT WP WB UC-. */
function isPatAllowed(value: u64): bool {
  for (let rest = value; rest != 0; rest >>= 8) {
    const type = rest & 0xff;
    if (type == 2 || type == 3 || type > 7) return false;
  }
  return true;
}

/** LMA follows LME and CR0.PG and is not changed by a write; LME is fixed while paging is on. */
function writeEfer(value: u64): i32 {
  const before = load<u64>(cpu + L.VCPU_efer);
  const paging = (load<u64>(cpu + L.VCPU_cr0) & CR0_PG) != 0;
  if ((value & ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)) != 0) return raiseError(VECTOR_GP, 0);
  if (paging && ((value ^ before) & EFER_LME) != 0) return raiseError(VECTOR_GP, 0);
  store<u64>(cpu + L.VCPU_efer, (value & ~EFER_LMA) | (before & EFER_LMA));
  if (((value ^ before) & EFER_NXE) != 0) flushTlb();
  return BAIL_NEXT;
}

function timeStampDisabled(): bool {
  return (load<u64>(cpu + L.VCPU_cr4) & CR4_TSD) != 0 && currentPrivilege() != 0 && isProtected();
}

/** 0F 31. */
export function rdtsc(op: u32): i32 {
  if (timeStampDisabled()) return raiseError(VECTOR_GP, 0);
  setPair(u64(timestamp()));
  return 0;
}

/** 0F 01 F9. */
export function rdtscp(op: u32): i32 {
  if (timeStampDisabled()) return raiseError(VECTOR_GP, 0);
  setPair(u64(timestamp()));
  setGpr(RCX, load<u64>(cpu + L.VCPU_tscAux) & 0xffff_ffff);
  return 0;
}

/** 0F 33: no performance counters are offered. */
export function rdpmc(op: u32): i32 { return raiseError(VECTOR_GP, 0); }

function baseField(segment: u32): u32 { return segmentAddress(segment) + L.SEGMENT_BASE; }

function basesDisabled(): bool { return !is64() || (load<u64>(cpu + L.VCPU_cr4) & CR4_FSGSBASE) == 0; }

function readBase(op: u32, segment: u32): i32 {
  if (basesDisabled()) return raise(VECTOR_UD);
  storeRegister(rmAddress(op), operandSize(op), load<u64>(baseField(segment)));
  return 0;
}

function writeBase(op: u32, segment: u32): i32 {
  if (basesDisabled()) return raise(VECTOR_UD);
  const value = operandSize(op) == 8 ? load<u64>(rmAddress(op)) : u64(load<u32>(rmAddress(op)));
  if (!isCanonical(value)) return raiseError(VECTOR_GP, 0);
  store<u64>(baseField(segment), value);
  return 0;
}

/** F3 0F AE /0. */
export function rdfsbase(op: u32): i32 { return readBase(op, L.SEGMENT_FS); }
/** F3 0F AE /1. */
export function rdgsbase(op: u32): i32 { return readBase(op, L.SEGMENT_GS); }
/** F3 0F AE /2. */
export function wrfsbase(op: u32): i32 { return writeBase(op, L.SEGMENT_FS); }
/** F3 0F AE /3. */
export function wrgsbase(op: u32): i32 { return writeBase(op, L.SEGMENT_GS); }
