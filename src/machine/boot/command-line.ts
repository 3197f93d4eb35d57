/** The kernel command line of the default guest. */

/** What the default guest does: give a shell on hvc0, or only serve commands. */
export type GuestMode = "shell" | "exec";

/**
 * Words that every guest of ours gets:
 * - console=hvc0: the Xen console; panic=-1: reboot at once, which ends the VM, after a panic;
 * - cryptomgr.notests: leaves out self-tests that are 64 % of a plain boot's instructions;
 * - noreplace-smp: with one vCPU, saves 17 000 TLB flushes of patching LOCK prefixes away;
 * - mitigations=off: plain indirect calls instead of retpolines, which a software processor does not need;
 * - nopvspin: one event channel a vCPU less; tsc=reliable: no TSC synchronisation spin between vCPUs.
 */
const baseWords = ["console=hvc0", "panic=-1", "cryptomgr.notests", "noreplace-smp", "mitigations=off", "nopvspin", "tsc=reliable"];

/** Returns the default command line; what the user appends goes behind it, so that the user's word wins. */
export function defaultCommandLine(mode: GuestMode, append = ""): string {
  return [...baseWords, `unpinned.mode=${mode}`, append.trim()].filter((word) => word !== "").join(" ");
}
