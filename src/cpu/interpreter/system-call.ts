/**
 * SYSCALL, SYSRET, SYSENTER, SYSEXIT (Intel SDM vol 2; AMD APM vol 3 "SYSCALL", "SYSRET"; outside 64-bit mode as AMD defines them, which is the
 * vendor that the guest sees) and SWAPGS.
 */
import * as L from "./generated/layout";
import { cancelSingleStep } from "./debug";
import { currentPrivilege, is64, isCanonical, isLong, isNull, isProtected, setSlot } from "./descriptors";
import { FLAG_IF, FLAG_RF, FLAG_TF, FLAG_VM, readRflags, writeRflags } from "./flags";
import { afterFlagsChange } from "./interrupt-window";
import { BAIL_JUMP } from "./op";
import { updateMode } from "./segments";
import { operandSize } from "./stack";
import { cpu, gpr, nextRip, raise, raiseError, segmentAddress, setGpr, VECTOR_GP, VECTOR_UD } from "./state";

const RCX: u32 = 1;
const RDX: u32 = 2;
const RSP: u32 = 4;
const R11: u32 = 11;
const EFER_SCE: u64 = 1;

/** Attributes of the flat segments that these instructions load, DPL 0: present, accessed, granular. */
const CODE64: u32 = 0xa09b;
const CODE32: u32 = 0xc09b;
const STACK: u32 = 0xc093;
const FLAT_LIMIT: u32 = 0xffff_ffff;

/** Loads CS and SS with flat segments of `privilege`. */
function setFlat(code: u32, codeAttributes: u32, stack: u32, privilege: u32): void {
  setSlot(segmentAddress(L.SEGMENT_CS), (code & 0xfffc) | privilege, codeAttributes | (privilege << 5), 0, FLAT_LIMIT);
  setSlot(segmentAddress(L.SEGMENT_SS), (stack & 0xfffc) | privilege, STACK | (privilege << 5), 0, FLAT_LIMIT);
}

/** 0F 05. */
export function syscall(op: u32): i32 {
  if ((load<u64>(cpu + L.VCPU_efer) & EFER_SCE) == 0 || !isProtected()) return raise(VECTOR_UD);
  const star = load<u64>(cpu + L.VCPU_star);
  const selector = u32(star >> 32) & 0xffff;
  const flags = load<u64>(cpu + L.VCPU_rflags);
  if (isLong()) {
    const target = load<u64>(cpu + (is64() ? L.VCPU_lstar : L.VCPU_cstar));
    const image = readRflags() & ~FLAG_RF;
    setGpr(RCX, nextRip(op));
    setGpr(R11, image);
    setFlat(selector, CODE64, selector + 8, 0);
    writeRflags(image & ~load<u64>(cpu + L.VCPU_sfmask));
    store<u64>(cpu + L.VCPU_rip, target);
  } else {
    setGpr(RCX, u64(u32(nextRip(op))));
    setFlat(selector, CODE32, selector + 8, 0);
    store<u64>(cpu + L.VCPU_rflags, flags & ~(FLAG_VM | FLAG_IF | FLAG_RF));
    store<u64>(cpu + L.VCPU_rip, star & 0xffff_ffff);
  }
  return complete(flags);
}

/** 0F 07. A 64-bit operand returns to 64-bit code, otherwise to 32-bit code. */
export function sysret(op: u32): i32 {
  if ((load<u64>(cpu + L.VCPU_efer) & EFER_SCE) == 0 || !isProtected()) return raise(VECTOR_UD);
  if (currentPrivilege() != 0) return raiseError(VECTOR_GP, 0);
  const selector = u32(load<u64>(cpu + L.VCPU_star) >> 48);
  const to64 = isLong() && operandSize(op) == 8;
  const target = to64 ? gpr(RCX) : gpr(RCX) & 0xffff_ffff;
  if (to64 && !isCanonical(target)) return raiseError(VECTOR_GP, 0);
  const flags = load<u64>(cpu + L.VCPU_rflags);
  setFlat(to64 ? selector + 16 : selector, to64 ? CODE64 : CODE32, selector + 8, 3);
  if (isLong()) writeRflags(gpr(R11) & 0x3c_7fd7);
  else store<u64>(cpu + L.VCPU_rflags, flags | FLAG_IF);
  store<u64>(cpu + L.VCPU_rip, target);
  return complete(flags);
}

/** 0F 34. */
export function sysenter(op: u32): i32 {
  const selector = u32(load<u64>(cpu + L.VCPU_sysenterCs)) & 0xffff;
  if (!isProtected() || isNull(selector)) return raiseError(VECTOR_GP, 0);
  const flags = load<u64>(cpu + L.VCPU_rflags);
  const mask: u64 = isLong() ? ~(<u64>0) : 0xffff_ffff;
  setFlat(selector, isLong() ? CODE64 : CODE32, selector + 8, 0);
  store<u64>(cpu + L.VCPU_rflags, flags & ~(FLAG_VM | FLAG_IF | FLAG_RF));
  setGpr(RSP, load<u64>(cpu + L.VCPU_sysenterEsp) & mask);
  store<u64>(cpu + L.VCPU_rip, load<u64>(cpu + L.VCPU_sysenterEip) & mask);
  return complete(flags);
}

/** 0F 35. */
export function sysexit(op: u32): i32 {
  const selector = u32(load<u64>(cpu + L.VCPU_sysenterCs)) & 0xffff;
  if (!isProtected() || isNull(selector) || currentPrivilege() != 0) return raiseError(VECTOR_GP, 0);
  const to64 = isLong() && operandSize(op) == 8;
  const mask: u64 = to64 ? ~(<u64>0) : 0xffff_ffff;
  if (to64 && (!isCanonical(gpr(RCX)) || !isCanonical(gpr(RDX)))) return raiseError(VECTOR_GP, 0);
  const code = selector + (to64 ? 32 : 16);
  setFlat(code, to64 ? CODE64 : CODE32, code + 8, 3);
  setGpr(RSP, gpr(RCX) & mask);
  store<u64>(cpu + L.VCPU_rip, gpr(RDX) & mask);
  return complete(load<u64>(cpu + L.VCPU_rflags));
}

function complete(flagsBefore: u64): i32 {
  updateMode();
  afterFlagsChange(flagsBefore);
  if ((load<u64>(cpu + L.VCPU_rflags) & FLAG_TF) == 0) cancelSingleStep();
  return BAIL_JUMP;
}

/** 0F 01 F8. */
export function swapgs(op: u32): i32 {
  if (!is64()) return raise(VECTOR_UD);
  if (currentPrivilege() != 0) return raiseError(VECTOR_GP, 0);
  const base = segmentAddress(L.SEGMENT_GS) + L.SEGMENT_BASE;
  const kept = load<u64>(base);
  store<u64>(base, load<u64>(cpu + L.VCPU_kernelGsBase));
  store<u64>(cpu + L.VCPU_kernelGsBase, kept);
  return 0;
}
