/** The reproducible random numbers of the differential tests (xoshiro128**, 32 bits a step). */
export class Random {
  private a = 0;
  private b = 0;
  private c = 0;
  private d = 0;

  constructor(seed: number) {
    this.reseed(seed);
  }

  /** Starts the sequence that belongs to `seed` (u32) again. */
  reseed(seed: number): void {
    let z = seed | 0;
    const step = (): number => {
      z = (z + 0x9e3779b9) | 0;
      let v = z;
      v = Math.imul(v ^ (v >>> 16), 0x85ebca6b);
      v = Math.imul(v ^ (v >>> 13), 0xc2b2ae35);
      return v ^ (v >>> 16);
    };
    this.a = step();
    this.b = step();
    this.c = step();
    this.d = step() | 1;
  }

  /** A u32. */
  next(): number {
    const scrambled = Math.imul(this.b, 5);
    const result = Math.imul((scrambled << 7) | (scrambled >>> 25), 9);
    const t = this.b << 9;
    this.c ^= this.a;
    this.d ^= this.b;
    this.b ^= this.c;
    this.a ^= this.d;
    this.c ^= t;
    this.d = (this.d << 11) | (this.d >>> 21);
    return result >>> 0;
  }

  /** An integer in 0..bound-1. */
  below(bound: number): number {
    return this.next() % bound;
  }

  /** True once in `n` times. */
  oneIn(n: number): boolean {
    return this.next() % n === 0;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.next() % values.length] as T;
  }

  /** A u64. */
  u64(): bigint {
    return (BigInt(this.next()) << 32n) | BigInt(this.next());
  }
}

/** FNV-1a of a text: the seed of what belongs to that text. */
export function hashText(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h >>> 0;
}
