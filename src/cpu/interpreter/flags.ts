/**
 * The arithmetic flags, kept lazily and without a kind, so that each is read without a branch.
 *
 *   result  the last result, sign extended from its operand size to 64 bits
 *   aux     bit 63 = carry out of the top bit (CF); bit 62 = carry into the top bit, so OF = bit 63 ^ bit 62; bit 3 = carry out of bit 3 (AF)
 *   extra   normally 0; the exception to the rule after POPF and the like: bit 63 inverts SF, bits 7..0 invert what
 *           parity is taken of. Every arithmetic instruction stores 0 here.
 *
 *   CF = aux < 0     ZF = result == 0     SF = (result ^ extra) < 0     OF = (aux ^ (aux << 1)) < 0     PF = even parity of low byte of result ^ extra
 */
import * as L from "./generated/layout";
import { cpu } from "./state";

export const FLAG_CF: u64 = 0x001;
export const FLAG_PF: u64 = 0x004;
export const FLAG_AF: u64 = 0x010;
export const FLAG_ZF: u64 = 0x040;
export const FLAG_SF: u64 = 0x080;
export const FLAG_TF: u64 = 0x100;
export const FLAG_IF: u64 = 0x200;
export const FLAG_DF: u64 = 0x400;
export const FLAG_OF: u64 = 0x800;
export const FLAG_IOPL: u64 = 0x3000;
export const FLAG_NT: u64 = 0x4000;
export const FLAG_RF: u64 = 0x1_0000;
export const FLAG_VM: u64 = 0x2_0000;
export const FLAG_AC: u64 = 0x4_0000;
export const FLAG_VIF: u64 = 0x8_0000;
export const FLAG_VIP: u64 = 0x10_0000;
export const FLAG_ID: u64 = 0x20_0000;
export const FLAGS_ARITHMETIC: u64 = 0x8d5;

// @ts-ignore: decorator
@inline export function carryFlag(c: u32): u64 { return load<u64>(c + L.VCPU_flagAux) >> 63; }
// @ts-ignore: decorator
@inline export function zeroFlag(c: u32): bool { return load<u64>(c + L.VCPU_flagResult) == 0; }
// @ts-ignore: decorator
@inline export function signFlag(c: u32): bool { return i64(load<u64>(c + L.VCPU_flagResult) ^ load<u64>(c + L.VCPU_flagExtra)) < 0; }
// @ts-ignore: decorator
@inline export function overflowFlag(c: u32): bool { const a = load<u64>(c + L.VCPU_flagAux); return i64(a ^ (a << 1)) < 0; }
// @ts-ignore: decorator
@inline export function parityFlag(c: u32): bool {
  return (popcnt<u32>(u32(load<u8>(c + L.VCPU_flagResult) ^ load<u8>(c + L.VCPU_flagExtra))) & 1) == 0;
}
/** SF != OF */
// @ts-ignore: decorator
@inline export function lessFlag(c: u32): bool {
  const a = load<u64>(c + L.VCPU_flagAux);
  return i64(load<u64>(c + L.VCPU_flagResult) ^ load<u64>(c + L.VCPU_flagExtra) ^ a ^ (a << 1)) < 0;
}

/** Condition code 0..15 of Jcc, SETcc and CMOVcc (Intel SDM vol 1 appendix B). */
export function conditionHolds(code: u32): bool {
  const c = cpu;
  let truth: bool = false;
  switch (code >> 1) {
    case 0: truth = overflowFlag(c); break;
    case 1: truth = carryFlag(c) != 0; break;
    case 2: truth = zeroFlag(c); break;
    case 3: truth = carryFlag(c) != 0 || zeroFlag(c); break;
    case 4: truth = signFlag(c); break;
    case 5: truth = parityFlag(c); break;
    case 6: truth = lessFlag(c); break;
    default: truth = lessFlag(c) || zeroFlag(c); break;
  }
  return truth != ((code & 1) != 0);
}

/** The six arithmetic flags in their RFLAGS places. */
export function arithmeticFlags(): u64 {
  const c = cpu;
  let value: u64 = carryFlag(c);
  if (parityFlag(c)) value |= FLAG_PF;
  value |= (load<u64>(c + L.VCPU_flagAux) & 8) << 1;
  if (zeroFlag(c)) value |= FLAG_ZF;
  if (signFlag(c)) value |= FLAG_SF;
  if (overflowFlag(c)) value |= FLAG_OF;
  return value;
}

/** Sets the six arithmetic flags from their RFLAGS places; other bits of `value` are ignored. */
export function setArithmeticFlags(value: u64): void {
  const c = cpu;
  const carry = value & FLAG_CF;
  const overflow = (value >> 11) & 1;
  store<u64>(c + L.VCPU_flagAux, (carry << 63) | ((carry ^ overflow) << 62) | ((value & FLAG_AF) >> 1));
  // Without ZF the result is 1 (odd parity); extra then corrects parity and sign.
  const result: u64 = (value & FLAG_ZF) != 0 ? 0 : 1;
  let extra: u64 = (value & FLAG_SF) << 56;
  const evenParity = (value & FLAG_PF) != 0;
  if (evenParity != (result == 0)) extra |= 1;
  store<u64>(c + L.VCPU_flagResult, result);
  store<u64>(c + L.VCPU_flagExtra, extra);
}

/** The whole RFLAGS. */
export function readRflags(): u64 { return load<u64>(cpu + L.VCPU_rflags) | arithmeticFlags(); }

/** Replaces the whole RFLAGS, reserved bits fixed up. Checks nothing: privilege rules are the caller's. */
export function writeRflags(value: u64): void {
  setArithmeticFlags(value);
  store<u64>(cpu + L.VCPU_rflags, (value & 0x3f_7700) | 2);
}

/** Sets only CF, keeping the other five flags. */
export function setCarryFlag(carry: u64): void {
  const c = cpu;
  const aux = load<u64>(c + L.VCPU_flagAux);
  const overflow = (aux ^ (aux << 1)) >> 63;
  store<u64>(c + L.VCPU_flagAux, (carry << 63) | ((carry ^ overflow) << 62) | (aux & 8));
}
