/**
 * What the threads of a VM with KVM's personality share: registrations of guest memory, the I/O APIC, the serial ports. It lies in
 * the Xen block, whose other parts such a VM leaves alone but for the local APICs. Offsets are bytes from KVM_BLOCK_BASE; all
 * of it is zero at first.
 *
 *   0x0000  domain header, hypercall counters
 *   0x0100  vCPUs, KVM_VCPU_STRIDE apart
 *   0x0500  I/O APIC
 *   0x0600  serial ports, UART_STRIDE apart
 *   0x0a00  their receive FIFOs, UART_INPUT_SIZE apart
 *   0x1000  their output rings, UART_OUTPUT_SIZE apart
 */
import { XEN_BLOCK_BASE } from "./xen-block.js";

export const KVM_BLOCK_BASE = XEN_BLOCK_BASE + 0x1_7000;
export const KVM_BLOCK_SIZE = 0x9000;

/** Domain header. */
export const KVM_DOMAIN = {
  /** u64, u32: UTC at VM start. Written before start. */
  wallSeconds: 0x00,
  wallNanoseconds: 0x08,
  /** u32: register of the PC's clock that was selected last. Atomic. */
  rtcRegister: 0x0c,
  /** KVM_HYPERCALL_COUNTS * u32: calls by number, the last for every other one. Atomic. */
  counts: 0x40,
} as const;
export const KVM_HYPERCALL_COUNTS = 32;

/** One vCPU; written by its own thread. */
export const KVM_VCPU_BASE = 0x100;
export const KVM_VCPU_STRIDE = 0x80;
export const KVM_VCPU = {
  /** u64: the registers as the guest wrote them. */
  systemTime: 0x00,
  stealTime: 0x08,
  pvEoi: 0x10,
  wallClock: 0x18,
  /** u32: 1 = systemTime was written by the clock's old number. */
  systemTimeIsOld: 0x20,
  /** u32: RUNSTATE_*. Read by any thread. */
  runstate: 0x24,
  /** u32: 1 = the guest was told that it may end its interrupt in memory. */
  eoiPending: 0x28,
  /** u64: the host's run delay that was last added to the guest's steal time, ns. */
  runDelaySeen: 0x30,
} as const;

/** The I/O APIC; u32 unless said otherwise. */
export const IO_APIC_BLOCK = 0x500;
export const IO_APIC = {
  /** Lock word of all that follows. Taken inside a serial port's lock. */
  lock: 0x00,
  select: 0x04,
  id: 0x08,
  /** Bit n: input n is high. */
  lines: 0x0c,
  /** IO_APIC_INPUTS * 2 words: the redirection table, low word first. */
  redirection: 0x40,
} as const;
export const IO_APIC_INPUTS = 24;

/** One serial port; u32 each. */
export const UART_COUNT = 8;
export const UART_BASE = 0x600;
export const UART_STRIDE = 0x80;
export const UART = {
  /** Lock word of all that follows. */
  lock: 0x00,
  interruptEnable: 0x04,
  lineControl: 0x08,
  modemControl: 0x0c,
  fifoControl: 0x10,
  scratch: 0x14,
  divisor: 0x18,
  /** 1 = the transmitter became empty and nobody has read that from IIR. */
  transmitterPending: 0x1c,
  /** 1 = the guest was given bytes and has not seen the receiver empty since. */
  receiverBusy: 0x20,
  /** 1 = the device thread has bytes that the receiver did not take. */
  inputWaiting: 0x24,
  /** 1 = the device thread was told of what is in the output ring. */
  outputTold: 0x2c,
  /** 1 = the interrupt line is high. */
  line: 0x28,
  /** Free running: bytes put into and taken out of the receive FIFO and the output ring. */
  inputPut: 0x30,
  inputTaken: 0x34,
  outputPut: 0x38,
  outputTaken: 0x3c,
  /** Bit n: vCPU n waits with a byte for which the output ring has no room. */
  sendersWaiting: 0x40,
} as const;
/** Bytes a port; powers of two. */
export const UART_INPUT_BASE = 0xa00;
export const UART_INPUT_SIZE = 0x80;
export const UART_OUTPUT_BASE = 0x1000;
export const UART_OUTPUT_SIZE = 0x1000;
