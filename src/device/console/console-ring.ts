/** One PV console's ring page and event port (public/io/console.h). */
import { xencons_interface, XENCONS_IN_SIZE, XENCONS_OUT_SIZE } from "../../abi/xen/index.js";
import type { GuestPage } from "../../guest-page/index.js";
import { putIntoRing, RING_BROKEN, skipRing, takeFromRing } from "../byte-ring.js";
import type { ByteRingLayout } from "../byte-ring.js";
import type { DeviceDomain } from "../interfaces.js";

const OUTPUT: ByteRingLayout = {
  data: xencons_interface.out, sizeBytes: XENCONS_OUT_SIZE,
  consumer: xencons_interface.out_cons, producer: xencons_interface.out_prod,
};
const INPUT: ByteRingLayout = {
  data: xencons_interface.in, sizeBytes: XENCONS_IN_SIZE,
  consumer: xencons_interface.in_cons, producer: xencons_interface.in_prod,
};
const NOTHING = new Uint8Array();

/** A console that is connected. */
export class ConsoleRing {
  readonly #domain: DeviceDomain;
  readonly #page: GuestPage;
  readonly #port: number;

  constructor(domain: DeviceDomain, page: GuestPage, port: number) {
    this.#domain = domain;
    this.#page = page;
    this.#port = port;
  }

  /** Takes output the guest wrote, at most `bytesMax` bytes. A ring with nonsense indices is emptied. */
  takeOutput(bytesMax: number): Uint8Array {
    const bytes = this.#page.access((view) => {
      const taken = takeFromRing(view, OUTPUT, bytesMax);
      if (taken !== RING_BROKEN) return taken;
      skipRing(view, OUTPUT);
      return NOTHING;
    });
    // The guest sleeps or spins while its ring is full: tell it about the room.
    if (bytes !== undefined && bytes.length > 0) this.#domain.raisePortNoSleep(this.#port);
    return bytes ?? NOTHING;
  }

  /** Puts input into the ring; returns how many bytes it took, 0 while it is full or its indices make no sense. */
  putInput(bytes: Uint8Array): number {
    const count = this.#page.access((view) => putIntoRing(view, INPUT, bytes));
    if (count === undefined || count === RING_BROKEN || count === 0) return 0;
    this.#domain.raisePortNoSleep(this.#port);
    return count;
  }

  /** Gives the page back. */
  close(): void {
    this.#page.deactivate();
  }
}
