/** Where what can be had again is kept: below XDG_CACHE_HOME, or where the platform has its caches. */
import { homedir } from "node:os";
import { join } from "node:path";
import { FileCache } from "./file-cache.js";

/** The folder of all that this program keeps for the user. It need not be there. Throws where the user has no home. */
export function userCacheFolder(environment: NodeJS.ProcessEnv = process.env, platform: string = process.platform): string {
  const { XDG_CACHE_HOME: xdg, LOCALAPPDATA: local } = environment;
  return join(platformCacheFolder(xdg, local, platform), "unpinned");
}

function platformCacheFolder(xdg: string | undefined, local: string | undefined, platform: string): string {
  // The XDG specification: a path that is not absolute is to be ignored.
  if (xdg?.startsWith("/")) return xdg;
  if (platform === "win32" && local) return local;
  return platform === "darwin" ? join(homedir(), "Library", "Caches") : join(homedir(), ".cache");
}

/**
 * The cache in `folder`, or else in the user's own for what this program makes from other files (unpacked kernels). undefined = the
 * user has no place for one.
 */
export function openCache(folder?: string): FileCache | undefined {
  try {
    return new FileCache(folder ?? join(userCacheFolder(), "derived"));
  } catch {
    return undefined;
  }
}
