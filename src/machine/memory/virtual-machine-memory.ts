/** `vm.memory`: the public face of the operations on a running guest's memory. */
import { GUEST_PHYSICAL_BITS, MEMORY_BLOCK_SIZE } from "../../abi/layout.js";
import type { MemoryMap, MergeOutcome, MoveOutcome, OfflineOutcome, OnlineOutcome, SlotMap, SwapOutcome } from "../../host-memory/index.js";
import { InvalidOptionError } from "../errors.js";
import { checkStormRate } from "./check-storm-rate.js";
import type { MemoryClient } from "./memory-client.js";
import type { StormStats } from "./storm-block.raw.js";
import type { StormRate } from "./storm-pace.js";

/** Guest frame numbers are below this: guest-physical addresses have 40 bits. */
export const GFN_LIMIT = 2 ** (GUEST_PHYSICAL_BITS - 12);
/** Block numbers are below this: the host memory of a VM has 32-bit addresses. */
export const BLOCK_LIMIT = 2 ** 32 / MEMORY_BLOCK_SIZE;

/**
 * Sees and steers the guest's memory while the guest runs. Every method rejects with InvalidOptionError for an argument that cannot
 * be used, and with the error of the guest's end. An operation that is refused is no error: its outcome says why.
 */
export class VirtualMachineMemory {
  readonly #client: MemoryClient;

  /** For VirtualMachine. */
  constructor(client: MemoryClient) {
    this.#client = client;
  }

  /** A picture of blocks, memslots and swap. */
  async show(): Promise<MemoryMap> {
    return await this.#client.run({ name: "show" });
  }

  /** The memslots, with what their pages are. */
  async slots(): Promise<readonly SlotMap[]> {
    return await this.#client.run({ name: "slots" });
  }

  /** Gives the page `gfn` (its guest-physical address / 4096), or all pages, another frame. */
  async move(gfn: number | "all"): Promise<MoveOutcome> {
    if (gfn !== "all") checkWhole("gfn", gfn, GFN_LIMIT);
    return await this.#client.run({ name: "move", gfn });
  }

  /** Swaps out `percent` (0 to 100) of the pages that have a frame of their own, spread over the memory. */
  async swap(percent: number): Promise<SwapOutcome> {
    if (!(percent >= 0 && percent <= 100)) throw new InvalidOptionError(`percent must be a number from 0 to 100, got ${percent}`);
    return await this.#client.run({ name: "swap", percent });
  }

  /** Lets pages of equal contents share a frame until one of them is written. */
  async merge(): Promise<MergeOutcome> {
    return await this.#client.run({ name: "merge" });
  }

  /** Moves everything out of memory block `block`, so that the host could take it away. */
  async offline(block: number): Promise<OfflineOutcome> {
    checkWhole("block", block, BLOCK_LIMIT);
    return await this.#client.run({ name: "offline", block });
  }

  /** Takes block `block` into use again. */
  async online(block: number): Promise<OnlineOutcome> {
    checkWhole("block", block, BLOCK_LIMIT);
    return await this.#client.run({ name: "online", block });
  }

  /** Sets the storm: that many random pages are moved a second, or as many as there can be; 0 ends it. */
  async storm(rate: StormRate): Promise<StormStats> {
    checkStormRate("rate", rate);
    return await this.#client.run({ name: "storm", rate });
  }
}

function checkWhole(name: string, value: number, limit: number): void {
  if (Number.isInteger(value) && value >= 0 && value < limit) return;
  throw new InvalidOptionError(`${name} must be a whole number from 0 to ${limit - 1}, got ${value}`);
}
