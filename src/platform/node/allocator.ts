/**
 * What the C library does with memory that V8 frees.
 *
 * V8's optimising compiler takes and frees some megabytes for each function. glibc gives what is free at the end of a heap back to the kernel as soon as it is more than
 * 128 KiB, and half of the compiler's time went into getting it again. glibc raises that limit by itself to twice the size of the largest block that it had from
 * mmap and got back (mallopt(3), M_MMAP_THRESHOLD, "dynamic"), and an array buffer is such a block.
 */
import { collectGarbage } from "./garbage.js";

/** Twice this may stay with the process for each of the compiler's threads: as much as it takes for most functions. With 12 MiB the compiler is 15 % quicker still, and 50 MiB more stay. */
const BLOCK_BYTES = 8 << 20;

/** Has the C library keep some freed memory, for all threads. Takes some milliseconds; does nothing where there is no glibc. */
export function keepFreedMemory(): void {
  if (process.platform !== "linux") return;
  // Nobody touches the block: no page of it comes to be.
  takeBlock();
  collectGarbage();
}

function takeBlock(): void { new ArrayBuffer(BLOCK_BYTES); }
