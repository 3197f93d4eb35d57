/** The machines that are compared: ours, and QEMU's TCG where it is installed. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { defaultCommandLine } from "../dist/machine/boot/index.js";

const OUR_MACHINE = fileURLToPath(new URL("our-machine.mjs", import.meta.url));
const QEMU = "qemu-system-x86_64";
const MIB = 1 << 20;

/**
 * @typedef {object} Machine
 * @property {string} name
 * @property {string} command
 * @property {readonly string[]} args
 */

/**
 * @param {import("./guest-files.mjs").GuestFiles} files
 * @param {number} memoryBytes
 * @returns {Machine}
 */
export function ourMachine({ kernelPath, initrdPath }, memoryBytes) {
  return { name: "unpinned", command: process.execPath, args: [OUR_MACHINE, kernelPath, initrdPath, `${memoryBytes}`] };
}

/**
 * QEMU's emulation of a PC, with no device that the guest has no use for.
 * @param {import("./guest-files.mjs").GuestFiles} files
 * @param {{ name: string, kernelPath: string, memoryBytes: number }} options
 * @returns {Machine}
 */
export function qemuMachine({ initrdPath }, { name, kernelPath, memoryBytes }) {
  // Word for word what our machine gives its guest, but for the console.
  const append = `${defaultCommandLine("exec", "xen", "quiet loglevel=2").replace("console=hvc0", "console=ttyS0")}`;
  const args = [
    "-no-user-config", "-nodefaults", "-accel", "tcg", "-machine", "pc", "-smp", "1", "-m", `${memoryBytes / MIB}M`, "-no-reboot",
    "-display", "none", "-serial", "stdio", "-kernel", kernelPath, "-initrd", initrdPath, "-append", append,
  ];
  return { name, command: QEMU, args };
}

/** QEMU's version, such as "7.2.22"; undefined where it is not installed. */
export function findQemu() {
  const { stdout, status } = spawnSync(QEMU, ["--version"], { encoding: "utf8" });
  return status === 0 ? /version (\S+)/.exec(stdout)?.[1] ?? "of unknown version" : undefined;
}
