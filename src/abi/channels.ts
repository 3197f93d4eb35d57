/**
 * The machine's part of the VM block: what the main thread, the vCPU threads and the device thread tell each other
 * without messages. Offsets are bytes from MACHINE_BLOCK_BASE.
 *
 *   0x0_0000  control words (doorbell, power), what the storm has done
 *   0x0_0080  counters of requests to vCPUs
 *   0x0_0100  one acknowledgement word a console
 *   0x0_1000  counters, VCPU_COUNTERS_SIZE apart
 *   0x1_0000  input rings of the consoles that the host writes to, INPUT_RING_SIZE apart
 */
import { VM_BLOCK_BASE } from "./layout.js";

export const MACHINE_BLOCK_BASE = VM_BLOCK_BASE + 0x7_0000;
export const MACHINE_BLOCK_SIZE = 0x8_0000;

/** Control words, i32 each, every access atomic. */
export const CONTROL = {
  /** Bumped and notified when the device thread has something to look at. Waited on by the device thread only. */
  deviceDoorbell: 0x00,
  /** Not 0: the device thread ends. */
  deviceStop: 0x04,
  /** vCPUs that neither wait for a start-up IPI nor halted with interrupts off. */
  onlineVcpus: 0x08,
  /** Not 0: the device thread is to write control/shutdown. */
  shutdownRequest: 0x0c,
} as const;

/** Counters of the requests that any thread made to vCPUs, all vCPUs together; every access atomic. */
export const REQUEST_COUNTERS = {
  /** u32, free running: requests made to several vCPUs at once, by any name. */
  made: 0x80,
  /** u32, free running: vCPUs that were waited for because they were in guest mode. */
  waits: 0x84,
  /** i64: nanoseconds that requesting threads spent waiting. */
  waitNs: 0x88,
} as const;

/**
 * What the memory thread tells of its storm of page moves; written by that thread only. Figures "of the run" count from the last
 * change of the rate.
 */
export const STORM = {
  /** i32: moves a second that are asked for; 0 = off, -1 = as many as there can be. */
  rate: 0x18,
  /** u32: what the choice of pages follows from. */
  seed: 0x1c,
  /** u64 each: moves since the start; moves, and nanoseconds, of the run; pages that were chosen and found pinned. */
  moves: 0x20,
  runMoves: 0x28,
  runNs: 0x30,
  pinned: 0x38,
} as const;
export const STORM_RATE_MAX = -1;

/** hvc0 (shell), hvc1 (agent), then stdout and stderr of each exec slot. */
export const CONSOLE_SHELL = 0;
export const CONSOLE_AGENT = 1;
export const EXEC_SLOT_COUNT = 3;
export const CONSOLE_COUNT = 2 + 2 * EXEC_SLOT_COUNT;
/** Console number of the standard output of exec slot `slot` (0..EXEC_SLOT_COUNT-1); its standard error is the next one. */
export function slotConsole(slot: number): number {
  return 2 + 2 * slot;
}

/**
 * Free-running u32 count of output bytes of console n that the main thread is done with. The device thread stops
 * taking bytes from the guest while more than OUTPUT_WINDOW are on their way. Large, because Linux spins with
 * interrupts off while a console ring is full: all of a guest with one vCPU stands still then.
 */
export const ACKNOWLEDGED_BASE = 0x100;
export const OUTPUT_WINDOW = 0x80_0000;

/** Counters of one vCPU's run loop, f64 each, written by that vCPU's thread only; readers may see an older value. */
export const VCPU_COUNTERS_BASE = 0x1000;
export const VCPU_COUNTERS_SIZE = 0x200;
export const VCPU_COUNTER_EXITS = 0;
/** Counters of VCPU_COUNTERS behind the exits by reason: nanoseconds halted, timers fired, refused MSRs, unclaimed ports, stray MMIO. */
export const VCPU_COUNTER = {
  haltedNs: 0x100,
  timersFired: 0x110,
  refusedMsrs: 0x118,
  unclaimedPorts: 0x120,
  unclaimedMmio: 0x128,
} as const;

/**
 * Byte ring from the main thread to the device thread: u32 produced (written by main), u32 consumed (written by the device
 * thread), both free running and atomic, then the data. One producer, one consumer.
 */
export const INPUT_RING_BASE = 0x1_0000;
export const INPUT_RING_SIZE = 0x1_0000;
export const INPUT_RING_COUNT = 2;
export const RING_PRODUCED = 0;
export const RING_CONSUMED = 4;
export const RING_DATA = 64;
/** Bytes a ring holds; a power of two. */
export const RING_CAPACITY = 0x8000;
