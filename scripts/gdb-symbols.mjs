/**
 * Symbols of a guest's kernel for gdb: writes an ELF file that has the names and addresses of /proc/kallsyms and nothing else. Distributions strip
 * their kernels, and the boot image that is unpacked at the start of a guest has no symbols either.
 *
 *     node bin/unpinned.js run --exec "cat /proc/kallsyms" >kallsyms
 *     node scripts/gdb-symbols.mjs kallsyms kernel.elf
 *     gdb kernel.elf
 *
 * The layout is that of the System V ABI, chapter 4 "Object Files": sections without contents that cover the addresses, a symbol table, its strings.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";

/** @typedef {{ name: string, address: bigint, isCode: boolean, isGlobal: boolean }} KernelSymbol */
/** @typedef {{ name: string, type: number, size: bigint, flags?: bigint, address?: bigint, offset?: number, link?: number, info?: number, entrySize?: number }} Section */

const HEADER_BYTES = 64;
const SECTION_BYTES = 64;
const SYMBOL_BYTES = 24;
const ET_EXEC = 2;
const EM_X86_64 = 62;
const SHT_SYMTAB = 2;
const SHT_STRTAB = 3;
const SHT_NOBITS = 8;
const SHF_WRITE = 1n;
const SHF_ALLOC = 2n;
const SHF_EXECINSTR = 4n;
const STT_OBJECT = 1;
const STT_FUNC = 2;
const STB_GLOBAL = 1;
/** Below lie per-CPU offsets, which are no addresses. */
const KERNEL_HALF = 1n << 63n;
/** Room behind the last symbol of a section, whose end nobody says. */
const TAIL_BYTES = 0x1000n;

/**
 * The symbols of a text in the format of /proc/kallsyms, without those of modules.
 * @param {string} text
 * @returns {KernelSymbol[]}
 */
export function parseKallsyms(text) {
  /** @type {KernelSymbol[]} */
  const symbols = [];
  for (const line of text.split("\n")) {
    const [, digits, type, name] = /^([0-9a-f]+) (\S) (\S+)$/.exec(line.trim()) ?? [];
    if (digits === undefined || type === undefined || name === undefined) continue;
    const address = BigInt(`0x${digits}`);
    if (address >= KERNEL_HALF) symbols.push({ name, address, isCode: /[tTwW]/.test(type), isGlobal: type === type.toUpperCase() });
  }
  return symbols.sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : 0));
}

/**
 * An ELF file of the symbols, which are in the order of their addresses.
 * @param {readonly KernelSymbol[]} symbols
 * @returns {Uint8Array}
 */
export function makeSymbolFile(symbols) {
  const runs = runsOf(symbols);
  // The table of an ELF file has local symbols first.
  const ordered = [false, true].flatMap((isGlobal) => runs.flatMap((run, index) => run.filter((one) => one.isGlobal === isGlobal).map((symbol) => ({ symbol, section: index + 1 }))));
  const strings = Buffer.from(`\0${ordered.map(({ symbol }) => symbol.name).join("\0")}\0`);
  const table = Buffer.alloc((ordered.length + 1) * SYMBOL_BYTES);
  let nameAt = 1;
  ordered.forEach(({ symbol: { name, address, isCode, isGlobal }, section }, index) => {
    const at = (index + 1) * SYMBOL_BYTES;
    table.writeUInt32LE(nameAt, at);
    table.writeUInt8(((isGlobal ? STB_GLOBAL : 0) << 4) | (isCode ? STT_FUNC : STT_OBJECT), at + 4);
    table.writeUInt16LE(section, at + 6);
    table.writeBigUInt64LE(address, at + 8);
    nameAt += Buffer.byteLength(name) + 1;
  });
  const locals = ordered.filter(({ symbol }) => !symbol.isGlobal).length + 1;
  return putTogether(runs.map(sectionOf), { table, strings, locals });
}

/**
 * Parts of the kernel: symbols of code that follow each other, symbols of data, and so on.
 * @param {readonly KernelSymbol[]} symbols
 * @returns {KernelSymbol[][]}
 */
function runsOf(symbols) {
  /** @type {KernelSymbol[][]} */
  const runs = [];
  for (const symbol of symbols) {
    const last = runs.at(-1);
    if (last?.[0]?.isCode === symbol.isCode) last.push(symbol);
    else runs.push([symbol]);
  }
  return runs;
}

