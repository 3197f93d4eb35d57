/**
 * What each xenstore request does, as one table: message type to handler. A handler gets the payload as text, one
 * character a byte, and answers with payload text or with an error. All on behalf of the guest's domain.
 */
import {
  DOMID_GUEST, XENSTORE_PAYLOAD_MAX, XS_DIRECTORY, XS_DIRECTORY_PART, XS_GET_DOMAIN_PATH, XS_GET_PERMS, XS_INTRODUCE,
  XS_IS_DOMAIN_INTRODUCED, XS_MKDIR, XS_READ, XS_RELEASE, XS_RESET_WATCHES, XS_RESUME, XS_RM, XS_SET_PERMS, XS_SET_TARGET,
  XS_TRANSACTION_END, XS_TRANSACTION_START, XS_UNWATCH, XS_WATCH, XS_WRITE,
} from "../../abi/xen/index.js";
import { parseStrings } from "./messages.js";
import { absolutePath, isSpecial } from "./paths.js";
import { formatPermission, parsePermission } from "./permissions.js";
import type { Permission } from "./permissions.js";
import type { StoreError, StoreView } from "./store-view.js";
import { bytesOf, textOf } from "./store.js";

/** Payload of a reply, or the error. */
export type Reply = { readonly text: string } | { readonly error: StoreError };

/** What the handlers may do to the client besides using its view of the tree. */
export interface RequestClient {
  /** The tree, or the transaction the request names. */
  readonly view: StoreView;
  watch(given: string, absolute: string, token: string): StoreError | undefined;
  unwatch(given: string, token: string): StoreError | undefined;
  resetWatches(): void;
  /** Opens a transaction; its id. */
  beginTransaction(): number | StoreError;
  endTransaction(commit: boolean): StoreError | undefined;
}

type RequestHandler = (client: RequestClient, text: string) => Reply;

const OK: Reply = { text: "OK\0" };
/** Room DIRECTORY_PART leaves for the generation in front of the names. */
const GENERATION_TEXT_MAX = 24;

function fail(error: StoreError): Reply {
  return { error };
}

function done(error: StoreError | undefined): Reply {
  return error === undefined ? OK : fail(error);
}

/** A handler for requests whose payload is one path. */
function onPath(handle: (client: RequestClient, path: string) => Reply): RequestHandler {
  return (client, text) => {
    const [given, ...rest] = parseStrings(text) ?? [];
    const path = given === undefined || rest.length > 0 ? undefined : absolutePath(given);
    return path === undefined ? fail("EINVAL") : handle(client, path);
  };
}

function namesText(names: readonly string[]): string {
  return names.map((name) => `${name}\0`).join("");
}

function directory(client: RequestClient, path: string): Reply {
  const listed = client.view.list(DOMID_GUEST, path);
  if (typeof listed === "string") return fail(listed);
  const text = namesText(listed.names);
  return text.length > XENSTORE_PAYLOAD_MAX ? fail("E2BIG") : { text };
}

/** path, offset: as many names as fit from that byte of the listing on; an empty name marks its end. */
function directoryPart(client: RequestClient, text: string): Reply {
  const [given, offsetText, ...rest] = parseStrings(text) ?? [];
  const path = given === undefined ? undefined : absolutePath(given);
  if (path === undefined || rest.length > 0 || !/^[0-9]{1,9}$/.test(offsetText ?? "")) return fail("EINVAL");
  const listed = client.view.list(DOMID_GUEST, path);
  if (typeof listed === "string") return fail(listed);
  let part = "";
  let position = 0;
  let isComplete = true;
  for (const name of listed.names) {
    const piece = `${name}\0`;
    const isWanted = position >= Number(offsetText);
    position += piece.length;
    if (!isWanted) continue;
    isComplete = part.length + piece.length + 1 <= XENSTORE_PAYLOAD_MAX - GENERATION_TEXT_MAX;
    if (!isComplete) break;
    part += piece;
  }
  return { text: `${listed.generation}\0${part}${isComplete ? "\0" : ""}` };
}

