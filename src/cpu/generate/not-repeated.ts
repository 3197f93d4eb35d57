/**
 * Functions of the interpreter that the lock-step check does not run twice (interpreter/lock-step.ts), with the STRETCH_END that says why. All
 * others change nothing but the vCPU's state and guest memory, and do the same each time.
 */
import type { STRETCH_END } from "../../abi/layout.js";

type Reason = keyof typeof STRETCH_END;

const because = (reason: Reason, names: string): [string, Reason][] => names.split(" ").map((name) => [name, reason]);

/** By the function's name. */
export const NOT_REPEATED: Readonly<Record<string, Reason>> = Object.fromEntries([
  ...because("time", "rdtsc rdtscp rdpmc rdrand"),
  // Flushes and epochs do not go back; a change of privilege or mode leads to code of its own.
  ...because("system", "movToControl movToDebug lmsw invlpg rdmsr wrmsr syscall sysret sysenter sysexit iret interruptImmediate int3 int1 into"
    + " jmpFarImmediate callFarImmediate jmpFarMemory callFarMemory retFar retFarImmediate lldt ltr lgdt lidt"),
  ...because("exit", "hlt cpuid hypercall inByteImmediate inWideImmediate inByteRegister inWideRegister outByteImmediate outWideImmediate outByteRegister"
    + " outWideRegister insByte insWide outsByte outsWide"),
]);
