/** The swap file of a VM. */
import { SwapFile, SwapFileError } from "../platform/node/index.js";
import { MEMORY_BYTES_DEFAULT, type VirtualMachineOptions } from "./options.js";

const SLOT_BYTES = 4096;

/**
 * Opens the file that `options` ask for. A VM that has neither a limit nor a file named does without when there is no place for a
 * temporary one. Throws SwapFileError.
 */
export function openSwap(options: VirtualMachineOptions): SwapFile | undefined {
  const { swapFile, swapBytes, memoryLimitBytes, memoryBytes = MEMORY_BYTES_DEFAULT } = options;
  try {
    return SwapFile.open(swapFile, Math.floor((swapBytes ?? memoryBytes) / SLOT_BYTES));
  } catch (error) {
    const isNeeded = swapFile !== undefined || swapBytes !== undefined || memoryLimitBytes !== undefined;
    if (isNeeded || !(error instanceof SwapFileError)) throw error;
    return undefined;
  }
}
