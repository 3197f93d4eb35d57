/** The guest as a client of the store: its transactions and watches, and the replies and events that wait for it. */
import { DOMID_GUEST, XENSTORE_PAYLOAD_MAX, XS_ERROR, XS_TRANSACTION_END, XS_WATCH_EVENT } from "../../abi/xen/index.js";
import type { XenstoreMessage } from "./messages.js";
import { isSpecial } from "./paths.js";
import { mayRead } from "./permissions.js";
import { REQUESTS } from "./requests.js";
import type { RequestClient } from "./requests.js";
import { bytesOf, textOf } from "./store.js";
import type { Store, Transaction } from "./store.js";
import type { StoreChange, StoreError, StoreView } from "./store-view.js";
import { Watches } from "./watches.js";
import type { WatchEvent } from "./watches.js";

/** Most transactions an unprivileged domain may have open. */
export const TRANSACTIONS_MAX = 10;

/** State of the one client. `send` takes replies and events in the order in which they are to arrive. */
export class GuestClient {
  readonly #store: Store;
  readonly #send: (message: XenstoreMessage) => void;
  readonly #watches = new Watches();
  readonly #transactions = new Map<number, Transaction>();
  #lastTransaction = 0;

  constructor(store: Store, send: (message: XenstoreMessage) => void) {
    this.#store = store;
    this.#send = send;
    store.observeAll((change) => this.#announce(change));
  }

  /** Answers one request. */
  handle(message: XenstoreMessage): void {
    const { transactionId, type } = message;
    const transaction = transactionId === 0 ? undefined : this.#transactions.get(transactionId);
    if (transactionId !== 0 && transaction === undefined) return this.refuse(message, "ENOENT");
    const handler = REQUESTS.get(type);
    if (handler === undefined) return this.refuse(message, "ENOSYS");
    if (transaction?.isFull === true && type !== XS_TRANSACTION_END) return this.refuse(message, "ENOSPC");
    const events: WatchEvent[] = [];
    const client = this.#requestClient(transaction ?? this.#store, transactionId, events);
    const reply = handler(client, textOf(message.payload));
    if ("error" in reply) return this.refuse(message, reply.error);
    this.#send({ ...message, payload: bytesOf(reply.text) });
    for (const event of events) this.#sendEvent(event);
  }

  /** Answers `message` with an error. */
  refuse(message: XenstoreMessage, error: StoreError): void {
    this.#send({ ...message, type: XS_ERROR, payload: bytesOf(`${error}\0`) });
  }

  #requestClient(view: StoreView, transactionId: number, events: WatchEvent[]): RequestClient {
    return {
      view,
      watch: (given, absolute, token) => {
        const error = this.#watches.add(given, absolute, token);
        // A new watch fires once at once, so that its owner looks at the present state.
        if (error === undefined) events.push({ path: given, token, absolute });
        return error;
      },
      unwatch: (given, token) => this.#watches.remove(given, token),
      resetWatches: () => this.reset(),
      beginTransaction: () => (transactionId === 0 ? this.#begin() : "EBUSY"),
      endTransaction: (commit) => this.#end(transactionId, commit),
    };
  }

  #begin(): number | StoreError {
    if (this.#transactions.size >= TRANSACTIONS_MAX) return "ENOSPC";
    do this.#lastTransaction = (this.#lastTransaction % 0x7fff_ffff) + 1;
    while (this.#transactions.has(this.#lastTransaction));
    this.#transactions.set(this.#lastTransaction, this.#store.begin());
    return this.#lastTransaction;
  }

  #end(id: number, commit: boolean): StoreError | undefined {
    const transaction = this.#transactions.get(id);
    if (transaction === undefined) return "ENOENT";
    this.#transactions.delete(id);
    return commit ? this.#store.commit(transaction) : undefined;
  }

  /** Drops all watches and transactions. */
  reset(): void {
    this.#watches.clear();
    this.#transactions.clear();
  }

  /** Sends the events of a change the guest may know about. */
  #announce(change: StoreChange): void {
    for (const event of this.#watches.eventsOf(change)) {
      if (isSpecial(event.absolute) || this.#mayKnow(event.absolute)) this.#sendEvent(event);
    }
  }

  #mayKnow(path: string): boolean {
    const permissions = this.#store.permissions(DOMID_GUEST, path);
    return permissions !== "EACCES" && (typeof permissions === "string" || mayRead(permissions, DOMID_GUEST));
  }

  #sendEvent(event: WatchEvent): void {
    const payload = bytesOf(`${event.path}\0${event.token}\0`);
    if (payload.length > XENSTORE_PAYLOAD_MAX) return;
    this.#send({ type: XS_WATCH_EVENT, requestId: 0, transactionId: 0, payload });
  }
}
