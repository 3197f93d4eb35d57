/**
 * The x86 branch filter (BCJ) of XZ, decoding side. Before compression the encoder replaced the relative target of each CALL
 * (E8) and JMP (E9) by an absolute one, so that calls of one function look alike; this turns them back. Follows the
 * description and the reference behaviour of the .xz file format (filter ID 4).
 */

/** Bytes of an E8/E9 instruction: opcode and 32-bit operand. */
const INSTRUCTION_LENGTH = 5;

/** By the mask of recent E8/E9 bytes: may this one be an instruction (its operand holds no earlier opcode)? */
const MASK_ALLOWS = [true, true, true, false, true, false, false, false] as const;
/** By the same mask: which operand byte must then be looked at. */
const MASK_TO_BIT = [0, 1, 2, 2, 3, 3, 3, 3] as const;

function isSignByte(byte: number): boolean {
  return byte === 0x00 || byte === 0xff;
}

/** Decodes `bytes` in place; bytes[0] is the first byte of the filtered stream. */
export function decodeX86Branches(bytes: Uint8Array): void {
  const end = bytes.length - INSTRUCTION_LENGTH;
  // Bit n set: the byte n + 1 places before the next one looked like an opcode and was left alone.
  let mask = 0;
  let previous = -1;
  for (let i = 0; i <= end; i++) {
    const opcode = bytes[i]!;
    if ((opcode & 0xfe) !== 0xe8) continue;
    const gap = i - previous;
    previous = i;
    if (gap > 3) {
      mask = 0;
    } else {
      mask = (mask << (gap - 1)) & 7;
      if (mask !== 0) {
        const suspect = bytes[i + 4 - MASK_TO_BIT[mask]!]!;
        if (!MASK_ALLOWS[mask] || isSignByte(suspect)) {
          mask = ((mask << 1) & 7) | 1;
          continue;
        }
      }
    }
    if (!isSignByte(bytes[i + 4]!)) {
      mask = ((mask << 1) & 7) | 1;
      continue;
    }
    decodeOperand(bytes, i, mask);
    i += INSTRUCTION_LENGTH - 1;
    mask = 0;
  }
}

/** Rewrites the operand of the instruction at `i` from absolute to relative. */
function decodeOperand(bytes: Uint8Array, i: number, mask: number): void {
  const after = i + INSTRUCTION_LENGTH;
  let source = bytes[i + 1]! | (bytes[i + 2]! << 8) | (bytes[i + 3]! << 16) | (bytes[i + 4]! << 24);
  let target: number;
  for (;;) {
    target = (source - after) | 0;
    if (mask === 0) break;
    const shift = MASK_TO_BIT[mask]! * 8;
    if (!isSignByte((target >>> (24 - shift)) & 0xff)) break;
    source = target ^ (((1 << (32 - shift)) - 1) | 0);
  }
  target &= 0x01ff_ffff;
  if (target & 0x0100_0000) target |= 0xff00_0000;
  bytes[i + 1] = target;
  bytes[i + 2] = target >>> 8;
  bytes[i + 3] = target >>> 16;
  bytes[i + 4] = target >>> 24;
}
