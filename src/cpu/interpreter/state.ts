/** Access to the vCPU's state for everything that is not in the hot loop. */
import * as L from "./generated/layout";
import {
  BAIL_EXIT, BAIL_FAULT, OP_DISPLACEMENT, OP_IMMEDIATE, OP_INDEX, OP_LENGTH, OP_REG, OP_RIP_OFFSET, OP_RM, OP_SCALE, TRACE_RIP,
} from "./op";

/** Base address of this instance's vCPU area. Set once by `initialise`. */
export let cpu: u32 = 0;
export function setCpu(base: u32): void { cpu = base; }

/** Counts up the u64 counter at `counter` (VCPU_counter*). */
// @ts-ignore: decorator
@inline export function count(counter: u32): void { store<u64>(cpu + counter, load<u64>(cpu + counter) + 1); }

/** The trace that is being executed; valid inside functions called for an op. */
export let currentTrace: u32 = 0;
// @ts-ignore: decorator
@inline export function setCurrentTrace(trace: u32): void { currentTrace = trace; }

/** Why the last slow path failed (BAIL_*); what an op function returns after a failed access. */
export let bail: i32 = 0;
// @ts-ignore: decorator
@inline export function setBail(value: i32): i32 { bail = value; return value; }

/** 1 when a store of this instruction hit decoded code: the trace must be left behind the instruction. */
export let codeChanged: i32 = 0;
// @ts-ignore: decorator
@inline export function setCodeChanged(value: i32): void { codeChanged = value; }

export const VECTOR_DE: u32 = 0;
export const VECTOR_DB: u32 = 1;
export const VECTOR_NMI: u32 = 2;
export const VECTOR_BP: u32 = 3;
export const VECTOR_OF: u32 = 4;
export const VECTOR_BR: u32 = 5;
export const VECTOR_UD: u32 = 6;
export const VECTOR_NM: u32 = 7;
export const VECTOR_DF: u32 = 8;
export const VECTOR_TS: u32 = 10;
export const VECTOR_NP: u32 = 11;
export const VECTOR_SS: u32 = 12;
export const VECTOR_GP: u32 = 13;
export const VECTOR_PF: u32 = 14;
export const VECTOR_MF: u32 = 16;
export const VECTOR_AC: u32 = 17;
export const VECTOR_XM: u32 = 19;

/** Records a fault without an error code (#UD, #DE, #NM, #MF, #XM …). Returns BAIL_FAULT for the op function to return. */
export function raise(vector: u32): i32 {
  store<u32>(cpu + L.VCPU_exceptionVector, vector);
  store<u32>(cpu + L.VCPU_exceptionErrorCode, 0);
  store<u32>(cpu + L.VCPU_exceptionHasErrorCode, 0);
  return setBail(BAIL_FAULT);
}

/** Records a fault with an error code (#GP, #SS, #NP, #TS, #PF, #AC). Returns BAIL_FAULT. */
export function raiseError(vector: u32, errorCode: u32): i32 {
  store<u32>(cpu + L.VCPU_exceptionVector, vector);
  store<u32>(cpu + L.VCPU_exceptionErrorCode, errorCode);
  store<u32>(cpu + L.VCPU_exceptionHasErrorCode, 1);
  return setBail(BAIL_FAULT);
}

/** Asks the run loop to act (EXIT_*) on the instruction `op`. Returns BAIL_EXIT. */
export function exitFor(reason: u32, op: u32): i32 {
  store<u32>(cpu + L.VCPU_exitReason, reason);
  store<u32>(cpu + L.VCPU_exitSize, u32(load<u8>(op + OP_LENGTH)));
  return setBail(BAIL_EXIT);
}

/** Linear address of the instruction `op`. */
export function instructionRip(op: u32): u64 {
  return load<u64>(currentTrace + TRACE_RIP) + u64(load<u16>(op + OP_RIP_OFFSET));
}

/** Linear address of the instruction behind `op`. */
export function nextRip(op: u32): u64 {
  return instructionRip(op) + u64(load<u8>(op + OP_LENGTH));
}

// @ts-ignore: decorator
@inline export function regAddress(op: u32): u32 { return load<u32>(op + OP_REG); }
// @ts-ignore: decorator
@inline export function rmAddress(op: u32): u32 { return load<u32>(op + OP_RM); }
// @ts-ignore: decorator
@inline export function immediate(op: u32): i64 { return load<i64>(op + OP_IMMEDIATE); }

/** Linear address of the memory operand of `op` (segment base and address size are already in it). */
// @ts-ignore: decorator
@inline export function effectiveAddress(op: u32): u64 {
  return load<u64>(load<u32>(op + OP_RM)) + (load<u64>(load<u32>(op + OP_INDEX)) << u64(load<u8>(op + OP_SCALE)))
    + u64(load<i32>(op + OP_DISPLACEMENT));
}

/** Address of general register n (0..15). */
// @ts-ignore: decorator
@inline export function gprAddress(n: u32): u32 { return cpu + L.VCPU_gpr + (n << 3); }
// @ts-ignore: decorator
@inline export function gpr(n: u32): u64 { return load<u64>(cpu + L.VCPU_gpr + (n << 3)); }
// @ts-ignore: decorator
@inline export function setGpr(n: u32, value: u64): void { store<u64>(cpu + L.VCPU_gpr + (n << 3), value); }
/** Address of segment slot n (SEGMENT_*). */
// @ts-ignore: decorator
@inline export function segmentAddress(n: u32): u32 { return cpu + L.VCPU_segments + n * L.SEGMENT_SIZE; }
