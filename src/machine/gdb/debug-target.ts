/** What a debugger's session works on. */
import type { VcpuDebugger } from "./vcpu-debugger.js";

/** One VM. */
export interface DebugTarget {
  readonly debugger: Pick<
    VcpuDebugger, "vcpuCount" | "requestStop" | "stopped" | "events" | "clearEvent" | "resume" | "ask"
  >;
  /** What `info threads` says of a vCPU. */
  describe(vcpu: number): string;
  /** Carries out a `monitor` command with the eyes of `vcpu`; answers lines. Never rejects. */
  monitor(line: string, vcpu: number): Promise<string>;
  /** Ends the VM where it is. */
  kill(): void;
}
