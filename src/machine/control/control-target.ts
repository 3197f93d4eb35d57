/** What the commands act on; a VirtualMachine has all of it. */
import type { VirtualMachineMemory } from "../memory/index.js";
import type { MachineStats } from "../stats.js";
import type { VcpuReport } from "../vcpu-report.js";

/** A VM as the commands see it. */
export interface ControlTarget {
  readonly memory: Pick<VirtualMachineMemory, "show" | "slots" | "move" | "swap" | "merge" | "offline" | "online" | "storm">;
  vcpus(): readonly VcpuReport[];
  stats(): MachineStats;
  pause(): Promise<void>;
  resume(): void;
}
