/** The instrumented modules that scenarios use, by what they export. */
import type { VcpuContext } from "../exit/vcpu-context.js";
import type { Edit } from "../guest-page/testing/mutant-tree.js";
import type { GuestMemory } from "../guest-page/index.js";
import type { HostMemory } from "../host-memory/index.js";
import type { XenDomain } from "../hypercall/index.js";
import { loadInstrumented } from "./instrument/modules.js";

/** Constructors and functions that are instrumented: what they give has to be waited for ($, $now). */
export interface ExploredModules {
  readonly HostMemory: typeof HostMemory;
  readonly GuestMemory: typeof GuestMemory;
  readonly XenDomain: typeof XenDomain;
  readonly enterGuestMode: (vcpu: never) => unknown;
  readonly leaveGuestMode: (vcpu: never) => unknown;
  readonly asInGuestMode: (vcpu: never, body: () => unknown) => unknown;
  readonly flushVcpuTlbs: (vcpus: readonly never[], options?: { readonly mustNotSleep?: boolean }) => unknown;
  readonly sleepUntilEvent: (vcpu: VcpuContext) => unknown;
  readonly sleepUntil: (vcpu: VcpuContext, isReady: () => unknown, deadlineNs: number) => unknown;
}

const PATHS = [
  "host-memory/index.js", "guest-page/index.js", "hypercall/index.js", "exit/requests/guest-mode.js", "exit/requests/vcpu-requests.js", "exit/halt.js",
];

let loaded: Promise<ExploredModules> | undefined;

/** Loads them, with faults planted if wished. Throws Error. */
export async function loadExplored(edits: readonly Edit[] = []): Promise<ExploredModules> {
  if (edits.length > 0) return (await loadInstrumented(PATHS, edits)) as unknown as ExploredModules;
  loaded ??= loadInstrumented(PATHS) as unknown as Promise<ExploredModules>;
  return await loaded;
}
