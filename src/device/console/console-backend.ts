/** All PV consoles of the domain: number 0 from the HVM parameters, the others through xenbus. */
import { gfnOf, gpaOfGfn } from "../../abi/address.js";
import { PAGE_SIZE } from "../../abi/layout.js";
import { HVM_PARAM_CONSOLE_EVTCHN, HVM_PARAM_CONSOLE_PFN, XENCONS_OUT_SIZE } from "../../abi/xen/index.js";
import type { GuestMemory } from "../../guest-page/index.js";
import type { DeviceDomain } from "../interfaces.js";
import type { Store } from "../xenstore/store.js";
import { ConsoleFrontend } from "./console-frontend.js";
import { ConsoleRing } from "./console-ring.js";

/** Where console bytes go, and how many consoles there are. */
export interface ConsoleOptions {
  /** Consoles in all, at least 1; number n is hvc<n> in the guest. */
  readonly consoleCount: number;
  /** Receives output in chunks of up to a ring. The array is the receiver's. */
  readonly onOutput: (console: number, bytes: Uint8Array) => void;
  /** How many bytes of output may be taken now; absent = any number. What is not taken stays in the guest's ring. */
  readonly outputSpace?: (console: number) => number;
}

/** The console back end. Belongs to the device thread. */
export class ConsoleBackend {
  readonly #options: ConsoleOptions;
  readonly #first: ConsoleRing | undefined;
  readonly #frontends: readonly ConsoleFrontend[];

  /** Creates the xenstore nodes of the extra consoles. Precondition: the domain is initialised. */
  constructor(parts: { domain: DeviceDomain; guest: GuestMemory; store: Store }, options: ConsoleOptions) {
    this.#options = options;
    const page = parts.guest.openPage(gpaOfGfn(gfnOf(parts.domain.param(HVM_PARAM_CONSOLE_PFN))), PAGE_SIZE, "console ring");
    this.#first = page && new ConsoleRing(parts.domain, page, parts.domain.param(HVM_PARAM_CONSOLE_EVTCHN));
    const extra = Math.max(0, options.consoleCount - 1);
    this.#frontends = Array.from({ length: extra }, (_, index) => new ConsoleFrontend(parts, index + 1));
  }

  #ring(console: number): ConsoleRing | undefined {
    return console === 0 ? this.#first : this.#frontends[console - 1]?.ring;
  }

  /** Whether the guest's end of `console` is there. */
  isConnected(console: number): boolean {
    return this.#ring(console) !== undefined;
  }

  /** Passes on what the guest wrote; true = there was something. */
  service(): boolean {
    let didWork = false;
    for (let console = 0; console < this.#options.consoleCount; console++) {
      const space = this.#options.outputSpace?.(console) ?? XENCONS_OUT_SIZE;
      const bytes = space > 0 ? this.#ring(console)?.takeOutput(space) : undefined;
      if (bytes === undefined || bytes.length === 0) continue;
      this.#options.onOutput(console, bytes);
      didWork = true;
    }
    return didWork;
  }

  /** Types `bytes` at `console`; returns how many the guest's ring took. The rest is to be offered again. */
  pushInput(console: number, bytes: Uint8Array): number {
    return bytes.length === 0 ? 0 : this.#ring(console)?.putInput(bytes) ?? 0;
  }

  /** Gives all pages back. */
  close(): void {
    this.#first?.close();
    for (const frontend of this.#frontends) frontend.close();
  }
}
