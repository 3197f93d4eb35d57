/**
 * Model-specific registers, one line each. Those that are listed neither here nor by the personality raise #GP, which the kernel's safe
 * accessors take as "not there". Intel SDM vol 4, AMD APM vol 2 appendix A.
 */
import { SEGMENT_FS, SEGMENT_GS, VCPU } from "../abi/layout.js";
import type { Personality } from "./personality.js";
import type { VcpuContext } from "./vcpu-context.js";

/** One register, or a range of them that one part of the machine answers for. */
export interface MsrEntry {
  readonly first: number;
  /** Last register of a range; `first` when absent. */
  readonly last?: number;
  readonly name: string;
  /** undefined = #GP. */
  readonly read: (vcpu: VcpuContext, msr: number) => bigint | undefined;
  /** false = #GP. */
  readonly write: (vcpu: VcpuContext, value: bigint, msr: number) => boolean;
}

const EFER_SCE = 1n;
const EFER_LME = 0x100n;
const EFER_LMA = 0x400n;
const EFER_NXE = 0x800n;
const EFER_WRITABLE = EFER_SCE | EFER_LME | EFER_NXE;
const CR0_PG = 0x8000_0000n;
const U32_MASK = 0xffff_ffffn;

/** True when bits 63..47 of `address` are equal, as 48-bit linear addresses have to be. */
export function isCanonical(address: bigint): boolean {
  return BigInt.asUintN(64, BigInt.asIntN(48, address)) === address;
}

/** A register that is a plain u64 field of the vCPU's state; `accepts` refuses values with #GP. */
function stateField(first: number, name: string, offset: number, accepts: (value: bigint) => boolean): MsrEntry {
  return {
    first, name,
    read: ({ state }) => state.readU64(offset),
    write: ({ state }, value) => {
      if (!accepts(value)) return false;
      state.writeU64(offset, value);
      return true;
    },
  };
}

function segmentBase(first: number, name: string, slot: number): MsrEntry {
  return {
    first, name,
    read: ({ state }) => state.segmentBase(slot),
    write: ({ state }, value) => {
      if (!isCanonical(value)) return false;
      state.setSegmentBase(slot, value);
      return true;
    },
  };
}

/** Registers that the local APIC answers for. */
export function apicRegisters(first: number, last: number, name: string): MsrEntry {
  return {
    first, last, name,
    read: ({ apic }, msr) => apic.readMsr(msr),
    write: ({ apic }, value, msr) => apic.writeMsr(msr, value),
  };
}

/** A register that reads as `value` and drops what is written to it. */
function constant(first: number, name: string, value: bigint): MsrEntry {
  return { first, name, read: () => value, write: () => true };
}

const always = (): boolean => true;
const isU32 = (value: bigint): boolean => value <= U32_MASK;

/** Every model-specific register of the processor, apart from the personality's. */
export const MSR_TABLE: readonly MsrEntry[] = [
  { first: 0x10, name: "TSC", read: ({ machine }) => BigInt(Math.floor(machine.nowNs())), write: always },
  apicRegisters(0x1b, 0x1b, "APIC_BASE"),
  constant(0x8b, "microcode revision", 0n),
  stateField(0x174, "SYSENTER_CS", VCPU.sysenterCs, always),
  stateField(0x175, "SYSENTER_ESP", VCPU.sysenterEsp, isCanonical),
  stateField(0x176, "SYSENTER_EIP", VCPU.sysenterEip, isCanonical),
  apicRegisters(0x800, 0x8ff, "x2APIC registers"),
  { first: 0xc000_0080, name: "EFER", read: ({ state }) => state.readU64(VCPU.efer), write: writeEfer },
  stateField(0xc000_0081, "STAR", VCPU.star, always),
  stateField(0xc000_0082, "LSTAR", VCPU.lstar, isCanonical),
  stateField(0xc000_0083, "CSTAR", VCPU.cstar, isCanonical),
  stateField(0xc000_0084, "SFMASK", VCPU.sfmask, isU32),
  segmentBase(0xc000_0100, "FS_BASE", SEGMENT_FS),
  segmentBase(0xc000_0101, "GS_BASE", SEGMENT_GS),
  stateField(0xc000_0102, "KERNEL_GS_BASE", VCPU.kernelGsBase, isCanonical),
  stateField(0xc000_0103, "TSC_AUX", VCPU.tscAux, isU32),
  // Bit 1: LFENCE is serialising, which it is.
  constant(0xc001_1029, "DE_CFG", 2n),
];

/** The entry for register `msr`. */
export function findMsr(personality: Personality, msr: number): MsrEntry | undefined {
  const isAsked = (entry: MsrEntry): boolean => msr >= entry.first && msr <= (entry.last ?? entry.first);
  return MSR_TABLE.find(isAsked) ?? personality.msrs.find(isAsked);
}

function writeEfer({ state, core }: VcpuContext, value: bigint): boolean {
  const old = state.readU64(VCPU.efer);
  if ((value & ~(EFER_WRITABLE | EFER_LMA)) !== 0n) return false;
  if (((value ^ old) & EFER_LME) !== 0n && (state.readU64(VCPU.cr0) & CR0_PG) !== 0n) return false;
  state.writeU64(VCPU.efer, (value & EFER_WRITABLE) | (old & EFER_LMA));
  if (((value ^ old) & EFER_NXE) !== 0n) core.flushTlb();
  return true;
}
