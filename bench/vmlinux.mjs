/**
 * An ELF file made of an unpacked kernel, with the note that names its PVH entry point: what QEMU's -kernel can enter
 * directly, as we do, without firmware and without the kernel's own decompressor.
 */

const ELF_HEADER_LENGTH = 64;
const PROGRAM_HEADER_LENGTH = 56;
const PT_LOAD = 1;
const PT_NOTE = 4;
const XEN_ELFNOTE_PHYS32_ENTRY = 18;
const ALIGNMENT = 4096;

/**
 * @param {{ entry: number, segments: readonly { gpa: number, bytes: Uint8Array, memoryBytes: number }[] }} kernel
 * @returns {Uint8Array}
 */
export function buildElf({ entry, segments }) {
  const note = makeEntryNote(entry);
  const parts = [...segments.map((segment) => ({ type: PT_LOAD, ...segment })), { type: PT_NOTE, gpa: 0, bytes: note, memoryBytes: note.length }];
  let end = ELF_HEADER_LENGTH + parts.length * PROGRAM_HEADER_LENGTH;
  const placed = parts.map((part) => {
    const offset = Math.ceil(end / ALIGNMENT) * ALIGNMENT;
    end = offset + part.bytes.length;
    return { ...part, offset };
  });
  const file = new Uint8Array(end);
  file.set(makeElfHeader(entry, placed.length));
  placed.forEach((part, n) => {
    file.set(makeProgramHeader(part), ELF_HEADER_LENGTH + n * PROGRAM_HEADER_LENGTH);
    file.set(part.bytes, part.offset);
  });
  return file;
}

/** @param {number} entry */
function makeEntryNote(entry) {
  const view = new DataView(new ArrayBuffer(24));
  view.setUint32(0, 4, true); // length of the name
  view.setUint32(4, 8, true); // length of the value
  view.setUint32(8, XEN_ELFNOTE_PHYS32_ENTRY, true);
  view.setUint32(12, 0x006e_6558, true); // "Xen\0"
  view.setBigUint64(16, BigInt(entry), true);
  return new Uint8Array(view.buffer);
}

/**
 * @param {number} entry
 * @param {number} headerCount
 */
function makeElfHeader(entry, headerCount) {
  const view = new DataView(new ArrayBuffer(ELF_HEADER_LENGTH));
  view.setUint32(0, 0x7f45_4c46); // magic
  view.setUint32(4, 0x0201_0100); // 64 bits, little endian, version 1
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, 62, true); // EM_X86_64
  view.setUint32(20, 1, true);
  view.setBigUint64(24, BigInt(entry), true);
  view.setBigUint64(32, BigInt(ELF_HEADER_LENGTH), true);
  view.setUint16(52, ELF_HEADER_LENGTH, true);
  view.setUint16(54, PROGRAM_HEADER_LENGTH, true);
  view.setUint16(56, headerCount, true);
  return new Uint8Array(view.buffer);
}

/** @param {{ type: number, offset: number, gpa: number, bytes: Uint8Array, memoryBytes: number }} part */
function makeProgramHeader({ type, offset, gpa, bytes, memoryBytes }) {
  const view = new DataView(new ArrayBuffer(PROGRAM_HEADER_LENGTH));
  view.setUint32(0, type, true);
  view.setUint32(4, type === PT_LOAD ? 7 : 4, true);
  view.setBigUint64(8, BigInt(offset), true);
  view.setBigUint64(16, BigInt(gpa), true); // virtual address
  view.setBigUint64(24, BigInt(gpa), true); // physical address
  view.setBigUint64(32, BigInt(bytes.length), true);
  view.setBigUint64(40, BigInt(memoryBytes), true);
  view.setBigUint64(48, BigInt(type === PT_LOAD ? ALIGNMENT : 4), true);
  return new Uint8Array(view.buffer);
}
