/** What is typed at the console, as Linux has to get it. */
import type { PersonalityName } from "../exit/index.js";

const CONTROL_O = 0x0f;

/** `bytes` for the console of a guest. A serial port takes every character as it is. */
export function consoleInput(bytes: Uint8Array, { personality }: { readonly personality?: PersonalityName }): Uint8Array {
  return personality === "kvm" ? bytes : escapeSystemRequests(bytes);
}

/**
 * Doubles every Ctrl-O: on its console Linux takes one, with the key behind it, as a system request ("Ctrl-O b" restarts), and
 * two as the character itself (drivers/tty/hvc/hvc_console.c).
 */
export function escapeSystemRequests(bytes: Uint8Array): Uint8Array {
  if (!bytes.includes(CONTROL_O)) return bytes;
  const escaped: number[] = [];
  for (const byte of bytes) {
    if (byte === CONTROL_O) escaped.push(CONTROL_O);
    escaped.push(byte);
  }
  return Uint8Array.from(escaped);
}
