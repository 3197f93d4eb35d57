/** Edge and random operand values, written straight into a view. */
import type { Random } from "./random.js";

const EDGES_8 = [0, 1, 2, 7, 8, 9, 0x0f, 0x10, 0x1f, 0x20, 0x3f, 0x40, 0x41, 0x55, 0x7e, 0x7f, 0x80, 0x81, 0x99, 0x9a, 0xaa, 0xf0, 0xfe, 0xff];
const EDGES_16 = [0, 1, 0x7f, 0x80, 0xff, 0x100, 0x7ffe, 0x7fff, 0x8000, 0x8001, 0xff7f, 0xff80, 0xfffe, 0xffff, 0x5555, 0xaaaa];
const EDGES_32 = [
  0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x1_0000, 0x7fff_fffe, 0x7fff_ffff, 0x8000_0000, 0x8000_0001, 0xffff_7fff,
  0xffff_8000, 0xffff_ff7f, 0xffff_ff80, 0xffff_fffe, 0xffff_ffff, 0x5555_5555, 0xaaaa_aaaa, 0x0102_0408,
];
/** High halves that go with an edge as low half. */
const HIGH_HALVES = [0, 0xffff_ffff, 0x7fff_ffff, 0x8000_0000, 1, 0xffff_fffe];

const EDGES_F32 = [
  0x0000_0000, 0x8000_0000, 0x3f80_0000, 0xbf80_0000, 0x7f80_0000, 0xff80_0000, 0x7fc0_0000, 0xffc1_2345, 0x7f80_0001, 0xffa0_0001, 0x0000_0001,
  0x8000_0001, 0x007f_ffff, 0x0080_0000, 0x8080_0000, 0x0080_0001, 0x7f7f_ffff, 0xff7f_ffff, 0x4f00_0000, 0xcf00_0000, 0x4eff_ffff, 0xcf00_0001,
  0x5f00_0000, 0xdf00_0000, 0x5eff_ffff, 0x3f00_0000, 0xbf00_0000, 0x3fc0_0000, 0x4020_0000, 0xc020_0000, 0x4b00_0000, 0x4b80_0001, 0x4060_0000,
  0x3f7f_ffff, 0x3f80_0001, 0x3400_0000, 0x1f80_0000, 0x5f80_0000, 0x2000_0000,
];
const EDGES_F64: readonly (readonly [number, number])[] = [
  [0, 0], [0, 0x8000_0000], [0, 0x3ff0_0000], [0, 0xbff0_0000], [0, 0x7ff0_0000], [0, 0xfff0_0000], [0, 0x7ff8_0000], [0x1234_5678, 0xfff8_0001],
  [1, 0x7ff0_0000], [1, 0xfff4_0000], [1, 0], [1, 0x8000_0000], [0xffff_ffff, 0x000f_ffff], [0, 0x0010_0000], [0, 0x8010_0000], [0xffff_ffff, 0x7fef_ffff],
  [0xffff_ffff, 0xffef_ffff], [0, 0x41e0_0000], [0, 0xc1e0_0000], [0xffc0_0000, 0x41df_ffff], [0x0020_0000, 0xc1e0_0000], [0, 0x43e0_0000], [0, 0xc3e0_0000],
  [0xffff_ffff, 0x43df_ffff], [0, 0x3fe0_0000], [0, 0xbfe0_0000], [0, 0x3ff8_0000], [0, 0x4004_0000], [0, 0xc004_0000], [0, 0x4330_0000], [1, 0x4340_0000],
  [0xe000_0000, 0x47ef_ffff], [0xf000_0000, 0x47ef_ffff], [0, 0x3810_0000], [0, 0x380f_ffff], [0, 0x3690_0000], [0, 0x36a0_0000], [0x1000_0000, 0x3ff0_0000],
  [0x3000_0000, 0x3ff0_0000], [0xffff_ffff, 0x3fef_ffff], [1, 0x3ff0_0000],
];
/** Sign and exponent, high and low half of the significand. */
const EDGES_F80: readonly (readonly [number, number, number])[] = [
  [0, 0, 0], [0x8000, 0, 0], [0x3fff, 0x8000_0000, 0], [0xbfff, 0x8000_0000, 0], [0x7fff, 0x8000_0000, 0], [0xffff, 0x8000_0000, 0],
  [0x7fff, 0xc000_0000, 0], [0xffff, 0xc000_0000, 0], [0x7fff, 0xc123_4567, 0x89ab_cdef], [0x7fff, 0x8000_0000, 1], [0xffff, 0xa000_0000, 0],
  [0, 0, 1], [0x8000, 0, 1], [0, 0x7fff_ffff, 0xffff_ffff], [0, 0x8000_0000, 0], [1, 0x8000_0000, 0], [0x8001, 0x8000_0000, 0], [0x7ffe, 0xffff_ffff, 0xffff_ffff],
  [0xfffe, 0xffff_ffff, 0xffff_ffff], [0x4001, 0x4000_0000, 0], [0x7fff, 0, 0], [0x7fff, 0x4000_0000, 1], [0x3ffe, 0x8000_0000, 0], [0xbffe, 0x8000_0000, 0],
  [0x3fff, 0xc000_0000, 0], [0x4000, 0xa000_0000, 0], [0xc000, 0xa000_0000, 0], [0x3ffe, 0xffff_ffff, 0xffff_ffff], [0x3fff, 0x8000_0000, 1],
  [0x400d, 0xfffe_0000, 0], [0x400e, 0x8000_0000, 0], [0xc00e, 0x8000_0000, 0], [0x401d, 0xffff_fffe, 0], [0x401e, 0x8000_0000, 0], [0xc01e, 0x8000_0000, 0],
  [0x403d, 0xffff_ffff, 0xffff_fffe], [0x403e, 0x8000_0000, 0], [0xc03e, 0x8000_0000, 0], [0x403e, 0xffff_ffff, 0xffff_ffff], [0x4000, 0xc90f_daa2, 0x2168_c235],
  [0x3fff, 0xc90f_daa2, 0x2168_c235], [0x3ffe, 0xc90f_daa2, 0x2168_c235], [0x43fe, 0xffff_ffff, 0xffff_f800], [0x43fe, 0xffff_ffff, 0xffff_fc00], [0x407e, 0xffff_ff00, 0],
  [0x407e, 0xffff_ff80, 0], [0x3c01, 0x8000_0000, 0], [0x3c00, 0xffff_ffff, 0xffff_f800], [0x3bcd, 0x8000_0000, 0], [0x3f81, 0x8000_0000, 0], [0x3f6a, 0x8000_0000, 0],
  [0x4000, 0x8000_0000, 0], [0x4008, 0x8000_0000, 0], [0xc00c, 0x9000_0000, 0], [0x403a, 0xde0b_6b3a, 0x763f_ffff], [0x403a, 0xde0b_6b3a, 0x7640_0000],
];

