/** Xenstore paths: names of letters, digits and `-/_@`, separated by single slashes. */
import { DOMID_GUEST, XENSTORE_ABS_PATH_MAX, XENSTORE_REL_PATH_MAX } from "../../abi/xen/index.js";

/** Where the guest's relative paths begin. */
export const GUEST_HOME = `/local/domain/${DOMID_GUEST}`;

/** Watchable names that are no nodes. */
export function isSpecial(path: string): boolean {
  return path === "@introduceDomain" || path === "@releaseDomain";
}

/** The absolute form of a path the guest gave; undefined = malformed. */
export function absolutePath(path: string): string | undefined {
  const isAbsolute = path.startsWith("/");
  if (path.length === 0 || path.length > (isAbsolute ? XENSTORE_ABS_PATH_MAX : XENSTORE_REL_PATH_MAX)) return undefined;
  if (!/^[A-Za-z0-9/_@-]+$/.test(path) || path.includes("//")) return undefined;
  if (path === "/") return path;
  return path.endsWith("/") ? undefined : isAbsolute ? path : `${GUEST_HOME}/${path}`;
}

/** The names on the way to an absolute path. */
export function namesOf(path: string): readonly string[] {
  return path === "/" ? [] : path.slice(1).split("/");
}

/** Whether `path` is `ancestor` or lies below it. */
export function isAtOrBelow(path: string, ancestor: string): boolean {
  return path === ancestor || ancestor === "/" || path.startsWith(`${ancestor}/`);
}
