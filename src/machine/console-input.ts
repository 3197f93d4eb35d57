/** What is typed at hvc0, as Linux has to get it. */

const CONTROL_O = 0x0f;

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
