/** Seeing and steering a running guest's memory: the memory thread and how the main thread asks it. */
export { checkStormRate, STORM_RATE_LIMIT } from "./check-storm-rate.js";
export type { MemoryCommand, MemoryCommandName, MemoryMessage, MemoryRequest, MemoryResults } from "./memory-command.js";
export { MemoryClient } from "./memory-client.js";
export type { MemoryOperations } from "./memory-operations.js";
export { MemoryThread } from "./memory-thread.js";
export { StormBlock, type StormStats } from "./storm-block.raw.js";
export type { StormRate } from "./storm-pace.js";
export { BLOCK_LIMIT, GFN_LIMIT, VirtualMachineMemory } from "./virtual-machine-memory.js";
