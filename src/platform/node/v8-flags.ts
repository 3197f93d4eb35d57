/** Flags of V8 that are set for a moment: they are the whole process's, and under others than at its start V8 drops the code it has kept of Node.js's own modules. */
import { setFlagsFromString } from "node:v8";

/** Calls `use` while `flags` are set, each of which is not V8's default: names as on Node.js's command line, without the dashes ("no-" included). */
export function withFlags<T>(flags: readonly string[], use: () => T): T {
  for (const flag of flags) setFlagsFromString(`--${flag}`);
  try {
    return use();
  } finally {
    for (const flag of flags) setFlagsFromString(flag.startsWith("no-") ? `--${flag.slice(3)}` : `--no-${flag}`);
  }
}
