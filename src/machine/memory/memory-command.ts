/** What can be asked of the memory thread, and what it says. */
import type { MemoryMap, MergeOutcome, MoveOutcome, OfflineOutcome, OnlineOutcome, SlotMap, SwapOutcome } from "../../host-memory/index.js";
import type { StormStats } from "./storm-block.raw.js";
import type { StormRate } from "./storm-pace.js";

/** Result of each command, by its name. */
export interface MemoryResults {
  readonly show: MemoryMap;
  readonly slots: readonly SlotMap[];
  readonly move: MoveOutcome;
  readonly swap: SwapOutcome;
  readonly merge: MergeOutcome;
  readonly offline: OfflineOutcome;
  readonly online: OnlineOutcome;
  readonly storm: StormStats;
}

/** Name of a command. */
export type MemoryCommandName = keyof MemoryResults;

/** A command and its argument. Numbers have been checked: whole, and 0 or more; percent 0 to 100. */
export type MemoryCommand =
  | { readonly name: "show" | "slots" | "merge" }
  | { readonly name: "move"; readonly gfn: number | "all" }
  | { readonly name: "swap"; readonly percent: number }
  | { readonly name: "offline" | "online"; readonly block: number }
  | { readonly name: "storm"; readonly rate: StormRate };

/** To the memory thread. */
export interface MemoryRequest {
  /** Pairs the answer with it. */
  readonly id: number;
  readonly command: MemoryCommand;
}

/** From the memory thread. */
export type MemoryMessage =
  /** Sent once: the storm runs, so the guest may begin. */
  | { readonly type: "ready" }
  | { readonly type: "done"; readonly id: number; readonly result: MemoryResults[MemoryCommandName] }
  /** Why the guest waits for memory; undefined = it goes on. */
  | { readonly type: "stall"; readonly reason: string | undefined };
