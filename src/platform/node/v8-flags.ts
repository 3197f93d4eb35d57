/** Flags of V8 that are set for a moment: they are the whole process's, and under others than at its start V8 drops the code it has kept of Node.js's own modules. */
import { setFlagsFromString } from "node:v8";

/** Calls `use` while the flag `name`, which is off otherwise, is on. */
export function withFlag<T>(name: string, use: () => T): T {
  setFlagsFromString(`--${name}`);
  try {
    return use();
  } finally {
    setFlagsFromString(`--no-${name}`);
  }
}