/**
 * @param {readonly KernelSymbol[]} run
 * @param {number} index
 * @param {readonly (readonly KernelSymbol[])[]} runs
 * @returns {Section}
 */
function sectionOf(run, index, runs) {
  const address = run[0]?.address ?? 0n;
  const end = runs[index + 1]?.[0]?.address ?? (run.at(-1)?.address ?? address) + TAIL_BYTES;
  const isCode = run[0]?.isCode === true;
  return { name: isCode ? ".text" : ".data", type: SHT_NOBITS, flags: SHF_ALLOC | (isCode ? SHF_EXECINSTR : SHF_WRITE), address, size: end - address };
}

/**
 * @param {readonly Section[]} parts
 * @param {{ table: Buffer, strings: Buffer, locals: number }} symbols
 */
function putTogether(parts, { table, strings, locals }) {
  const names = Buffer.from("\0.text\0.data\0.symtab\0.strtab\0.shstrtab\0");
  const stringsAt = HEADER_BYTES + table.length;
  const namesAt = stringsAt + strings.length;
  const sectionsAt = (namesAt + names.length + 7) & ~7;
  /** @type {Section[]} */
  const sections = [
    ...parts,
    { name: ".symtab", type: SHT_SYMTAB, offset: HEADER_BYTES, size: BigInt(table.length), link: parts.length + 2, info: locals, entrySize: SYMBOL_BYTES },
    { name: ".strtab", type: SHT_STRTAB, offset: stringsAt, size: BigInt(strings.length) },
    { name: ".shstrtab", type: SHT_STRTAB, offset: namesAt, size: BigInt(names.length) },
  ];
  const file = Buffer.alloc(sectionsAt + (sections.length + 1) * SECTION_BYTES);
  writeHeader(file, sectionsAt, sections.length + 1);
  table.copy(file, HEADER_BYTES);
  strings.copy(file, stringsAt);
  names.copy(file, namesAt);
  sections.forEach((section, index) => writeSection(file, sectionsAt + (index + 1) * SECTION_BYTES, names.indexOf(`${section.name}\0`), section));
  return file;
}

/**
 * @param {Buffer} file
 * @param {number} sectionsAt
 * @param {number} sectionCount the null section counted
 */
function writeHeader(file, sectionsAt, sectionCount) {
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  file.writeUInt16LE(ET_EXEC, 16);
  file.writeUInt16LE(EM_X86_64, 18);
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(BigInt(sectionsAt), 40);
  file.writeUInt16LE(HEADER_BYTES, 52);
  file.writeUInt16LE(SECTION_BYTES, 58);
  file.writeUInt16LE(sectionCount, 60);
  file.writeUInt16LE(sectionCount - 1, 62);
}

/**
 * @param {Buffer} file
 * @param {number} at
 * @param {number} nameAt
 * @param {Section} section
 */
function writeSection(file, at, nameAt, { type, size, flags = 0n, address = 0n, offset = 0, link = 0, info = 0, entrySize = 0 }) {
  file.writeUInt32LE(nameAt, at);
  file.writeUInt32LE(type, at + 4);
  file.writeBigUInt64LE(flags, at + 8);
  file.writeBigUInt64LE(address, at + 16);
  file.writeBigUInt64LE(BigInt(offset), at + 24);
  file.writeBigUInt64LE(size, at + 32);
  file.writeUInt32LE(link, at + 40);
  file.writeUInt32LE(info, at + 44);
  file.writeBigUInt64LE(1n, at + 48);
  file.writeBigUInt64LE(BigInt(entrySize), at + 56);
}

/** @param {readonly string[]} args */
function main([input, output, ...rest]) {
  if (input === undefined || output === undefined || rest.length > 0) {
    process.stderr.write(`usage: node ${basename(fileURLToPath(import.meta.url))} KALLSYMS OUTPUT: from a copy of the guest's /proc/kallsyms to an ELF file for gdb\n`);
    return 2;
  }
  try {
    const symbols = parseKallsyms(readFileSync(input, "utf8"));
    if (symbols.length === 0) throw new Error(`${input}: no addresses of a kernel there; in the guest, root can read them in /proc/kallsyms`);
    writeFileSync(output, makeSymbolFile(symbols));
    process.stdout.write(`${output}: ${symbols.length} symbols\n`);
    return 0;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = main(process.argv.slice(2));
