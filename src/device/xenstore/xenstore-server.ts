/**
 * The xenstore ring (public/io/xs_wire.h): collects requests, which may arrive in pieces and across the wrap, and
 * delivers replies and events as the guest makes room.
 */
import { gfnOf, gpaOfGfn } from "../../abi/address.js";
import { PAGE_SIZE } from "../../abi/layout.js";
import {
  HVM_PARAM_STORE_EVTCHN, HVM_PARAM_STORE_PFN, xenstore_domain_interface, XENSTORE_ERROR_PROTO, XENSTORE_ERROR_RINGIDX,
  XENSTORE_RING_SIZE,
} from "../../abi/xen/index.js";
import type { GuestMemory, GuestPage } from "../../guest-page/index.js";
import { putIntoRing, RING_BROKEN, skipRing, takeFromRing } from "../byte-ring.js";
import type { ByteRingLayout } from "../byte-ring.js";
import type { DeviceDomain } from "../interfaces.js";
import { GuestClient } from "./client.js";
import { formatMessage, parseMessage } from "./messages.js";
import { Store } from "./store.js";

const REQUESTS: ByteRingLayout = {
  data: xenstore_domain_interface.req, sizeBytes: XENSTORE_RING_SIZE,
  consumer: xenstore_domain_interface.req_cons, producer: xenstore_domain_interface.req_prod,
};
const REPLIES: ByteRingLayout = {
  data: xenstore_domain_interface.rsp, sizeBytes: XENSTORE_RING_SIZE,
  consumer: xenstore_domain_interface.rsp_cons, producer: xenstore_domain_interface.rsp_prod,
};
/** While more than this waits for the guest, its requests wait, too. */
const WAITING_BYTES_MAX = 0x1_0000;
/** Rounds of one service call: a guest that never stops asking may not keep the other back ends waiting. */
const ROUNDS_MAX = 64;
/** Beyond this even events are dropped: the guest has stopped reading. */
const WAITING_BYTES_LIMIT = 0x10_0000;

/** The server. Belongs to the device thread. */
export class XenstoreServer {
  /** The tree; whoever changes it here makes the guest's watches fire. Call `service` afterwards. */
  readonly store = new Store();
  readonly #domain: DeviceDomain;
  readonly #page: GuestPage | undefined;
  readonly #port: number;
  readonly #client: GuestClient;
  /** Start of a request that has not arrived as a whole. */
  #received = new Uint8Array();
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;

  /** Precondition: the domain is initialised. */
  constructor(domain: DeviceDomain, guest: GuestMemory) {
    this.#domain = domain;
    this.#page = guest.openPage(gpaOfGfn(gfnOf(domain.param(HVM_PARAM_STORE_PFN))), PAGE_SIZE, "xenstore ring");
    this.#port = domain.param(HVM_PARAM_STORE_EVTCHN);
    this.#client = new GuestClient(this.store, (message) => this.#enqueue(formatMessage(message)));
  }

  #enqueue(bytes: Uint8Array): void {
    if (this.#waitingBytes + bytes.length > WAITING_BYTES_LIMIT) return;
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
  }

  /** Handles what has arrived and delivers what fits; true = something moved. */
  service(): boolean {
    let rounds = 0;
    while (rounds < ROUNDS_MAX && this.#serviceOnce()) rounds++;
    const didWork = rounds > 0;
    if (didWork) this.#domain.raisePortNoSleep(this.#port);
    return didWork;
  }

  #serviceOnce(): boolean {
    const received = this.#waitingBytes < WAITING_BYTES_MAX && this.#receive();
    const delivered = this.#deliver();
    return received || delivered;
  }

  #receive(): boolean {
    const bytes = this.#page?.access((view) => {
      const taken = takeFromRing(view, REQUESTS, XENSTORE_RING_SIZE);
      if (taken !== RING_BROKEN) return taken;
      skipRing(view, REQUESTS);
      view.storeU32(xenstore_domain_interface.error, XENSTORE_ERROR_RINGIDX);
      return RING_BROKEN;
    });
    if (bytes === undefined) return false;
    if (bytes === RING_BROKEN) {
      this.#received = new Uint8Array();
      return true;
    }
    if (bytes.length === 0) return false;
    this.#received = joined(this.#received, bytes);
    this.#handleReceived();
    return true;
  }

  #handleReceived(): void {
    for (;;) {
      const parsed = parseMessage(this.#received);
      if (parsed === "partial") return;
      if (parsed.kind === "oversized") {
        // Where the next message begins cannot be known: what has arrived is dropped.
        this.#received = new Uint8Array();
        this.#page?.access((view) => view.storeU32(xenstore_domain_interface.error, XENSTORE_ERROR_PROTO));
        return this.#client.refuse(parsed.header, "EINVAL");
      }
      this.#received = this.#received.slice(parsed.lengthBytes);
      this.#client.handle(parsed.message);
    }
  }

  #deliver(): boolean {
    let didWork = false;
    for (let bytes = this.#waiting[0]; bytes !== undefined; bytes = this.#waiting[0]) {
      const chunk = bytes;
      const count = this.#page?.access((view) => putIntoRing(view, REPLIES, chunk));
      if (count === undefined || count === RING_BROKEN || count === 0) break;
      didWork = true;
      this.#waitingBytes -= count;
      if (count < bytes.length) this.#waiting[0] = bytes.subarray(count);
      else this.#waiting.shift();
    }
    return didWork;
  }

  /** Gives the page back. */
  close(): void {
    this.#page?.deactivate();
  }
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(first.length + second.length);
  bytes.set(first);
  bytes.set(second, first.length);
  return bytes;
}
