/** One table: exit reason -> handler. */
import {
  EXIT_APIC_ACCESS, EXIT_BUDGET, EXIT_CPUID, EXIT_DEBUG, EXIT_HLT, EXIT_HYPERCALL, EXIT_IO, EXIT_LOCK_STEP, EXIT_NPT, EXIT_RDMSR, EXIT_RDRAND, EXIT_REQUEST,
  EXIT_TRIPLE_FAULT, EXIT_UNSUPPORTED, EXIT_WRMSR,
} from "../abi/layout.js";
import { handleDebugStop } from "./debug-stop.js";
import { reportDifference, reportGuest } from "./guest-report.js";
import { handleHalt } from "./halt.js";
import { handleCpuid, handleHypercall, handleRdmsr, handleRdrand, handleWrmsr } from "./instruction-exits.js";
import { handleApicAccess, handleNestedPageFault } from "./mmio.js";
import { handlePortAccess } from "./port-io.js";
import type { ExitHandler } from "./vcpu-context.js";

/** Timers and requests are looked at before every entry, so these exits have nothing left to do. */
const goOn: ExitHandler = () => undefined;

/** The handler of every EXIT_*. */
export const EXIT_TABLE: Readonly<Record<number, ExitHandler>> = {
  [EXIT_BUDGET]: goOn,
  [EXIT_REQUEST]: goOn,
  [EXIT_NPT]: handleNestedPageFault,
  [EXIT_IO]: handlePortAccess,
  [EXIT_CPUID]: handleCpuid,
  [EXIT_RDMSR]: handleRdmsr,
  [EXIT_WRMSR]: handleWrmsr,
  [EXIT_HYPERCALL]: handleHypercall,
  [EXIT_HLT]: handleHalt,
  [EXIT_TRIPLE_FAULT]: (vcpu) => ({ kind: "triple-fault", report: reportGuest(vcpu) }),
  [EXIT_UNSUPPORTED]: (vcpu) => ({ kind: "unsupported-instruction", report: reportGuest(vcpu) }),
  [EXIT_RDRAND]: handleRdrand,
  [EXIT_APIC_ACCESS]: handleApicAccess,
  [EXIT_DEBUG]: handleDebugStop,
  [EXIT_LOCK_STEP]: (vcpu) => ({ kind: "translator-difference", report: reportGuest(vcpu), difference: reportDifference(vcpu) }),
};
