/**
 * Who may do what with a xenstore node: a list of (letter, domain). The first entry names the owner, who may do all, and its
 * letter is what every domain without an entry may do. The back ends' domain is privileged.
 */
import { DOMID_BACKEND, DOMID_GUEST } from "../../abi/xen/index.js";

/** One entry. */
export interface Permission {
  readonly domain: number;
  readonly mayRead: boolean;
  readonly mayWrite: boolean;
}
/** A node's list, never empty. */
export type Permissions = readonly Permission[];

/** Only the back ends. */
export function backendOnly(): Permissions {
  return [{ domain: DOMID_BACKEND, mayRead: false, mayWrite: false }];
}

/** Belongs to the back ends, the guest may read. */
export function readableByGuest(): Permissions {
  return [...backendOnly(), { domain: DOMID_GUEST, mayRead: true, mayWrite: false }];
}

/** Belongs to the guest, nobody else but the back ends sees it. */
export function guestOnly(): Permissions {
  return [{ domain: DOMID_GUEST, mayRead: false, mayWrite: false }];
}

function allows(permissions: Permissions, domain: number, right: "mayRead" | "mayWrite"): boolean {
  const owner = permissions[0]!;
  if (domain === DOMID_BACKEND || owner.domain === domain) return true;
  return (permissions.slice(1).find((entry) => entry.domain === domain) ?? owner)[right];
}

/** Whether `domain` may read. */
export function mayRead(permissions: Permissions, domain: number): boolean {
  return allows(permissions, domain, "mayRead");
}

/** Whether `domain` may write. */
export function mayWrite(permissions: Permissions, domain: number): boolean {
  return allows(permissions, domain, "mayWrite");
}

/** Whether `domain` may change the list. */
export function isOwner(permissions: Permissions, domain: number): boolean {
  return domain === DOMID_BACKEND || permissions[0]!.domain === domain;
}

/** The list of a new node below one with `parent`: the same, but an unprivileged creator becomes the owner. */
export function inheritedPermissions(parent: Permissions, creator: number): Permissions {
  return creator === DOMID_BACKEND ? parent : [{ ...parent[0]!, domain: creator }, ...parent.slice(1)];
}

/** The wire form, `n0`, `r1`, ... */
export function formatPermission(entry: Permission): string {
  const letter = entry.mayRead ? (entry.mayWrite ? "b" : "r") : entry.mayWrite ? "w" : "n";
  return `${letter}${entry.domain}`;
}

/** Reads the wire form; undefined = it is not one. */
export function parsePermission(text: string): Permission | undefined {
  const match = /^([nrwb])([0-9]{1,5})$/.exec(text);
  if (match === null) return undefined;
  const letter = match[1]!;
  return { domain: Number(match[2]), mayRead: letter === "r" || letter === "b", mayWrite: letter === "w" || letter === "b" };
}
