/** The guest's watches: what it registered, and which events a change makes. */
import { GUEST_HOME, isAtOrBelow } from "./paths.js";
import type { StoreChange } from "./store-view.js";

/** Most watches of an unprivileged domain. */
export const WATCHES_MAX = 128;

interface Watch {
  /** As the guest wrote it; events under a relative watch carry relative paths. */
  readonly given: string;
  readonly absolute: string;
  readonly token: string;
}

/** One event: the path as the guest is to see it, and its token. */
export interface WatchEvent {
  readonly path: string;
  readonly token: string;
  /** The node that changed. */
  readonly absolute: string;
}

/** One client's watches. */
export class Watches {
  #watches: Watch[] = [];

  /** Adds a watch. */
  add(given: string, absolute: string, token: string): "EEXIST" | "E2BIG" | undefined {
    if (this.#watches.some((watch) => watch.given === given && watch.token === token)) return "EEXIST";
    if (this.#watches.length >= WATCHES_MAX) return "E2BIG";
    this.#watches.push({ given, absolute, token });
    return undefined;
  }

  /** Removes a watch. */
  remove(given: string, token: string): "ENOENT" | undefined {
    const left = this.#watches.filter((watch) => watch.given !== given || watch.token !== token);
    if (left.length === this.#watches.length) return "ENOENT";
    this.#watches = left;
    return undefined;
  }

  /** Removes all. */
  clear(): void {
    this.#watches = [];
  }

  /** Events a change makes: for watches on the node or above it, and, if it went, for those on nodes that went with it. */
  eventsOf(change: StoreChange): WatchEvent[] {
    const events: WatchEvent[] = [];
    for (const watch of this.#watches) {
      if (isAtOrBelow(change.path, watch.absolute)) events.push(eventAt(watch, change.path));
      else if (change.isRemoval && isAtOrBelow(watch.absolute, change.path)) events.push(eventAt(watch, watch.absolute));
    }
    return events;
  }
}

function eventAt(watch: Watch, absolute: string): WatchEvent {
  const isRelative = watch.given !== watch.absolute;
  const path = isRelative && absolute.startsWith(`${GUEST_HOME}/`) ? absolute.slice(GUEST_HOME.length + 1) : absolute;
  return { path, token: watch.token, absolute };
}
