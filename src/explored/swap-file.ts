/** The swap file of scenarios: a few pages, each as many words as frames have here. */
import type { HostMemory } from "../host-memory/index.js";
import type { SwapStore } from "../host-memory/swap-map.js";
import { $now } from "./instrument/runtime.js";
import type { Access } from "./instrument/runtime.js";
import type { Setting } from "./setting.js";
import { putWord, wordAt } from "./views.js";

/** The word of the file's first slot; slots are as far apart as frames. */
export const SWAP_FILE = 2 ** 22;
const SLOT_COUNT = 2;

/** Gives a thread's handle the swap file. */
export function withSwapFile({ world }: Setting): (host: HostMemory) => void {
  const cellOf = (slot: number, offset: number): number => world.map.cellOf(SWAP_FILE + slot * 1024 + offset / 4);
  const store = {
    slotCount: SLOT_COUNT,
    *write(slot: number, bytes: Uint8Array): Access<void> {
      for (const offset of world.contents) yield { kind: "plain-store", cell: cellOf(slot, offset), value: wordAt(bytes, offset) };
    },
    *read(slot: number, target: Uint8Array): Access<void> {
      for (const offset of world.contents) putWord(target, offset, yield { kind: "plain-load", cell: cellOf(slot, offset) });
    },
  };
  return (host) => void $now(host.setSwapStore(store as unknown as SwapStore));
}
