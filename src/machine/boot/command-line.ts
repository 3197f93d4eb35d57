/** The kernel command line of the default guest. */
import { UART_COUNT } from "../../abi/kvm-block.js";
import type { PersonalityName } from "../../exit/index.js";

/** What the default guest does: give a shell on hvc0, or only serve commands. */
export type GuestMode = "shell" | "exec";

/**
 * Words that every guest of ours gets:
 * - panic=-1: reboot at once, which ends the VM, after a panic;
 * - cryptomgr.notests: leaves out self-tests that are 64 % of a plain boot's instructions;
 * - noreplace-smp: with one vCPU, saves 17 000 TLB flushes of patching LOCK prefixes away;
 * - mitigations=off: plain indirect calls instead of retpolines, which a software processor does not need;
 * - nopvspin: one event channel a vCPU less; tsc=reliable: no TSC synchronisation spin between vCPUs.
 */
const baseWords = ["panic=-1", "cryptomgr.notests", "noreplace-smp", "mitigations=off", "nopvspin", "tsc=reliable"];

/**
 * Words for the consoles:
 * - xen: hvc0, the PV console;
 * - kvm: ttyS0, a serial port, which with `r` stops taking input when its buffers are full; as many serial ports as there are, which a kernel
 *   looks for without it as many as it was built for; and our init is told.
 */
const consoleWords: Readonly<Record<PersonalityName, readonly string[]>> = {
  xen: ["console=hvc0"],
  kvm: ["console=ttyS0,115200n8r", `8250.nr_uarts=${UART_COUNT}`, "unpinned.terminals=ttyS"],
};

/** Returns the default command line; what the user appends goes behind it, so that the user's word wins. */
export function defaultCommandLine(mode: GuestMode, personality: PersonalityName, append = ""): string {
  return [...consoleWords[personality], ...baseWords, `unpinned.mode=${mode}`, append.trim()].filter((word) => word !== "").join(" ");
}