function integerLow(random: Random): number {
  switch (random.below(6)) {
    case 0: return random.pick(EDGES_32);
    case 1: return (random.next() & 0xffff_ff00) | random.pick(EDGES_8);
    case 2: return (random.next() & 0xffff_0000) | random.pick(EDGES_16);
    case 3: return random.below(70);
    case 4: return random.next() >>> random.below(32);
    default: return random.next();
  }
}

/** A 64-bit integer at `offset`. */
export function writeInteger(random: Random, view: DataView, offset: number): void {
  const kind = random.below(8);
  const low = kind === 0 ? -random.below(70) : integerLow(random);
  let high = random.next();
  if (kind === 0 || kind === 1) high = low >> 31;
  else if (kind === 2) high = 0;
  else if (kind === 3) high = random.pick(HIGH_HALVES);
  view.setUint32(offset, low, true);
  view.setUint32(offset + 4, high, true);
}

/** 64 bits of packed small integers with many saturating and equal lanes. */
export function writeLanes(random: Random, view: DataView, offset: number): void {
  switch (random.below(4)) {
    case 0:
      for (let i = 0; i < 8; i++) view.setUint8(offset + i, random.oneIn(2) ? random.pick(EDGES_8) : random.next());
      break;
    case 1:
      for (let i = 0; i < 8; i += 2) view.setUint16(offset + i, random.oneIn(2) ? random.pick(EDGES_16) : random.next(), true);
      break;
    case 2:
      for (let i = 0; i < 8; i += 4) view.setUint32(offset + i, random.oneIn(2) ? random.pick(EDGES_32) : random.next(), true);
      break;
    default:
      writeInteger(random, view, offset);
  }
}

