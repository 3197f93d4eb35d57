/**
 * The ACPI tables of a PVH guest: RSDP -> XSDT -> FADT (-> DSDT), MADT. Follows ACPI 5.1 chapter 5; hardware-reduced, so that
 * the guest looks for no 8259, PIT, PM timer, SCI or RTC.
 *
 * The DSDT is a header without code: nothing here needs describing by methods, and both Debian kernels accept it.
 */

import { writeU16, writeU32, writeU64 } from "./little-endian.js";

const HEADER_LENGTH = 36;
const RSDP_LENGTH = 36;
const FADT_LENGTH = 268;
const MADT_LENGTH = 44;
const MADT_LOCAL_APIC_LENGTH = 8;
/** Tables begin at multiples of this (the RSDP must, the others like it). */
const TABLE_ALIGNMENT = 16;

/** Where every local APIC answers. */
export const LOCAL_APIC_GPA = 0xfee0_0000;

/** Fields of the FADT that are not zero, by offset (ACPI 5.1, table 5-34). */
const FADT = { dsdt: 40, bootArchitecture: 109, flags: 112, minorVersion: 131, xDsdt: 140 } as const;
const BOOT_ARCHITECTURE_NO_VGA = 1 << 2;
const BOOT_ARCHITECTURE_NO_CMOS_RTC = 1 << 5;
const FLAG_WBINVD = 1 << 0;
const FLAG_HW_REDUCED_ACPI = 1 << 20;
const MADT_LOCAL_APIC = 0;
const LOCAL_APIC_ENABLED = 1;

/** ACPI tables, ready to be written to guest memory. */
export interface AcpiTables {
  /** All tables in one piece, to be written at the address they were built for. */
  readonly bytes: Uint8Array;
  /** Guest-physical address of the RSDP. */
  readonly rsdpGpa: number;
}

/**
 * Builds the tables for `vcpuCount` vCPUs (APIC id = ACPI id = vCPU number), to stand at guest-physical address
 * `gpa`, a multiple of 16.
 */
export function buildAcpiTables(gpa: number, vcpuCount: number): AcpiTables {
  const dsdt = makeTable("DSDT", 2, HEADER_LENGTH);
  const madt = makeMadt(vcpuCount);
  const rsdpGpa = gpa;
  const xsdtGpa = alignUp(rsdpGpa + RSDP_LENGTH);
  const dsdtGpa = alignUp(xsdtGpa + HEADER_LENGTH + 16);
  const fadtGpa = alignUp(dsdtGpa + dsdt.length);
  const madtGpa = alignUp(fadtGpa + FADT_LENGTH);
  const tables: [number, Uint8Array][] = [
    [rsdpGpa, makeRsdp(xsdtGpa)],
    [xsdtGpa, makeXsdt([fadtGpa, madtGpa])],
    [dsdtGpa, seal(dsdt)],
    [fadtGpa, makeFadt(dsdtGpa)],
    [madtGpa, madt],
  ];
  const bytes = new Uint8Array(madtGpa + madt.length - gpa);
  for (const [at, table] of tables) bytes.set(table, at - gpa);
  return { bytes, rsdpGpa };
}

function makeRsdp(xsdtGpa: number): Uint8Array {
  const rsdp = new Uint8Array(RSDP_LENGTH);
  writeText(rsdp, 0, "RSD PTR ");
  writeText(rsdp, 9, "UNPIND");
  rsdp[15] = 2; // revision
  writeU32(rsdp, 20, RSDP_LENGTH);
  writeU64(rsdp, 24, xsdtGpa);
  // The first checksum covers what ACPI 1.0 knew of, the second everything.
  rsdp[8] = -sum(rsdp.subarray(0, 20));
  rsdp[32] = -sum(rsdp);
  return rsdp;
}

function makeXsdt(tableGpas: readonly number[]): Uint8Array {
  const xsdt = makeTable("XSDT", 1, HEADER_LENGTH + 8 * tableGpas.length);
  tableGpas.forEach((tableGpa, i) => writeU64(xsdt, HEADER_LENGTH + 8 * i, tableGpa));
  return seal(xsdt);
}

function makeFadt(dsdtGpa: number): Uint8Array {
  const fadt = makeTable("FACP", 5, FADT_LENGTH);
  writeU32(fadt, FADT.dsdt, dsdtGpa);
  writeU16(fadt, FADT.bootArchitecture, BOOT_ARCHITECTURE_NO_VGA | BOOT_ARCHITECTURE_NO_CMOS_RTC);
  writeU32(fadt, FADT.flags, FLAG_WBINVD | FLAG_HW_REDUCED_ACPI);
  fadt[FADT.minorVersion] = 1;
  writeU64(fadt, FADT.xDsdt, dsdtGpa);
  return seal(fadt);
}

/** PCAT_COMPAT stays off: with it the guest would believe in an 8259. */
function makeMadt(vcpuCount: number): Uint8Array {
  const madt = makeTable("APIC", 3, MADT_LENGTH + MADT_LOCAL_APIC_LENGTH * vcpuCount);
  writeU32(madt, 36, LOCAL_APIC_GPA);
  for (let vcpu = 0; vcpu < vcpuCount; vcpu++) {
    const at = MADT_LENGTH + MADT_LOCAL_APIC_LENGTH * vcpu;
    madt.set([MADT_LOCAL_APIC, MADT_LOCAL_APIC_LENGTH, vcpu, vcpu], at);
    writeU32(madt, at + 4, LOCAL_APIC_ENABLED);
  }
  return seal(madt);
}

/** A table with its header filled in, but for the checksum. */
function makeTable(signature: string, revision: number, length: number): Uint8Array {
  const table = new Uint8Array(length);
  writeText(table, 0, signature);
  writeU32(table, 4, length);
  table[8] = revision;
  writeText(table, 10, "UNPIND");
  writeText(table, 16, "UNPINNED");
  writeU32(table, 24, 1);
  writeText(table, 28, "UNPI");
  writeU32(table, 32, 1);
  return table;
}

/** Sets the checksum of a finished table, and returns the table. */
function seal(table: Uint8Array): Uint8Array {
  table[9] = 0;
  table[9] = -sum(table);
  return table;
}

function sum(bytes: Uint8Array): number {
  return bytes.reduce((total, byte) => total + byte, 0) & 0xff;
}

function writeText(bytes: Uint8Array, offset: number, text: string): void {
  bytes.set(new TextEncoder().encode(text), offset);
}

function alignUp(gpa: number): number {
  return Math.ceil(gpa / TABLE_ALIGNMENT) * TABLE_ALIGNMENT;
}
