/** Why the core leaves guest mode, and what is asked of a vCPU; part of layout.ts. */

/** Why the core returned to the run loop. */
export const EXIT_BUDGET = 0;
export const EXIT_REQUEST = 1;
export const EXIT_NPT = 2;
export const EXIT_IO = 3;
export const EXIT_CPUID = 4;
export const EXIT_RDMSR = 5;
export const EXIT_WRMSR = 6;
export const EXIT_HYPERCALL = 7;
export const EXIT_HLT = 8;
export const EXIT_TRIPLE_FAULT = 9;
export const EXIT_UNSUPPORTED = 10;
export const EXIT_RDRAND = 11;
/** An access to a local APIC's register that the core cannot complete; fields as for EXIT_NPT. */
export const EXIT_APIC_ACCESS = 12;
/** VCPU.debugStop has something for the debugger; DEBUG_STOP_NONE: the instruction is only to be run again, alone. */
export const EXIT_DEBUG = 13;
/** Translated code and the interpreter differed (VCPU_AREA.lockStep says in what); the guest cannot go on. */
export const EXIT_LOCK_STEP = 14;

export const EXIT_NAMES = [
  "budget", "request", "nested-page-fault", "io", "cpuid", "rdmsr", "wrmsr", "hypercall", "hlt",
  "triple-fault", "unsupported-instruction", "rdrand", "apic-access", "debug", "lock-step-difference",
] as const;

/** VCPU.debugStop. */
export const DEBUG_STOP_NONE = 0;
export const DEBUG_STOP_BREAKPOINT = 1;
export const DEBUG_STOP_STEP = 2;
export const DEBUG_STOP_WATCHPOINT = 3;

/** Bits of VCPU.request. */
export const REQUEST_STOP = 1;
export const REQUEST_TLB_FLUSH = 2;
export const REQUEST_EVENT = 4;
export const REQUEST_PAUSE = 8;
export const REQUEST_CODE_INVALIDATE = 16;
/** The code log has something for this vCPU, or another one has taken the split lock; the core deals with it without an exit. */
export const REQUEST_CODE_LOG = 32;
/** An INIT or a start-up IPI was sent to the vCPU. */
export const REQUEST_INIT = 64;
export const REQUEST_STARTUP = 128;
/** Nothing to do but to leave guest mode once: what an interrupt between processors is elsewhere. */
export const REQUEST_KICK = 256;
/** The frame of the APIC access page may have changed. */
export const REQUEST_APIC_RELOAD = 512;
/** The debugger has the vCPU stand. */
export const REQUEST_DEBUG_STOP = 1024;
/** The debugger has sent a message to the vCPU's thread, which stands at the gate. */
export const REQUEST_DEBUG_MESSAGE = 2048;

/**
 * Requests that only have to be dealt with before the vCPU enters guest mode again: they neither wake a vCPU that sleeps in HLT nor
 * end its HLT.
 */
export const REQUESTS_QUIET = REQUEST_TLB_FLUSH | REQUEST_CODE_INVALIDATE | REQUEST_CODE_LOG | REQUEST_KICK | REQUEST_APIC_RELOAD;
/** Requests that the vCPU never takes: it stays outside guest mode until who set them clears them. */
export const REQUESTS_GATE = REQUEST_PAUSE | REQUEST_DEBUG_STOP;

/** VCPU.startup: runs; waits for a start-up IPI; halted with interrupts off, which only INIT ends. */
export const STARTUP_RUNNING = 0;
export const STARTUP_WAITING = 1;
export const STARTUP_HALTED = 2;
