/**
 * Instructions that the run loop completes: ports, CPUID, hypercalls, HLT, RDRAND
 * (Intel SDM vol 1 §19.5 for the I/O permission check; vol 2 for each instruction).
 */
import * as L from "./generated/layout";
import { portBreakpoint, singleStepArmed } from "./debug";
import { attributesOf, baseOf, currentPrivilege, isProtected, limitOf, tableAddress } from "./descriptors";
import { FLAG_IF, FLAG_IOPL } from "./flags";
import { readPointerSystem } from "./memory";
import { BAIL_EXIT_NEXT, BAIL_NEXT, OP_LENGTH } from "./op";
import { operandSize } from "./stack";
import { bail, cpu, exitFor, gpr, immediate, raise, raiseError, rmAddress, segmentAddress, setBail, VECTOR_GP, VECTOR_UD } from "./state";

const RAX: u32 = 0;
const RDX: u32 = 2;
/** Offset in a 32 or 64-bit TSS of the 16-bit offset of the I/O permission bitmap. */
const TSS_BITMAP_OFFSET: u32 = 102;
const ONE_ACCESS: u32 = 0x1_0000;

/** Whether `size` ports from `port` may be used. Returns 0, or BAIL_* (#GP(0), or an absent page of the TSS). */
export function checkPort(port: u32, size: u32): i32 {
  const privilege = u64(currentPrivilege());
  if (!isProtected() || privilege <= (load<u64>(cpu + L.VCPU_rflags) & FLAG_IOPL) >> 12) return 0;
  const task = segmentAddress(L.SEGMENT_TR);
  const wide = (attributesOf(task) & 0x1d) == 9;
  if (!wide || TSS_BITMAP_OFFSET + 1 > limitOf(task)) return raiseError(VECTOR_GP, 0);
  let pointer = readPointerSystem(tableAddress(baseOf(task), TSS_BITMAP_OFFSET), 2);
  if (!pointer) return bail;
  const offset = u32(load<u16>(pointer)) + (port >> 3);
  // Two bytes are always read, so that the ports may cross a byte.
  if (offset + 1 > limitOf(task)) return raiseError(VECTOR_GP, 0);
  pointer = readPointerSystem(tableAddress(baseOf(task), offset), 2);
  if (!pointer) return bail;
  const bits = (u32(load<u16>(pointer)) >> (port & 7)) & ((<u32>1 << size) - 1);
  return bits != 0 ? raiseError(VECTOR_GP, 0) : 0;
}

/** EXIT_IO: exitAddress the port; exitSize the instruction's length, the bytes of an access in bits 15..8, how many in bits 23..16. */
function portExit(op: u32, port: u32, size: u32, write: bool): i32 {
  if (checkPort(port, size)) return bail;
  portBreakpoint(port, size);
  const result = exitFor(L.EXIT_IO, op);
  store<u32>(cpu + L.VCPU_exitSize, u32(load<u8>(op + OP_LENGTH)) | (size << 8) | ONE_ACCESS);
  store<u64>(cpu + L.VCPU_exitAddress, u64(port));
  store<u32>(cpu + L.VCPU_exitWrite, write ? 1 : 0);
  if (write) store<u64>(cpu + L.VCPU_exitData, gpr(RAX) & ((<u64>1 << u64(size << 3)) - 1));
  return result;
}

/** Bytes that IN and OUT move with eAX: 2 or 4. */
function wideSize(op: u32): u32 { return operandSize(op) == 2 ? 2 : 4; }
function immediatePort(op: u32): u32 { return u32(immediate(op)) & 0xff; }
function registerPort(): u32 { return u32(gpr(RDX)) & 0xffff; }

/** E4. */
export function inByteImmediate(op: u32): i32 { return portExit(op, immediatePort(op), 1, false); }
/** E5. */
export function inWideImmediate(op: u32): i32 { return portExit(op, immediatePort(op), wideSize(op), false); }
/** EC. */
export function inByteRegister(op: u32): i32 { return portExit(op, registerPort(), 1, false); }
/** ED. */
export function inWideRegister(op: u32): i32 { return portExit(op, registerPort(), wideSize(op), false); }
/** E6. */
export function outByteImmediate(op: u32): i32 { return portExit(op, immediatePort(op), 1, true); }
/** E7. */
export function outWideImmediate(op: u32): i32 { return portExit(op, immediatePort(op), wideSize(op), true); }
/** EE. */
export function outByteRegister(op: u32): i32 { return portExit(op, registerPort(), 1, true); }
/** EF. */
export function outWideRegister(op: u32): i32 { return portExit(op, registerPort(), wideSize(op), true); }

/** 0F A2. */
export function cpuid(op: u32): i32 { return exitFor(L.EXIT_CPUID, op); }

/** 0F 01 C1 and 0F 01 D9. The run loop looks at VCPU.cpl: what a hypercall of an application answers is the hypervisor's ABI. */
export function hypercall(op: u32): i32 { return isProtected() ? exitFor(L.EXIT_HYPERCALL, op) : raise(VECTOR_UD); }

/** 0F C7 /6. */
export function rdrand(op: u32): i32 {
  const result = exitFor(L.EXIT_RDRAND, op);
  store<u32>(cpu + L.VCPU_exitSize, u32(load<u8>(op + OP_LENGTH)) | (operandSize(op) << 8));
  store<u64>(cpu + L.VCPU_exitAddress, u64((rmAddress(op) - (cpu + L.VCPU_gpr)) >> 3));
  return result;
}

/** F4. With an interrupt that can be taken at once, or a single-step trap behind it, there is nothing to wait for. */
export function hlt(op: u32): i32 {
  if (currentPrivilege() != 0) return raiseError(VECTOR_GP, 0);
  // The interrupt shadow of an STI in front ends with this instruction.
  store<u32>(cpu + L.VCPU_interruptShadow, 0);
  if (singleStepArmed()) return BAIL_NEXT;
  if (load<u32>(cpu + L.VCPU_pendingInterrupt) != 0 && (load<u64>(cpu + L.VCPU_rflags) & FLAG_IF) != 0) return BAIL_NEXT;
  exitFor(L.EXIT_HLT, op);
  return setBail(BAIL_EXIT_NEXT);
}

/** 0F 0B, 0F B9, 0F FF: defined to be invalid. */
export function undefinedInstruction(op: u32): i32 { return raise(VECTOR_UD); }

/** 0F 01 E8 SERIALIZE. */
export function serialize(op: u32): i32 { return BAIL_NEXT; }
