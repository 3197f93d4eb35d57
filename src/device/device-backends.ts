/** All back ends of the domain as the device thread runs them. */
import {
  HVM_PARAM_CONSOLE_EVTCHN, HVM_PARAM_CONSOLE_PFN, HVM_PARAM_STORE_EVTCHN, HVM_PARAM_STORE_PFN,
} from "../abi/xen/index.js";
import type { GuestMemory } from "../guest-page/index.js";
import { ConsoleBackend } from "./console/console-backend.js";
import type { ConsoleOptions } from "./console/console-backend.js";
import type { DeviceDomain } from "./interfaces.js";
import { createDomainNodes } from "./xenstore/domain-nodes.js";
import { XenstoreServer } from "./xenstore/xenstore-server.js";

const KIB_PER_PAGE = 4;
const DEFAULT_UUID = "00000000-0000-0000-0000-000000000001";

/** The domain, with what its xenstore nodes say about it. */
export interface BackendDomain extends DeviceDomain {
  currentPages(): number;
}

/** What the back ends are made of. */
export interface BackendParts {
  readonly domain: BackendDomain;
  readonly guest: GuestMemory;
}

/** What the guest finds, and where its consoles go. */
export interface BackendOptions extends ConsoleOptions {
  readonly vcpuCount: number;
  /** Name of the domain; default "unpinned". */
  readonly name?: string;
  /** UUID in text form. */
  readonly uuid?: string;
}

/** Console and xenstore back ends. Belongs to the device thread; made after the domain was initialised. */
export class DeviceBackends {
  readonly xenstore: XenstoreServer;
  readonly console: ConsoleBackend;
  readonly #domain: BackendDomain;

  constructor(parts: BackendParts, options: BackendOptions) {
    const { domain, guest } = parts;
    this.#domain = domain;
    this.xenstore = new XenstoreServer(domain, guest);
    const memoryKib = domain.currentPages() * KIB_PER_PAGE;
    createDomainNodes(this.xenstore.store, {
      name: options.name ?? "unpinned", uuid: options.uuid ?? DEFAULT_UUID, vcpuCount: options.vcpuCount,
      memoryKib, memoryKibMax: memoryKib,
      consoleGfn: domain.param(HVM_PARAM_CONSOLE_PFN), consolePort: domain.param(HVM_PARAM_CONSOLE_EVTCHN),
      xenstoreGfn: domain.param(HVM_PARAM_STORE_PFN), xenstorePort: domain.param(HVM_PARAM_STORE_EVTCHN),
    });
    this.console = new ConsoleBackend({ domain, guest, store: this.xenstore.store }, options);
  }

  /** One look at everything; true = there was work, so look again before sleeping. */
  service(): boolean {
    this.#domain.takeDeviceEvents();
    const movedXenstore = this.xenstore.service();
    const movedConsole = this.console.service();
    return movedXenstore || movedConsole;
  }

  /** Types `bytes` at console `console`; returns how many were taken. The rest is to be offered again after a doorbell. */
  pushInput(console: number, bytes: Uint8Array): number {
    return this.console.pushInput(console, bytes);
  }

  /** Gives all pages back. */
  close(): void {
    this.console.close();
    this.xenstore.close();
  }
}
