/** A small host for tests, with a swap file in memory and helpers that see the contents of pages. */
import { frameAddress, gfnOf } from "../../abi/address.js";
import type { Gfn } from "../../abi/address.js";
import { PAGE_SIZE } from "../../abi/layout.js";
import { HostMemory } from "../index.js";
import type { SwapStore } from "../index.js";

const MIB = 0x10_0000;

/** A swap file in memory, whose writes and reads can be made to fail. */
export class TestSwapStore implements SwapStore {
  readonly slotCount: number;
  readonly pages = new Map<number, Uint8Array>();
  writeFailure: string | undefined;
  readFailure: string | undefined;

  constructor(slotCount: number) {
    this.slotCount = slotCount;
  }

  write(slot: number, bytes: Uint8Array): void {
    if (this.writeFailure !== undefined) throw new Error(this.writeFailure);
    this.pages.set(slot, bytes.slice());
  }

  read(slot: number, target: Uint8Array): void {
    if (this.readFailure !== undefined) throw new Error(this.readFailure);
    target.set(this.pages.get(slot)!);
  }
}

/** A host with one memslot of `pageCount` pages from gfn 0 on. */
export function hostWith(pageCount: number, guestMemoryBytes = MIB): HostMemory {
  const host = HostMemory.create({ guestMemoryBytes, vcpuCount: 1 });
  host.addMemslot({ id: 0, baseGfn: gfnOf(0), pageCount });
  return host;
}

/** Byte address of the page's frame; faults it in for writing. */
export function addressOf(host: HostMemory, gfn: Gfn): number {
  const fault = host.faultIn(gfn, true);
  if (fault !== "mapped") throw new Error(`expected gfn ${gfn} to be mapped, got ${fault}`);
  return frameAddress(host.presentPfn(host.findHvaPage(gfn))!);
}

/** Fills a page with words that tell the page and the place. */
export function fillPage(host: HostMemory, gfn: Gfn, salt: number = gfn): void {
  const first = addressOf(host, gfn) >>> 2;
  for (let word = 0; word < PAGE_SIZE / 4; word++) host.words[first + word] = salt * 0x1_0001 + word;
}

/** Whether a page still has what `fillPage` wrote; the page is read as the processor would, without a write. */
export function isPageIntact(host: HostMemory, gfn: Gfn, salt: number = gfn): boolean {
  host.faultIn(gfn, false);
  const first = ((host.nptEntry(gfn) & ~0xfff) >>> 0) >>> 2;
  for (let word = 0; word < PAGE_SIZE / 4; word++) if (host.words[first + word] !== ((salt * 0x1_0001 + word) | 0)) return false;
  return true;
}
