/**
 * What the guest tests share: a booted default guest, files put into it, and answers compared with the host's.
 *
 * The tests use the library's public face only, as a user would. Files go in through the console (hvc0), which no shell
 * reads in mode "exec"; this tests a megabyte of console input by the way. As base64, because Linux takes Ctrl-O on its
 * hvc console for the system request key: "\x0fb" in binary data would restart the guest.
 */
import { createHash } from "node:crypto";
import { gzipSync } from "node:zlib";
import { VirtualMachine } from "../../../dist/machine/index.js";
import { tierOptions, timeLimit } from "./tier.mjs";

/** A guest that hangs must not hang the suite. */
export const COMMAND_TIMEOUT_MS = timeLimit(120_000);
export const BOOT_TIMEOUT_MS = timeLimit(120_000);
/** UNPINNED_LOCK_STEP: every how manyth entry into translated code is checked in every guest (--lock-step); absent = none. */
const lockStep = Number(process.env["UNPINNED_LOCK_STEP"] ?? 0);

/** @typedef {import("../../../dist/machine/index.js").VirtualMachineOptions} VirtualMachineOptions */
/** @typedef {{ exitCode: number, stdout: string, stderr: string }} Answer What a command wrote and how it ended. */

/**
 * Boots the default guest, headless, and waits for its init.
 * @param {VirtualMachineOptions} [options]
 * @returns {Promise<VirtualMachine>}
 */
export async function bootGuest(options = {}) {
  const vm = await VirtualMachine.create({ mode: "exec", ...tierOptions, ...(lockStep === 0 ? {} : { lockStep }), ...options });
  try {
    await vm.ready({ signal: AbortSignal.timeout(BOOT_TIMEOUT_MS) });
  } catch (error) {
    const log = vm.log();
    await vm.dispose();
    throw new Error(`the guest did not come up; the end of its log:\n${log.slice(-3000)}`, { cause: error });
  }
  return vm;
}

/**
 * Runs a command in the guest.
 * @param {VirtualMachine} vm
 * @param {string} command
 * @returns {Promise<Answer>}
 */
export async function runInGuest(vm, command) {
  return await vm.exec(command, { timeoutMs: COMMAND_TIMEOUT_MS });
}

/**
 * Runs a command in the guest that has to succeed, and returns its standard output without the white space around.
 * @param {VirtualMachine} vm
 * @param {string} command
 */
export async function askGuest(vm, command) {
  const { exitCode, stdout, stderr } = await runInGuest(vm, command);
  if (exitCode !== 0) throw new Error(`"${command}" ended in the guest with ${exitCode}: ${stderr}`);
  return stdout.trim();
}

/**
 * Puts a file into the guest, by way of its console. Precondition: nothing in the guest reads hvc0.
 * @param {VirtualMachine} vm
 * @param {string} path absolute
 * @param {Uint8Array} bytes
 * @param {string} [mode] as for chmod
 */
export async function putFile(vm, path, bytes, mode = "755") {
  const packed = new TextEncoder().encode(gzipSync(bytes, { level: 9 }).toString("base64"));
  const receiving = vm.exec(
    `exec 3<>/dev/hvc0; stty raw -echo <&3; echo go; head -c ${packed.length} <&3 | base64 -d | gunzip >${path}; chmod ${mode} ${path}; sha256sum ${path}`,
    { timeoutMs: COMMAND_TIMEOUT_MS },
  );
  // It says "go" when the terminal is in raw mode: a line of text may be 4095 characters only.
  const reader = receiving.stdout.getReader();
  await reader.read();
  const writer = vm.console.writable.getWriter();
  await writer.write(packed);
  writer.releaseLock();
  await reader.cancel();
  const { stdout, stderr } = await receiving;
  const digest = createHash("sha256").update(bytes).digest("hex");
  if (!stdout.includes(digest)) throw new Error(`${path} did not reach the guest whole: ${stdout} ${stderr}`);
}
