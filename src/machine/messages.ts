/** What the machine's threads are started with and what they post to the main thread. */
import type { Tier } from "../cpu/index.js";
import type { PersonalityName, VcpuOutcome } from "../exit/index.js";
import type { PageAccess } from "../guest-page/index.js";
import type { DebugResult } from "./gdb/messages.js";
import type { KeptCode } from "./kept-code.js";
import type { PipeEnd, SwapFileShare } from "../platform/node/index.js";
import type { TaskLayout, VcpuSamples } from "./profile/index.js";

/** Data of every thread of a VM. */
export interface ThreadStart {
  readonly memory: WebAssembly.Memory;
  /** monotonicNs() at VM start: the guest's time 0. */
  readonly originNs: number;
  readonly vcpuCount: number;
  /** The swap file; undefined = there is none. */
  readonly swap: SwapFileShare | undefined;
  /** How the hypervisor protects its accesses to guest pages. */
  readonly pageAccess: PageAccess;
  readonly personality: PersonalityName;
}

/** Data of a vCPU's thread. */
export interface VcpuThreadStart extends ThreadStart {
  readonly tier: Tier;
  /** To the translator's thread; undefined where nothing is translated. */
  readonly translations: PipeEnd | undefined;
  readonly module: WebAssembly.Module;
  /** Whether the module's machine code is wanted at the end. */
  readonly wantsCode: boolean;
  readonly vcpuIndex: number;
  /** How the guest's kernel tells which task runs, for samples; undefined = none are taken. */
  readonly sampling: { readonly tasks: TaskLayout | undefined } | undefined;
}

/** Data of the translator's thread. */
export interface TranslatorThreadStart {
  readonly memory: WebAssembly.Memory;
  /** To each vCPU's thread. */
  readonly vcpus: readonly PipeEnd[];
  /** Where regions are kept; undefined = nowhere. */
  readonly kept: KeptCode | undefined;
  readonly tier: Tier;
}

/** From a vCPU's thread. */
export type VcpuMessage =
  | { readonly type: "paused" }
  /** To a command of the debugger. */
  | { readonly type: "debug-answer"; readonly id: number; readonly result: DebugResult }
  /** Bytes written to the debug port. */
  | { readonly type: "debug"; readonly bytes: Uint8Array }
  /** Machine code of the core's module, before the end. */
  | { readonly type: "code"; readonly code: Uint8Array }
  /** What was sampled, before the end. */
  | { readonly type: "samples"; readonly vcpuIndex: number; readonly samples: VcpuSamples }
  | { readonly type: "ended"; readonly outcome: VcpuOutcome };

/**
 * From the device thread. The agent's output comes after all output of other consoles that the guest wrote before it, so that an
 * "exit" line finds the command's output complete.
 */
export type DeviceMessage =
  | { readonly type: "output"; readonly console: number; readonly bytes: Uint8Array }
  /** The guest took input of this console: there may be room in the ring. */
  | { readonly type: "input-taken"; readonly console: number };
