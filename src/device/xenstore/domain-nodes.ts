/** The nodes a toolstack creates for a domain before it starts. */
import { DOMID_BACKEND, DOMID_GUEST } from "../../abi/xen/index.js";
import { GUEST_HOME } from "./paths.js";
import { guestOnly, readableByGuest } from "./permissions.js";
import type { Store } from "./store.js";

/** What the nodes say. */
export interface DomainNodes {
  readonly name: string;
  /** Text form of the domain's UUID. */
  readonly uuid: string;
  readonly memoryKib: number;
  readonly memoryKibMax: number;
  readonly vcpuCount: number;
  readonly consoleGfn: number;
  readonly consolePort: number;
  readonly xenstoreGfn: number;
  readonly xenstorePort: number;
}

/** Nodes the guest may write, besides those a device's creation adds. */
const GUEST_WRITABLE = [
  "control/shutdown", "control/sysrq", "control/feature-poweroff", "control/feature-reboot", "control/feature-suspend",
  "control/feature-s3", "control/feature-s4", "control/feature-balloon", "device", "data", "error", "attr", "drivers",
  "feature",
];

/** Creates the nodes. */
export function createDomainNodes(store: Store, nodes: DomainNodes): void {
  const ground = (path: string, value = ""): void => {
    store.writeText(path, value);
    store.setPermissions(path, readableByGuest());
  };
  // Every node inherits, so what lies below these is readable, too.
  ground("/local");
  ground("/local/domain");
  ground(GUEST_HOME);
  ground(`/vm/${nodes.uuid}`);
  store.writeText(`/vm/${nodes.uuid}/name`, nodes.name);
  store.writeText(`/vm/${nodes.uuid}/uuid`, nodes.uuid);
  ground(`/local/domain/${DOMID_BACKEND}`);
  for (const [path, value] of Object.entries(domainValues(nodes))) store.writeText(`${GUEST_HOME}/${path}`, value);
  for (const path of GUEST_WRITABLE) {
    store.writeText(`${GUEST_HOME}/${path}`, "");
    store.setPermissions(`${GUEST_HOME}/${path}`, guestOnly());
  }
}

function domainValues(nodes: DomainNodes): Record<string, string> {
  const values: Record<string, string> = {
    name: nodes.name,
    domid: `${DOMID_GUEST}`,
    vm: `/vm/${nodes.uuid}`,
    "memory/static-max": `${nodes.memoryKibMax}`,
    "memory/target": `${nodes.memoryKib}`,
    "control/platform-feature-xs_reset_watches": "1",
    "control/platform-feature-multiprocessor-suspend": "1",
    "store/ring-ref": `${nodes.xenstoreGfn}`,
    "store/port": `${nodes.xenstorePort}`,
    "console/ring-ref": `${nodes.consoleGfn}`,
    "console/port": `${nodes.consolePort}`,
    "console/type": "xenconsoled",
    "console/limit": "1048576",
  };
  for (let vcpu = 0; vcpu < nodes.vcpuCount; vcpu++) values[`cpu/${vcpu}/availability`] = "online";
  return values;
}
