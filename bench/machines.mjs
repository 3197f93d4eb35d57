/** The machines that are compared: ours, QEMU's TCG, v86, and the host itself without a machine. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { defaultCommandLine } from "../dist/machine/boot/index.js";

const OUR_MACHINE = fileURLToPath(new URL("our-machine.mjs", import.meta.url));
const V86_MACHINE = fileURLToPath(new URL("v86/machine.mjs", import.meta.url));
/** Our machine when it has been started before. */
export const OUR_WARM = "unpinned, warm";
const QEMU = "qemu-system-x86_64";
const MIB = 1 << 20;
/** Where Linux tells the processor's rate; Node's os.cpus() says 0 on some hosts. */
const CPU_INFO = "/proc/cpuinfo";
/** How often the host itself does the same thing between two marks: it is quick, and processor time has a grain of 10 ms. */
export const NATIVE_REPEAT = 3;

/**
 * @typedef {object} Machine
 * @property {string} name
 * @property {string} command
 * @property {readonly string[]} args
 * @property {number} [repeat] how often it does each workload between two marks; 1 if absent
 */

/**
 * @param {import("./guest-files.mjs").GuestFiles} files
 * @param {number} memoryBytes
 * @param {string} [cacheFolder] where it finds what an earlier start has kept; absent = it keeps nothing, and finds nothing
 * @returns {Machine}
 */
export function ourMachine({ kernelPath, initrdPath }, memoryBytes, cacheFolder) {
  const args = [OUR_MACHINE, kernelPath, initrdPath, `${memoryBytes}`];
  return cacheFolder === undefined ? { name: "unpinned", command: process.execPath, args } : { name: OUR_WARM, command: process.execPath, args: [...args, cacheFolder] };
}

/**
 * QEMU's emulation, with no device that the guest has no use for.
 * @param {import("./guest-files.mjs").GuestFiles} files
 * @param {{ name: string, kernelPath: string, memoryBytes: number, machine?: string }} options `machine` as for -machine; "pc" if absent
 * @returns {Machine}
 */
export function qemuMachine({ initrdPath }, { name, kernelPath, memoryBytes, machine = "pc" }) {
  const args = [
    "-no-user-config", "-nodefaults", "-accel", "tcg", "-machine", machine, "-smp", "1", "-m", `${memoryBytes / MIB}M`, "-no-reboot",
    "-display", "none", "-serial", "stdio", "-kernel", kernelPath, "-initrd", initrdPath, "-append", [serialCommandLine(), ...(machine === "microvm" ? [clockWord()] : [])].join(" "),
  ];
  return { name, command: QEMU, args };
}

/**
 * The rate of the time-stamp counter, for a machine that has no second timer to measure it by: when the host is busy, Linux finds no clock
 * there without this word, and hangs. QEMU's counter is the host's own, or counts nanoseconds.
 */
function clockWord() {
  const [, hostMhz] = (process.arch === "x64" && existsSync(CPU_INFO) && /^cpu MHz\s*: ([\d.]+)/m.exec(readFileSync(CPU_INFO, "latin1"))) || [];
  return `tsc_early_khz=${hostMhz === undefined ? 1_000_000 : Math.round(Number(hostMhz) * 1000)}`;
}

/**
 * @param {import("./guest-files.mjs").GuestFiles & import("./v86/guest.mjs").Firmware} files for 32 bits
 * @param {number} memoryBytes
 * @returns {Machine}
 */
export function v86Machine({ kernelPath, initrdPath, biosPath, vgaBiosPath }, memoryBytes) {
  return { name: "v86", command: process.execPath, args: [V86_MACHINE, kernelPath, initrdPath, `${memoryBytes}`, biosPath, vgaBiosPath, serialCommandLine()] };
}

/**
 * The host itself: the guest's busybox and programs as processes like any other.
 * @param {{ busyboxPath: string, benchFolder: string, scratchFolder: string }} files
 * @returns {Machine}
 */
export function nativeMachine({ busyboxPath, benchFolder, scratchFolder }) {
  return { name: "native", command: busyboxPath, args: ["sh", join(benchFolder, "native.sh"), benchFolder, scratchFolder, busyboxPath], repeat: NATIVE_REPEAT };
}

/** Word for word what our machine gives its guest, but for the console. */
function serialCommandLine() {
  return defaultCommandLine("exec", "xen", "quiet loglevel=2").replace("console=hvc0", "console=ttyS0");
}

/** QEMU's version, such as "7.2.22"; undefined where it is not installed. */
export function findQemu() {
  const { stdout, status } = spawnSync(QEMU, ["--version"], { encoding: "utf8" });
  return status === 0 ? /version (\S+)/.exec(stdout)?.[1] ?? "of unknown version" : undefined;
}