/** Eight bytes of text in a small alphabet, of bytes or of words, with an end now and then. */
export function writeText(random: Random, view: DataView, offset: number): void {
  const words = random.oneIn(2);
  const first = random.pick([0x20, 0x61, 0x7e, 0xfe]);
  for (let i = 0; i < 8; i++) {
    const ends = random.oneIn(20);
    view.setUint8(offset + i, words && (i & 1) === 1 ? (random.oneIn(8) ? random.next() : 0) : ends ? 0 : first + random.below(5));
  }
}

/** A single-precision number: an edge, one near 1, one of any exponent, or an integer. */
export function writeF32(random: Random, view: DataView, offset: number): void {
  switch (random.below(5)) {
    case 0: view.setUint32(offset, random.pick(EDGES_F32), true); break;
    case 1: view.setUint32(offset, random.next(), true); break;
    case 2: view.setFloat32(offset, (random.below(4096) - 2048) / (1 << random.below(4)), true); break;
    default: view.setUint32(offset, ((random.next() & 0x807f_ffff) | ((0x70 + random.below(0x20)) << 23)) >>> 0, true);
  }
}

/** A double-precision number, as writeF32; some that round at the border of single precision. */
export function writeF64(random: Random, view: DataView, offset: number): void {
  switch (random.below(6)) {
    case 0: {
      const [low, high] = random.pick(EDGES_F64);
      view.setUint32(offset, low, true);
      view.setUint32(offset + 4, high, true);
      break;
    }
    case 1:
      view.setUint32(offset, random.next(), true);
      view.setUint32(offset + 4, random.next(), true);
      break;
    case 2: view.setFloat64(offset, (random.below(4096) - 2048) / (1 << random.below(4)), true); break;
    case 3:
      view.setUint32(offset, random.next() & 0xf000_0000, true);
      view.setUint32(offset + 4, ((random.next() & 0x800f_ffff) | ((0x360 + random.below(0x130)) << 20)) >>> 0, true);
      break;
    default:
      view.setUint32(offset, random.next(), true);
      view.setUint32(offset + 4, ((random.next() & 0x800f_ffff) | ((0x3f0 + random.below(0x20)) << 20)) >>> 0, true);
  }
}

/** An 80-bit number, 10 bytes: any class, the unsupported ones included. */
export function writeF80(random: Random, view: DataView, offset: number): void {
  let exponent = (0x3fff + random.below(0x41) - 0x20) | (random.next() & 0x8000);
  let high = (random.next() | 0x8000_0000) >>> 0;
  let low = random.next();
  switch (random.below(8)) {
    case 0: case 1: [exponent, high, low] = random.pick(EDGES_F80); break;
    case 2: exponent = random.next() & 0xffff; break;
    case 3: low = 0; high = (high & 0xffff_0000) >>> 0; break;
    case 4: low = 0; high = (high & (random.oneIn(2) ? 0xe000_0000 : 0xffff_ff00)) >>> 0; exponent = (0x3fff + random.below(12)) | (exponent & 0x8000); break;
    case 5: exponent = (0x3fff + random.pick([-1100, -1023, -1022, -150, -127, -126, -66, 62, 63, 64, 127, 128, 1023, 1024])) | (exponent & 0x8000); break;
    default: break;
  }
  view.setUint32(offset, low, true);
  view.setUint32(offset + 4, high, true);
  view.setUint16(offset + 8, exponent, true);
}

/** A packed decimal number, 10 bytes, now and then with digits above 9. */
export function writeDecimal(random: Random, view: DataView, offset: number): void {
  const bad = random.oneIn(8);
  const digits = random.below(19);
  for (let i = 0; i < 9; i++) {
    const low = i * 2 < digits ? random.below(bad ? 16 : 10) : 0;
    const high = i * 2 + 1 < digits ? random.below(10) : 0;
    view.setUint8(offset + i, (high << 4) | low);
  }
  view.setUint8(offset + 9, random.oneIn(2) ? 0x80 : 0);
}