function read(client: RequestClient, path: string): Reply {
  const value = client.view.read(DOMID_GUEST, path);
  return typeof value === "string" ? fail(value) : { text: textOf(value) };
}

/** path NUL value: the value has no terminator and may hold any byte. */
function write(client: RequestClient, text: string): Reply {
  const end = text.indexOf("\0");
  const path = end < 0 ? undefined : absolutePath(text.slice(0, end));
  if (path === undefined) return fail("EINVAL");
  return done(client.view.write(DOMID_GUEST, path, bytesOf(text.slice(end + 1))));
}

function getPermissions(client: RequestClient, path: string): Reply {
  const permissions = client.view.permissions(DOMID_GUEST, path);
  return typeof permissions === "string" ? fail(permissions) : { text: namesText(permissions.map(formatPermission)) };
}

function setPermissions(client: RequestClient, text: string): Reply {
  const [given, ...entries] = parseStrings(text) ?? [];
  const path = given === undefined ? undefined : absolutePath(given);
  const permissions = entries.map(parsePermission).filter((entry): entry is Permission => entry !== undefined);
  if (path === undefined || entries.length === 0 || permissions.length !== entries.length) return fail("EINVAL");
  return done(client.view.changePermissions(DOMID_GUEST, path, permissions));
}

function watch(client: RequestClient, text: string): Reply {
  const [given, token, ...rest] = parseStrings(text) ?? [];
  if (given === undefined || token === undefined || rest.length > 0) return fail("EINVAL");
  const path = isSpecial(given) ? given : absolutePath(given);
  return path === undefined ? fail("EINVAL") : done(client.watch(given, path, token));
}

function unwatch(client: RequestClient, text: string): Reply {
  const [given, token, ...rest] = parseStrings(text) ?? [];
  if (given === undefined || token === undefined || rest.length > 0) return fail("EINVAL");
  return done(client.unwatch(given, token));
}

function beginTransaction(client: RequestClient): Reply {
  const id = client.beginTransaction();
  return typeof id === "string" ? fail(id) : { text: `${id}\0` };
}

function endTransaction(client: RequestClient, text: string): Reply {
  return text === "T\0" || text === "F\0" ? done(client.endTransaction(text === "T\0")) : fail("EINVAL");
}

/** A handler for requests whose payload is one domain id. */
function onDomain(handle: (domain: number) => Reply): RequestHandler {
  return (_client, text) => {
    const match = /^([0-9]{1,5})\0$/.exec(text);
    return match === null ? fail("EINVAL") : handle(Number(match[1]));
  };
}

function resetWatches(client: RequestClient): Reply {
  client.resetWatches();
  return OK;
}

/** Handlers by message type; what is not here is ENOSYS. */
export const REQUESTS: ReadonlyMap<number, RequestHandler> = new Map<number, RequestHandler>([
  [XS_DIRECTORY, onPath(directory)],
  [XS_DIRECTORY_PART, directoryPart],
  [XS_READ, onPath(read)],
  [XS_WRITE, write],
  [XS_MKDIR, onPath((client, path) => done(client.view.makeDirectory(DOMID_GUEST, path)))],
  [XS_RM, onPath((client, path) => done(client.view.remove(DOMID_GUEST, path)))],
  [XS_GET_PERMS, onPath(getPermissions)],
  [XS_SET_PERMS, setPermissions],
  [XS_WATCH, watch],
  [XS_UNWATCH, unwatch],
  [XS_RESET_WATCHES, resetWatches],
  [XS_TRANSACTION_START, beginTransaction],
  [XS_TRANSACTION_END, endTransaction],
  [XS_GET_DOMAIN_PATH, onDomain((domain) => ({ text: `/local/domain/${domain}\0` }))],
  [XS_IS_DOMAIN_INTRODUCED, onDomain((domain) => ({ text: domain <= DOMID_GUEST ? "T\0" : "F\0" }))],
  // These are the toolstack's.
  [XS_INTRODUCE, () => fail("EACCES")],
  [XS_RELEASE, () => fail("EACCES")],
  [XS_RESUME, () => fail("EACCES")],
  [XS_SET_TARGET, () => fail("EACCES")],
]);
