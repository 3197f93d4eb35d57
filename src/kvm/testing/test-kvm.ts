/** A VM of KVM's personality on a real host memory for tests: 4 MiB of RAM, one vCPU, and a local APIC that only counts. */
import { gfnOf, gpaOf } from "../../abi/address.js";
import { GuestMemory, type PageView } from "../../guest-page/index.js";
import { HostMemory } from "../../host-memory/index.js";
import type { EoiTarget } from "../interfaces.js";
import { KvmDomain } from "../kvm-domain.js";

const RAM_PAGES = 1024;

/** A domain, its memory, and what its outside world noticed. */
export class TestKvm implements EoiTarget {
  readonly host: HostMemory;
  readonly guest: GuestMemory;
  readonly domain: KvmDomain;
  nowNs = 1_000_000;
  runDelayNs = 0;
  flushes = 0;
  /** Answer of hasSoleInterrupt. */
  isSole = true;
  eois = 0;

  constructor() {
    this.host = HostMemory.create({ guestMemoryBytes: 16 << 20, vcpuCount: 2 });
    this.host.addMemslot({ id: 1, baseGfn: gfnOf(0), pageCount: RAM_PAGES });
    this.guest = new GuestMemory(this.host);
    this.domain = new KvmDomain({
      memory: this.host.memory, clock: { nowNs: () => this.nowNs }, runDelayNs: () => this.runDelayNs, flushTlb: () => this.flushes++,
    }, this.guest);
    this.domain.initialise({ wallClockMs: 1_700_000_000_123, vcpuCount: 2 });
  }

  hasSoleInterrupt(): boolean {
    return this.isSole;
  }

  endInterrupt(): void {
    this.eois++;
  }

  /** Reads 32 bits of the guest. */
  u32(gpa: number): number {
    return this.guest.readU32(gpaOf(gpa))!;
  }

  u64(gpa: number): bigint {
    return this.guest.readU64(gpaOf(gpa))!;
  }

  byte(gpa: number): number {
    return this.guest.read(gpaOf(gpa), 1)![0]!;
  }

  /** Writes bytes of the guest. */
  put(gpa: number, ...bytes: number[]): void {
    this.guest.write(gpaOf(gpa), Uint8Array.from(bytes));
  }

  /** Runs `use` on a page with a view that logs every access: name, offset, and the value that was written or read. */
  watch(gpa: number, lengthBytes: number, use: (view: PageView) => void): string[] {
    const log: string[] = [];
    this.guest.openPage(gpaOf(gpa), lengthBytes, "test")!.access((view) => use(watched(view, log)));
    return log;
  }

  /** Gives the host memory back. */
  close(): void {
    this.domain.close();
    this.host.detach();
  }
}

function watched(view: PageView, log: string[]): PageView {
  return new Proxy(view, {
    get: (target, name) => {
      const method = Reflect.get(target, name, target) as (...args: number[]) => unknown;
      return (...args: number[]): unknown => {
        const result = method.apply(target, args);
        log.push([String(name), ...args, ...(result === undefined ? [] : [`= ${String(result)}`])].join(" "));
        return result;
      };
    },
  });
}
