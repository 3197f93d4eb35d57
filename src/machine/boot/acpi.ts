/**
 * The ACPI tables of a PVH guest: RSDP -> XSDT -> FADT (-> DSDT), MADT. Follows ACPI 5.1 chapter 5; hardware-reduced, so that
 * the guest looks for no 8259, PIT, PM timer, SCI or RTC.
 *
 * Under Xen the DSDT is a header without code: nothing there needs describing by methods, and both Debian kernels accept it. Under KVM
 * it names the serial ports with their interrupts, which go through the I/O APIC of the MADT, the clock, and what to write to power off.
 */

import { ACPI_RESET_PORT, ACPI_RESET_VALUE, ACPI_SLEEP_CONTROL_PORT, ACPI_SLEEP_STATUS_PORT, ACPI_SLEEP_TYPE_S5 } from "../../abi/power.js";
import { VCPU_COUNT_MAX } from "../../abi/layout.js";
import { IO_APIC_GPA, RTC_PORT, RTC_PORT_COUNT, SERIAL_PORT_REGISTERS, SERIAL_PORTS } from "../../device/index.js";
import type { PersonalityName } from "../../exit/index.js";
import { type Aml, amlByte, amlDevice, amlEisaId, amlName, amlPackage, amlResources, amlRootScope } from "./aml.js";

import { writeU16, writeU32, writeU64 } from "./little-endian.js";

const HEADER_LENGTH = 36;
const RSDP_LENGTH = 36;
const FADT_LENGTH = 268;
const MADT_LENGTH = 44;
const MADT_LOCAL_APIC_LENGTH = 8;
const MADT_IO_APIC_LENGTH = 12;
/** Tables begin at multiples of this (the RSDP must, the others like it). */
const TABLE_ALIGNMENT = 16;

/** Where every local APIC answers. */
export const LOCAL_APIC_GPA = 0xfee0_0000;

/** Fields of the FADT that are not zero, by offset (ACPI 5.1, table 5-34). */
const FADT = {
  dsdt: 40, bootArchitecture: 109, flags: 112, resetRegister: 116, resetValue: 128, minorVersion: 131, xDsdt: 140, sleepControl: 244, sleepStatus: 256,
} as const;
const BOOT_ARCHITECTURE_NO_VGA = 1 << 2;
const BOOT_ARCHITECTURE_NO_CMOS_RTC = 1 << 5;
const FLAG_WBINVD = 1 << 0;
const FLAG_RESET_REGISTER = 1 << 10;
const FLAG_HW_REDUCED_ACPI = 1 << 20;
/** Generic address structure of one byte among the I/O ports: space, bits, offset, access size. */
const PORT_ADDRESS = [1, 8, 0, 1] as const;
const MADT_LOCAL_APIC = 0;
const MADT_IO_APIC = 1;
/** Above every local APIC's. */
const IO_APIC_ID = VCPU_COUNT_MAX;
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
 * `gpa`, a multiple of 16. They fit a page.
 */
export function buildAcpiTables(gpa: number, vcpuCount: number, personality: PersonalityName): AcpiTables {
  const dsdt = makeDsdt(personality === "kvm" ? pcDevices() : []);
  const madt = makeMadt(vcpuCount, personality === "kvm");
  const rsdpGpa = gpa;
  const xsdtGpa = alignUp(rsdpGpa + RSDP_LENGTH);
  const dsdtGpa = alignUp(xsdtGpa + HEADER_LENGTH + 16);
  const fadtGpa = alignUp(dsdtGpa + dsdt.length);
  const madtGpa = alignUp(fadtGpa + FADT_LENGTH);
  const tables: [number, Uint8Array][] = [
    [rsdpGpa, makeRsdp(xsdtGpa)],
    [xsdtGpa, makeXsdt([fadtGpa, madtGpa])],
    [dsdtGpa, dsdt],
    [fadtGpa, makeFadt(dsdtGpa, personality === "kvm")],
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

function makeDsdt(code: Aml): Uint8Array {
  const dsdt = makeTable("DSDT", 2, HEADER_LENGTH + code.length);
  dsdt.set(code, HEADER_LENGTH);
  return seal(dsdt);
}

/** The serial ports, each with an interrupt of its own, the clock, and the state "off". */
function pcDevices(): Aml {
  const ports = SERIAL_PORTS.map(({ port, input }, index) => amlDevice(`COM${index + 1}`, [
    ...amlName("_HID", amlEisaId("PNP0501")),
    ...amlName("_UID", amlByte(index + 1)),
    ...amlName("_CRS", amlResources({ port, count: SERIAL_PORT_REGISTERS, input })),
  ]));
  const clock = amlDevice("RTC_", [
    ...amlName("_HID", amlEisaId("PNP0B00")),
    ...amlName("_CRS", amlResources({ port: RTC_PORT, count: RTC_PORT_COUNT })),
  ]);
  const off = amlByte(ACPI_SLEEP_TYPE_S5);
  return [...amlRootScope("_SB_", [...ports.flat(), ...clock]), ...amlName("_S5_", amlPackage([off, off, amlByte(0), amlByte(0)]), true)];
}

function makeFadt(dsdtGpa: number, hasPcDevices: boolean): Uint8Array {
  const fadt = makeTable("FACP", 5, FADT_LENGTH);
  writeU32(fadt, FADT.dsdt, dsdtGpa);
  writeU16(fadt, FADT.bootArchitecture, BOOT_ARCHITECTURE_NO_VGA | (hasPcDevices ? 0 : BOOT_ARCHITECTURE_NO_CMOS_RTC));
  writeU32(fadt, FADT.flags, FLAG_WBINVD | FLAG_HW_REDUCED_ACPI | (hasPcDevices ? FLAG_RESET_REGISTER : 0));
  fadt[FADT.minorVersion] = 1;
  writeU64(fadt, FADT.xDsdt, dsdtGpa);
  if (hasPcDevices) {
    writePort(fadt, FADT.sleepControl, ACPI_SLEEP_CONTROL_PORT);
    writePort(fadt, FADT.sleepStatus, ACPI_SLEEP_STATUS_PORT);
    writePort(fadt, FADT.resetRegister, ACPI_RESET_PORT);
    fadt[FADT.resetValue] = ACPI_RESET_VALUE;
  }
  return seal(fadt);
}

function writePort(table: Uint8Array, offset: number, port: number): void {
  table.set(PORT_ADDRESS, offset);
  writeU64(table, offset + PORT_ADDRESS.length, port);
}

/** PCAT_COMPAT stays off: with it the guest would believe in an 8259. */
function makeMadt(vcpuCount: number, hasIoApic: boolean): Uint8Array {
  const madt = makeTable("APIC", 3, MADT_LENGTH + MADT_LOCAL_APIC_LENGTH * vcpuCount + (hasIoApic ? MADT_IO_APIC_LENGTH : 0));
  writeU32(madt, 36, LOCAL_APIC_GPA);
  for (let vcpu = 0; vcpu < vcpuCount; vcpu++) {
    const at = MADT_LENGTH + MADT_LOCAL_APIC_LENGTH * vcpu;
    madt.set([MADT_LOCAL_APIC, MADT_LOCAL_APIC_LENGTH, vcpu, vcpu], at);
    writeU32(madt, at + 4, LOCAL_APIC_ENABLED);
  }
  if (hasIoApic) {
    const at = madt.length - MADT_IO_APIC_LENGTH;
    // Its inputs are the interrupts from 0 on.
    madt.set([MADT_IO_APIC, MADT_IO_APIC_LENGTH, IO_APIC_ID, 0], at);
    writeU32(madt, at + 4, IO_APIC_GPA);
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
