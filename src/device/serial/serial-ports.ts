/** Where the serial ports of a PC are, and ours beyond the usual four; number n is ttyS<n> in the guest. */

/** One port's place. */
export interface SerialPort {
  /** First of eight I/O ports. */
  readonly port: number;
  /** Input of the I/O APIC. */
  readonly input: number;
}

/** The first four are where every kernel looks; the addresses of the others were those of the AST FourPort card. */
export const SERIAL_PORTS: readonly SerialPort[] = [
  { port: 0x3f8, input: 4 }, { port: 0x2f8, input: 3 }, { port: 0x3e8, input: 5 }, { port: 0x2e8, input: 6 },
  { port: 0x1a0, input: 7 }, { port: 0x1a8, input: 9 }, { port: 0x1b0, input: 10 }, { port: 0x1b8, input: 11 },
];
export const SERIAL_PORT_REGISTERS = 8;
