/** Instructions on RFLAGS: PUSHF, POPF, LAHF, SAHF, CLI, STI and the single flags (Intel SDM vol 2). */
import * as L from "./generated/layout";
import { currentPrivilege } from "./descriptors";
import {
  carryFlag, FLAG_DF, FLAG_IF, FLAG_IOPL, FLAG_OF, FLAG_RF, FLAG_VM, overflowFlag, readRflags, setArithmeticFlags, setCarryFlag, writeRflags,
} from "./flags";
import { afterFlagsChange, holdInterrupts } from "./interrupt-window";
import { changeableFlags } from "./interrupt-return";
import { dropStack, operandSize, peekStack, popped, pushValue } from "./stack";
import { bail, cpu, gprAddress, nextRip, raiseError, VECTOR_GP } from "./state";

/** Byte address of AH. */
function highByte(): u32 { return gprAddress(0) + 1; }

/** 9C: RF and VM are clear in the image. */
export function pushf(op: u32): i32 { return pushValue(readRflags() & ~(FLAG_RF | FLAG_VM), operandSize(op)); }

/** 9D. */
export function popf(op: u32): i32 {
  const size = operandSize(op);
  if (peekStack(0, size)) return bail;
  dropStack(size);
  const before = load<u64>(cpu + L.VCPU_rflags);
  const mask = changeableFlags(size);
  writeRflags(((readRflags() & ~mask) | (popped & mask)) & ~FLAG_RF);
  return afterFlagsChange(before);
}

function interruptFlagAllowed(): bool {
  return u64(currentPrivilege()) <= (load<u64>(cpu + L.VCPU_rflags) & FLAG_IOPL) >> 12;
}

/** FA. */
export function cli(op: u32): i32 {
  if (!interruptFlagAllowed()) return raiseError(VECTOR_GP, 0);
  store<u64>(cpu + L.VCPU_rflags, load<u64>(cpu + L.VCPU_rflags) & ~FLAG_IF);
  return 0;
}

/** FB: interrupts wait for one more instruction when IF was clear. */
export function sti(op: u32): i32 {
  if (!interruptFlagAllowed()) return raiseError(VECTOR_GP, 0);
  const flags = load<u64>(cpu + L.VCPU_rflags);
  if ((flags & FLAG_IF) != 0) return 0;
  store<u64>(cpu + L.VCPU_rflags, flags | FLAG_IF);
  return holdInterrupts(nextRip(op));
}

/** FC. */
export function cld(op: u32): i32 {
  store<u64>(cpu + L.VCPU_rflags, load<u64>(cpu + L.VCPU_rflags) & ~FLAG_DF);
  return 0;
}
/** FD. */
export function std(op: u32): i32 {
  store<u64>(cpu + L.VCPU_rflags, load<u64>(cpu + L.VCPU_rflags) | FLAG_DF);
  return 0;
}

/** F8. */
export function clc(op: u32): i32 { setCarryFlag(0); return 0; }
/** F9. */
export function stc(op: u32): i32 { setCarryFlag(1); return 0; }
/** F5. */
export function cmc(op: u32): i32 { setCarryFlag(carryFlag(cpu) ^ 1); return 0; }

/** 9F. */
export function lahf(op: u32): i32 {
  store<u8>(highByte(), u8((readRflags() & 0xd5) | 2));
  return 0;
}

/** 9E: OF stays. */
export function sahf(op: u32): i32 {
  const kept: u64 = overflowFlag(cpu) ? FLAG_OF : 0;
  setArithmeticFlags(u64(load<u8>(highByte())) | kept);
  return 0;
}
