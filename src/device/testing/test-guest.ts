/** A guest's side of the PV devices for tests: memory, rings it drives itself, and ports that only count. */
import { gfnOf, gpaOf, gpaOfGfn } from "../../abi/address.js";
import type { Gfn } from "../../abi/address.js";
import {
  Fields, HVM_PARAM_CONSOLE_EVTCHN, HVM_PARAM_CONSOLE_PFN, HVM_PARAM_STORE_EVTCHN, HVM_PARAM_STORE_PFN,
} from "../../abi/xen/index.js";
import { GuestMemory } from "../../guest-page/index.js";
import { HostMemory } from "../../host-memory/index.js";
import type { ByteRingLayout } from "../byte-ring.js";
import type { BackendDomain } from "../device-backends.js";

export const CONSOLE_GFN = 0x30;
export const XENSTORE_GFN = 0x31;
export const GRANT_GFN = 0x32;

/** Memory and ports; what the back ends did to the ports can be read back. */
export class TestGuest implements BackendDomain {
  readonly host = HostMemory.create({ guestMemoryBytes: 16 << 20, vcpuCount: 1 });
  readonly guest: GuestMemory;
  /** Ports the back ends raised, in order. */
  readonly raised: number[] = [];
  /** Ports the guest opened for the back ends. */
  readonly openPorts = new Set<number>([1, 2]);
  hasGrantTable = true;

  constructor() {
    this.host.addMemslot({ id: 1, baseGfn: gfnOf(0), pageCount: 256 });
    this.guest = new GuestMemory(this.host);
  }

  param(index: number): number {
    const values: Record<number, number> = {
      [HVM_PARAM_STORE_PFN]: XENSTORE_GFN, [HVM_PARAM_STORE_EVTCHN]: 1,
      [HVM_PARAM_CONSOLE_PFN]: CONSOLE_GFN, [HVM_PARAM_CONSOLE_EVTCHN]: 2,
    };
    return values[index] ?? 0;
  }

  raisePortNoSleep(port: number): boolean {
    if (this.openPorts.has(port)) this.raised.push(port);
    return this.openPorts.has(port);
  }

  bindPort(port: number): boolean {
    return this.openPorts.has(port);
  }

  takeDeviceEvents(): number[] {
    return [];
  }

  grantFrame(index: number): Gfn | undefined {
    return index === 0 && this.hasGrantTable ? gfnOf(GRANT_GFN) : undefined;
  }

  currentPages(): number {
    return 256;
  }

  /** Grants the page `gfn` by entry `reference`. */
  grant(reference: number, gfn: number, options: { domid?: number; flags?: number } = {}): void {
    const entry = Fields.zeroed(8).setU16(0, options.flags ?? 1).setU16(2, options.domid ?? 0).setU32(4, gfn);
    this.guest.write(gpaOfGfn(gfnOf(GRANT_GFN), reference * 8), entry.bytes);
  }

  word(gfn: number, offset: number): number {
    return this.guest.readU32(gpaOfGfn(gfnOf(gfn), offset))!;
  }

  setWord(gfn: number, offset: number, value: number): void {
    this.guest.writeU32(gpaOfGfn(gfnOf(gfn), offset), value >>> 0);
  }

  /** The guest's producer: puts all of `bytes` into a ring, whether they fit or not. */
  produce(gfn: number, ring: ByteRingLayout, bytes: Uint8Array): void {
    const start = this.word(gfn, ring.producer);
    for (const [index, byte] of bytes.entries()) {
      const at = gfn * 4096 + ring.data + ((start + index) % ring.sizeBytes);
      this.guest.write(gpaOf(at), Uint8Array.of(byte));
    }
    this.setWord(gfn, ring.producer, start + bytes.length);
  }

  /** The guest's consumer: takes everything from a ring. */
  consume(gfn: number, ring: ByteRingLayout): Uint8Array {
    const start = this.word(gfn, ring.consumer);
    const bytes = new Uint8Array((this.word(gfn, ring.producer) - start) >>> 0);
    for (const index of bytes.keys()) {
      bytes[index] = this.guest.read(gpaOf(gfn * 4096 + ring.data + ((start + index) % ring.sizeBytes)), 1)![0]!;
    }
    this.setWord(gfn, ring.consumer, start + bytes.length);
    return bytes;
  }

  close(): void {
    this.host.detach();
  }
}
