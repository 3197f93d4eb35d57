/** What the operating system says when it refuses, in words. */

const REASONS: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EADDRNOTAVAIL: "this machine has no such address",
  ECONNREFUSED: "nobody listens there",
  EDQUOT: "disk quota exceeded",
  EFBIG: "file too large",
  EIO: "input/output error",
  EISDIR: "it is a directory",
  ENOENT: "no such file or folder",
  ENOTFOUND: "no such host",
  ENOSPC: "no space left on device",
  ENOTDIR: "a part of the path is not a folder",
  ENOTSOCK: "it is no socket",
  EPERM: "permission denied",
  EROFS: "read-only file system",
};

/** The system's name for what went wrong, such as ENOENT; "" = it was not the system. */
export function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException | undefined)?.code ?? "";
}

/** Why the system refused; `missing` is what "not there" means where it can mean one thing only. */
export function reasonOf(error: unknown, missing?: string): string {
  const code = codeOf(error);
  if (code === "ENOENT" && missing !== undefined) return missing;
  return REASONS[code] ?? (code === "" ? String(error) : code);
}
