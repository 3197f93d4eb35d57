/**
 * v86 as a process of its own: boots the 32-bit kernel and initial RAM disk of the arguments, prints what the guest puts out on its first
 * serial port, and ends when the guest says that it is done (without ACPI it cannot turn the machine off).
 *
 * Usage: node machine.mjs KERNEL INITRD MEMORY_BYTES BIOS VGA_BIOS COMMAND_LINE
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { V86 } from "v86";

const NEWLINE = 10;
const LAST_LINE = "@bench done";
const PANIC = "Kernel panic";
const VGA_MEMORY_BYTES = 2 << 20;
const [kernel, initrd, memoryBytes, bios, vgaBios, commandLine] = process.argv.slice(2);

/** @param {string} path */
function image(path) {
  const { buffer, byteOffset, byteLength } = readFileSync(path);
  return { buffer: buffer.slice(byteOffset, byteOffset + byteLength) };
}

const emulator = new V86({
  wasm_path: fileURLToPath(new URL("./v86.wasm", import.meta.resolve("v86"))),
  memory_size: Number(memoryBytes), vga_memory_size: VGA_MEMORY_BYTES,
  bios: image(bios), vga_bios: image(vgaBios), bzimage: image(kernel), initrd: image(initrd), cmdline: commandLine, autostart: true,
});
/** @type {number[]} */
let line = [];
emulator.add_listener("serial0-output-byte", (/** @type {number} */ byte) => {
  if (byte !== NEWLINE) {
    line.push(byte);
    return;
  }
  const text = Buffer.from(line).toString();
  line = [];
  process.stdout.write(`${text}\n`);
  if (text.includes(PANIC)) process.exit(1);
  if (text.includes(LAST_LINE)) process.exit(0);
});
