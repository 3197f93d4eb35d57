/**
 * The back end of one extra console, device/console/N with N from 1 on: connects as the guest's driver comes up.
 *
 *     back end       front end
 *     InitWait  ──▶  grants a ring page, opens a port, writes ring-ref and port
 *               ◀──  Initialised
 *     Connected ──▶  Connected
 *               ◀──  Closing, Closed: the ring is given back
 */
import {
  DOMID_BACKEND, DOMID_GUEST, XenbusStateClosed, XenbusStateClosing, XenbusStateConnected, XenbusStateInitialised,
  XenbusStateInitialising, XenbusStateInitWait,
} from "../../abi/xen/index.js";
import type { GuestMemory } from "../../guest-page/index.js";
import { openGrantedPage } from "../grants/grants.js";
import type { DeviceDomain } from "../interfaces.js";
import type { Store } from "../xenstore/store.js";
import { guestOnly, readableByGuest } from "../xenstore/permissions.js";
import { ConsoleRing } from "./console-ring.js";

/** Connection state of one extra console. */
export class ConsoleFrontend {
  readonly #domain: DeviceDomain;
  readonly #guest: GuestMemory;
  readonly #store: Store;
  readonly #front: string;
  readonly #back: string;
  #ring: ConsoleRing | undefined;

  constructor(parts: { domain: DeviceDomain; guest: GuestMemory; store: Store }, index: number) {
    this.#domain = parts.domain;
    this.#guest = parts.guest;
    this.#store = parts.store;
    this.#front = `/local/domain/${DOMID_GUEST}/device/console/${index}`;
    this.#back = `/local/domain/${DOMID_BACKEND}/backend/console/${DOMID_GUEST}/${index}`;
    this.#createNodes(index);
    this.#store.observe(`${this.#front}/state`, () => this.#followFrontend());
  }

  /** The ring while the console is connected. */
  get ring(): ConsoleRing | undefined {
    return this.#ring;
  }

  #createNodes(index: number): void {
    const write = (path: string, value: string): void => this.#store.writeText(path, value);
    write(this.#back, "");
    this.#store.setPermissions(this.#back, readableByGuest());
    for (const [key, value] of Object.entries({
      frontend: this.#front, "frontend-id": `${DOMID_GUEST}`, online: "1", protocol: "vt100", type: "xenconsoled",
      state: `${XenbusStateInitWait}`,
    })) write(`${this.#back}/${key}`, value);
    write(this.#front, "");
    this.#store.setPermissions(this.#front, guestOnly());
    for (const [key, value] of Object.entries({
      backend: this.#back, "backend-id": `${DOMID_BACKEND}`, output: "pty", name: `hvc${index}`,
      state: `${XenbusStateInitialising}`,
    })) write(`${this.#front}/${key}`, value);
  }

  #setState(state: number): void {
    this.#store.writeText(`${this.#back}/state`, `${state}`);
  }

  #followFrontend(): void {
    switch (this.#number("state")) {
      case XenbusStateInitialised:
      case XenbusStateConnected:
        this.#connect();
        break;
      case XenbusStateClosing:
        this.#disconnect();
        this.#setState(XenbusStateClosing);
        break;
      case XenbusStateClosed:
        this.#disconnect();
        this.#setState(XenbusStateClosed);
        break;
      case XenbusStateInitialising:
        this.#disconnect();
        this.#setState(XenbusStateInitWait);
        break;
    }
  }

  #connect(): void {
    if (this.#ring !== undefined) return;
    const reference = this.#number("ring-ref");
    const port = this.#number("port");
    if (reference === undefined || port === undefined) return;
    const page = openGrantedPage(this.#domain, this.#guest, reference);
    if (page === undefined) return;
    if (!this.#domain.bindPort(port)) return page.deactivate();
    this.#ring = new ConsoleRing(this.#domain, page, port);
    this.#setState(XenbusStateConnected);
  }

  #disconnect(): void {
    this.#ring?.close();
    this.#ring = undefined;
  }

  /** A decimal number the front end wrote. */
  #number(key: string): number | undefined {
    const text = this.#store.readText(`${this.#front}/${key}`);
    return text !== undefined && /^[0-9]{1,10}$/.test(text) ? Number(text) : undefined;
  }

  /** Gives the ring back. */
  close(): void {
    this.#disconnect();
  }
}
