/** Programs as assembler listings: bytes on the left, two blanks, the source on the right. */
export interface Listing {
  /** Linear address of the first byte. */
  readonly origin: number;
  readonly bytes: readonly number[];
  /** Addresses of the lines that the source labels ("name: mov …"). */
  readonly labels: Readonly<Record<string, number>>;
}

/** Reads a listing that begins at `origin`. Lines without bytes are commentary. */
export function listing(origin: number, text: string): Listing {
  const bytes: number[] = [];
  const labels: Record<string, number> = {};
  for (const line of text.split("\n")) {
    const match = /^\s*((?:[0-9a-f]{2} )*[0-9a-f]{2})(?:\s\s+(.*))?$/.exec(line);
    if (match === null) {
      if (/^\s*[0-9a-f]{2} /.test(line)) throw new Error(`expected bytes and a comment, got ${line}`);
      continue;
    }
    const label = /^(\w+):/.exec(match[2] ?? "");
    if (label !== null) labels[label[1]!] = origin + bytes.length;
    bytes.push(...match[1]!.split(" ").map((byte) => Number.parseInt(byte, 16)));
  }
  return { origin, bytes, labels };
}

/** The four bytes of `value`, as a listing has them. */
export function doublewordBytes(value: number): string {
  return [0, 8, 16, 24].map((shift) => ((value >>> shift) & 0xff).toString(16).padStart(2, "0")).join(" ");
}
