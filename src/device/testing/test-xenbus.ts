/** The guest's xenbus for tests: sends requests by the ring and sorts what comes back. */
import { xenstore_domain_interface, XENSTORE_RING_SIZE, XS_ERROR, XS_WATCH_EVENT } from "../../abi/xen/index.js";
import type { ByteRingLayout } from "../byte-ring.js";
import { formatMessage, parseMessage } from "../xenstore/messages.js";
import type { XenstoreMessage } from "../xenstore/messages.js";
import { bytesOf, textOf } from "../xenstore/store.js";
import { XENSTORE_GFN } from "./test-guest.js";
import type { TestGuest } from "./test-guest.js";

export const REQUEST_RING: ByteRingLayout = {
  data: xenstore_domain_interface.req, sizeBytes: XENSTORE_RING_SIZE,
  consumer: xenstore_domain_interface.req_cons, producer: xenstore_domain_interface.req_prod,
};
export const REPLY_RING: ByteRingLayout = {
  data: xenstore_domain_interface.rsp, sizeBytes: XENSTORE_RING_SIZE,
  consumer: xenstore_domain_interface.rsp_cons, producer: xenstore_domain_interface.rsp_prod,
};

/** A client that writes as much as fits, lets the server run, reads everything, and goes on. */
export class TestXenbus {
  readonly #guest: TestGuest;
  readonly #service: () => unknown;
  #received = new Uint8Array();
  #requestId = 100;
  /** Watch events so far, `path token`. */
  readonly events: string[] = [];

  constructor(guest: TestGuest, service: () => unknown) {
    this.#guest = guest;
    this.#service = service;
  }

  /** Sends a request and waits for its reply: its payload, or the error's name. */
  request(type: number, payload: string, transaction = 0): string {
    const requestId = ++this.#requestId;
    this.sendBytes(formatMessage({ type, requestId, transactionId: transaction, payload: bytesOf(payload) }));
    const replies = this.receive();
    const reply = replies.find((message) => message.requestId === requestId);
    if (reply === undefined || replies.length !== 1) return `${replies.length} replies`;
    if (reply.type !== type && reply.type !== XS_ERROR) return `reply of type ${reply.type}`;
    if (reply.transactionId !== transaction) return `reply for transaction ${reply.transactionId}`;
    return reply.type === XS_ERROR ? textOf(reply.payload).replace("\0", "") : textOf(reply.payload);
  }

  /** Puts bytes into the ring piece by piece. */
  sendBytes(bytes: Uint8Array): void {
    for (let sent = 0; sent < bytes.length; sent += 700) {
      this.#guest.produce(XENSTORE_GFN, REQUEST_RING, bytes.subarray(sent, sent + 700));
      this.#service();
      this.#collect();
    }
  }

  #collect(): void {
    for (;;) {
      const bytes = this.#guest.consume(XENSTORE_GFN, REPLY_RING);
      if (bytes.length === 0) return;
      this.#received = Uint8Array.from([...this.#received, ...bytes]);
      this.#service();
    }
  }

  /** Everything that has arrived; watch events go to `events`. */
  receive(): XenstoreMessage[] {
    this.#service();
    this.#collect();
    const replies: XenstoreMessage[] = [];
    for (;;) {
      const parsed = parseMessage(this.#received);
      if (parsed === "partial" || parsed.kind === "oversized") return replies;
      this.#received = this.#received.slice(parsed.lengthBytes);
      if (parsed.message.type === XS_WATCH_EVENT) this.events.push(textOf(parsed.message.payload).replace("\0", " ").replace("\0", ""));
      else replies.push(parsed.message);
    }
  }

  /** Watch events since the last call. */
  takeEvents(): string[] {
    const replies = this.receive();
    if (replies.length > 0) throw new Error(`test: expected only events, got ${replies.length} replies`);
    return this.events.splice(0);
  }
}
