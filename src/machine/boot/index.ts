/** Boot: from a kernel file to pieces of guest memory and the state of the boot vCPU. */

export { buildBoot, type BootImage, type BootPiece, type BootRequest, type GuestRange } from "./boot-image.js";
export { isBzImage, loadKernel, type KernelImage } from "./bzimage.js";
export { keepKernel, kernelInMemory, type KeptKernel, openKeptKernel } from "./kernel-cache.js";
export { forEachPart, type PieceBytes, type StoredBytes } from "./piece-bytes.js";
export { defaultCommandLine, type GuestMode } from "./command-line.js";
export type { KernelSegment } from "./elf.js";
export { MEMORY_TYPE_ACPI, MEMORY_TYPE_RAM, MEMORY_TYPE_RESERVED, type MemoryMapEntry } from "./start-info.js";
