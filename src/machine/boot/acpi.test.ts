import assert from "node:assert/strict";
import { test } from "node:test";
import { buildAcpiTables } from "./acpi.js";
import { amlEisaId, amlName, amlPackage, amlByte, amlRootScope } from "./aml.js";
import { RESET_STUB } from "./reset-stub.js";

const GPA = 0x1000_0000;

/** The tables by signature; the DSDT is the FADT's. */
function tablesOf(personality: "xen" | "kvm", vcpuCount = 2): Map<string, DataView> {
  const { bytes, rsdpGpa } = buildAcpiTables(GPA, vcpuCount, personality);
  const at = (gpa: number): DataView => new DataView(bytes.buffer, gpa - GPA);
  const tables = new Map<string, DataView>();
  const add = (gpa: number): void => {
    const length = at(gpa).getUint32(4, true);
    const table = new DataView(bytes.buffer, gpa - GPA, length);
    const text = String.fromCharCode(...new Uint8Array(bytes.buffer, gpa - GPA, 4));
    assert.equal(new Uint8Array(bytes.buffer, gpa - GPA, length).reduce((sum, byte) => (sum + byte) & 0xff, 0), 0, `${text}: checksum`);
    tables.set(text, table);
  };
  const xsdt = Number(at(rsdpGpa).getBigUint64(24, true));
  for (let entry = 36; entry < at(xsdt).getUint32(4, true); entry += 8) add(Number(at(xsdt).getBigUint64(entry, true)));
  add(Number(tables.get("FACP")!.getBigUint64(140, true)));
  return tables;
}

test("a Xen guest has an empty DSDT, no I/O APIC and no power registers", () => {
  const tables = tablesOf("xen");
  assert.equal(tables.get("DSDT")!.byteLength, 36);
  assert.equal(tables.get("APIC")!.byteLength, 44 + 2 * 8);
  assert.equal(tables.get("FACP")!.getBigUint64(248, true), 0n);
});

test("a KVM guest finds the I/O APIC behind the local APICs", () => {
  const madt = tablesOf("kvm", 3).get("APIC")!;
  const at = 44 + 3 * 8;
  assert.deepEqual([madt.getUint8(at), madt.getUint8(at + 1)], [1, 12]);
  assert.ok(madt.getUint8(at + 2) >= 8, "an id that no local APIC has");
  assert.equal(madt.getUint32(at + 4, true), 0xfec0_0000);
  assert.equal(madt.getUint32(at + 8, true), 0);
  assert.equal(madt.byteLength, at + 12);
});

test("a KVM guest finds sleep and reset registers among the I/O ports", () => {
  const fadt = tablesOf("kvm").get("FACP")!;
  for (const [offset, port] of [[244, 0x600], [256, 0x601], [116, 0x602]] as const) {
    assert.deepEqual([0, 1, 2, 3].map((i) => fadt.getUint8(offset + i)), [1, 8, 0, 1]);
    assert.equal(fadt.getBigUint64(offset + 4, true), BigInt(port));
  }
  assert.equal(fadt.getUint8(128), 1);
  assert.equal(fadt.getUint32(112, true) & 0x10_0400, 0x10_0400, "hardware-reduced, with a reset register");
});

test("the DSDT names eight serial ports, the clock, and what off is", () => {
  const dsdt = tablesOf("kvm").get("DSDT")!;
  const text = Buffer.from(dsdt.buffer, dsdt.byteOffset, dsdt.byteLength).toString("latin1");
  assert.equal(text.split("_HID\x0c\x41\xd0\x05\x01").length - 1, 8, "PNP0501");
  assert.ok(text.includes("RTC_\x08_HID\x0c\x41\xd0\x0b\x00\x08_CRS\x11\x0d\x0a\x0a\x47\x01\x70\x00\x70\x00\x01\x02\x79\x00"), "PNP0B00");
  assert.equal(text.split("\x47\x01\xf8\x03\xf8\x03\x01\x08\x89\x06\x00\x03\x01\x04\x00\x00\x00\x79\x00").length - 1, 1, "port 0x3F8, input 4");
  assert.ok(text.endsWith("\x08\\_S5_\x12\x0a\x04\x0a\x05\x0a\x05\x0a\x00\x0a\x00"));
});

test("package lengths count themselves, in one byte and in two", () => {
  assert.deepEqual(amlPackage([amlByte(7)]), [0x12, 4, 1, 0x0a, 7]);
  const long = amlRootScope("_SB_", new Array<number>(0x100).fill(0xa3));
  assert.deepEqual(long.slice(0, 4), [0x10, 0x47, 0x10, 0x5c]);
  assert.equal(long.length - 1, 0x107);
  assert.deepEqual(amlEisaId("PNP0C0C"), [0x0c, 0x41, 0xd0, 0x0c, 0x0c]);
  assert.throws(() => amlName("toolong", []), /four characters/);
});

test("the reset stub writes the reset register", () => {
  assert.deepEqual([...RESET_STUB], [0xba, 0x02, 0x06, 0xb0, 0x01, 0xee, 0xf4, 0xeb, 0xfd]);
  assert.ok(RESET_STUB.length <= 16);
});
