/** A domain on a real host memory for tests: 4 MiB of RAM, a linear address space that maps 1:1 with holes on demand. */
import { gfnOf, gpaOf } from "../../abi/address.js";
import type { Gpa } from "../../abi/address.js";
import { Fields } from "../../abi/xen/index.js";
import { GuestMemory } from "../../guest-page/index.js";
import { HostMemory } from "../../host-memory/index.js";
import type { LinearMemory } from "../interfaces.js";
import { XenDomain } from "../xen-domain.js";

export const RAM_PAGES = 1024;
export const CONSOLE_GFN = 0x300;
export const XENSTORE_GFN = 0x301;
/** Where tests put the structures they pass. */
export const ARGUMENT_GVA = 0x10_0000;
/** Linear addresses from here on are not mapped. */
export const UNMAPPED_GVA = 0xffff_0000_0000n;

/** Linear = physical below UNMAPPED_GVA; bytes outside RAM fail as a page walk would. */
export class FlatMemory implements LinearMemory {
  readonly #guest: GuestMemory;

  constructor(guest: GuestMemory) {
    this.#guest = guest;
  }

  read(gva: bigint, length: number): Uint8Array | undefined {
    const gpa = this.translate(gva);
    return gpa === undefined ? undefined : this.#guest.read(gpa, length);
  }

  write(gva: bigint, bytes: Uint8Array): boolean {
    const gpa = this.translate(gva);
    return gpa !== undefined && this.#guest.write(gpa, bytes);
  }

  translate(gva: bigint): Gpa | undefined {
    return gva < UNMAPPED_GVA ? gpaOf(Number(gva)) : undefined;
  }
}

/** A domain, its memory, and what its outside world noticed. */
export class TestDomain {
  readonly host: HostMemory;
  readonly guest: GuestMemory;
  readonly domain: XenDomain;
  readonly linear: FlatMemory;
  readonly kicks: number[] = [];
  doorbells = 0;
  nowNs = 1_000_000;

  constructor(vcpuCount = 2, memoryPagesMax = RAM_PAGES) {
    this.host = HostMemory.create({ guestMemoryBytes: 16 << 20, vcpuCount });
    this.host.addMemslot({ id: 1, baseGfn: gfnOf(0), pageCount: RAM_PAGES });
    this.guest = new GuestMemory(this.host);
    this.linear = new FlatMemory(this.guest);
    this.domain = new XenDomain({
      host: this.host, guest: this.guest, vcpuCount, clock: { nowNs: () => this.nowNs },
      kick: (vcpu) => this.kicks.push(vcpu), ringDevice: () => this.doorbells++,
    });
    this.domain.initialise({
      consoleGfn: gfnOf(CONSOLE_GFN), xenstoreGfn: gfnOf(XENSTORE_GFN), memoryPages: RAM_PAGES, memoryPagesMax,
      highestGfn: gfnOf(RAM_PAGES - 1), wallClockMs: 1_700_000_000_123, guestHandle: Uint8Array.from({ length: 16 }, (_, i) => i + 1),
    });
  }

  /** A hypercall of `vcpu`; the result as a signed number. */
  call(number: number, args: readonly (number | bigint)[], vcpu = 0): number {
    const rax = this.domain.hypercall(vcpu, number, args.map((arg) => BigInt.asUintN(64, BigInt(arg))), this.linear);
    return Number(BigInt.asIntN(64, rax));
  }

  /** Puts a structure at ARGUMENT_GVA. */
  put(fields: Fields): void {
    this.guest.write(gpaOf(ARGUMENT_GVA), fields.bytes);
  }

  /** Reads `size` bytes at a guest physical address. */
  get(gpa: number, size: number): Fields {
    const bytes = this.guest.read(gpaOf(gpa), size);
    if (bytes === undefined) throw new Error(`test: expected memory at ${gpa.toString(16)}`);
    return new Fields(bytes);
  }

  /** The structure at ARGUMENT_GVA after a call. */
  answer(size: number): Fields {
    return this.get(ARGUMENT_GVA, size);
  }

  /** Gives the host memory back. */
  close(): void {
    this.domain.close();
    this.host.detach();
  }
}

/** A structure from (offset, size in bytes, value) triples. */
export function structOf(size: number, ...values: readonly (readonly [number, 2 | 4 | 8, number | bigint])[]): Fields {
  const fields = Fields.zeroed(size);
  for (const [offset, width, value] of values) {
    if (width === 2) fields.setU16(offset, Number(value));
    else if (width === 4) fields.setU32(offset, Number(value));
    else fields.setU64(offset, BigInt(value));
  }
  return fields;
}
