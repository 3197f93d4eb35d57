/** Zstandard (RFC 8878): one frame with the whole kernel in it, window up to 128 MiB. */

import { decompress } from "fzstd";

/** Unpacks one zstd frame into `output`. Throws an Error when it is damaged or does not give output.length bytes. */
export function decompressZstd(frame: Uint8Array, output: Uint8Array): void {
  const unpacked = decompress(frame, output);
  if (unpacked.length !== output.length) {
    throw new Error(`zstd frame gives ${unpacked.length} bytes, ${output.length} expected`);
  }
}
