/** A process that writes to a cache as fast as it can: node file-cache.worker.js FOLDER SEED. */
import { FileCache } from "./file-cache.js";

const [folder = "", seed = "1"] = process.argv.slice(2);
const cache = new FileCache(folder);
const bytes = Uint8Array.from({ length: 200_000 }, (_, index) => (index * 31 + Number(seed) * 7 + (index >>> 8)) & 255);
for (let round = 0; round < 100; round++) {
  // Windows refuses to rename over a file that somebody reads.
  for (const key of ["a", "b", "c"]) if (!cache.put(key, bytes) && process.platform !== "win32") process.exitCode = 1;
}
