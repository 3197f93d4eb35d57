/**
 * The core alone, with 256 KiB of guest memory, for programs in machine code: page tables, GDT, IDT, TSS and a HLT behind every vector, so that an
 * exception stops the program and tells its vector by RIP. Whoever needs a handler of its own puts it in a gate.
 *
 *   0x1000 page tables   0x5000 IDT   0x6000 GDT   0x6800 TSS   0x7000 a HLT for each vector   0x9000 top of the kernel's stack
 *   0x1_0000 to 0x3_ffff for the program; every linear address below 2 MiB is mapped to itself, for user mode too
 */
import {
  EXIT_BUDGET, EXIT_HLT, EXIT_NAMES, FRAMES_BASE, LOCK_STEP_EVERY_ADDRESS, MODE_16, MODE_32, MODE_64, NPT_PRESENT, NPT_ROOT_BASE, NPT_WRITABLE, SEGMENT_CS, SEGMENT_DS,
  SEGMENT_ES, SEGMENT_FS, SEGMENT_GS, SEGMENT_LDTR, SEGMENT_SS, SEGMENT_TR, VCPU, VCPU_COUNT_ADDRESS,
} from "../../abi/layout.js";
import { createCore, type Core } from "../core.raw.js";
import type { TranslationLibrary } from "../translator/library.js";
import { ImmediateTranslations, type WriteRegion } from "../translator/translate.js";
import { VcpuState } from "../vcpu-state.raw.js";
import type { Listing } from "./listing.js";

const NPT_LEAF = FRAMES_BASE;
const GUEST = FRAMES_BASE + 0x1000;
const MEMORY_BYTES = 0x4_0000;
const PAGE = 0x1000;
/** Guest-physical and linear addresses of what the machine sets up. */
export const AT = {
  pml4: 0x1000, pdpt: 0x2000, directory: 0x3000, pages: 0x4000, idt: 0x5000, gdt: 0x6000, tss: 0x6800, halts: 0x7000, stackTop: 0x9000,
} as const;
/** Selectors of the GDT. */
export const SELECTOR = {
  code64: 0x08, data: 0x10, code32: 0x18, userData: 0x23, userCode64: 0x2b, userCode32: 0x33, tss: 0x40, free: 0x50,
} as const;
const HALT_STRIDE = 16;
const BUDGET = 10_000;
const TURNS_MAX = 100;
/** Samples are taken often enough for short programs. */
const TRANSLATED = { samplePart: 40, hotSamples: 1, warmHeat: 0 };
const ERROR_CODE_VECTORS = [8, 10, 11, 12, 13, 14, 17];
const TABLE_BITS = 0x67n;

/** What a program starts as. */
export type Start = "kernel64" | "user64" | "protected32" | "real";

/** Attributes (descriptor bits 40..55) by selector, and those of the segment registers they come from. */
const ATTRIBUTES: Readonly<Record<number, number>> = {
  [SELECTOR.code64]: 0xa09b, [SELECTOR.data]: 0xc093, [SELECTOR.code32]: 0xc09b,
  [SELECTOR.userData]: 0xc0f3, [SELECTOR.userCode64]: 0xa0fb, [SELECTOR.userCode32]: 0xc0fb,
};
const TSS_BUSY = 0x8b;

/** Why a program stopped: the name of an exit, or "vector" with what the exception's stack frame says. */
export interface Stop {
  readonly exit: string;
  readonly vector?: number;
  readonly errorCode?: number | undefined;
  readonly rip: number;
  readonly rflags: number;
  readonly rsp: bigint;
}

/** How a program is translated: so many regions at a time, after so many samples, each nth entry checked by lock step, with another writer of regions. */
export interface BareTranslation {
  readonly regionsMax?: number;
  readonly hotSamples?: number;
  readonly checkEvery?: number;
  readonly write?: WriteRegion;
  /** Regions made before, and where new ones are put. */
  readonly library?: TranslationLibrary;
}

/** Called on an exit; true = it has been dealt with, go on. */
export type OnExit = (exit: string, state: VcpuState) => boolean;

/** The core, its vCPU's state and the guest's memory. */
export class BareMachine {
  readonly state: VcpuState;
  readonly core: Core;
  /** The host's memory, for tests with a thread that plays the host. */
  readonly memory: WebAssembly.Memory;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  /** Instructions of one turn. */
  budget = BUDGET;
  #long = true;

  /** A machine whose vCPU 0 runs; of the others there is only the state that they share. With `translated`, what runs more than once is translated. */
  constructor(module: WebAssembly.Module, vcpuCount = 1, translated: false | BareTranslation = false) {
    const pages = (GUEST + MEMORY_BYTES) >>> 16;
    const memory = new WebAssembly.Memory({ initial: pages + 1, maximum: pages + 1, shared: true });
    this.memory = memory;
    this.#view = new DataView(memory.buffer);
    this.#bytes = new Uint8Array(memory.buffer);
    this.#view.setUint32(VCPU_COUNT_ADDRESS, vcpuCount, true);
    this.#view.setUint32(LOCK_STEP_EVERY_ADDRESS, translated === false ? 0 : translated.checkEvery ?? 0, true);
    this.state = new VcpuState(memory, 0);
    this.#view.setUint32(NPT_ROOT_BASE, NPT_LEAF, true);
    for (let gfn = 0; gfn < MEMORY_BYTES / PAGE; gfn++) this.setHostPage(gfn, true);
    this.core = createCore({ module, memory, vcpuIndex: 0, timestamp: () => 0, ...(translated !== false ? { translator: { ...TRANSLATED, ...translated, service: new ImmediateTranslations(memory, { write: translated.write, library: translated.library }) } } : {}) });
  }

  /** Address in the host's memory of the NPT entry of guest page `gfn`. */
  hostEntryAddress(gfn: number): number { return NPT_LEAF + gfn * 4; }

  /** Where in the host's memory guest-physical `address` is, as long as its page has not been given another frame. */
  hostAddress(address: number): number { return GUEST + address; }

  /** Gives guest page `gfn` its frame, or takes it away. */
  setHostPage(gfn: number, present: boolean): void {
    this.#view.setUint32(NPT_LEAF + gfn * 4, present ? (GUEST + gfn * PAGE) | NPT_PRESENT | NPT_WRITABLE : 0, true);
  }

  /** Gives guest page `gfn` the frame that `other` has, as a host that moved it would; TLBs are the caller's business. */
  setHostFrame(gfn: number, other: number): void {
    this.#view.setUint32(NPT_LEAF + gfn * 4, (GUEST + other * PAGE) | NPT_PRESENT | NPT_WRITABLE, true);
  }

  write(address: number, bytes: Iterable<number>): void { this.#bytes.set([...bytes], GUEST + address); }
  read(address: number, length: number): number[] { return [...this.#bytes.slice(GUEST + address, GUEST + address + length)]; }
  u16(address: number): number { return this.#view.getUint16(GUEST + address, true); }
  u32(address: number): number { return this.#view.getUint32(GUEST + address, true); }
  u64(address: number): bigint { return this.#view.getBigUint64(GUEST + address, true); }
  setU16(address: number, value: number): void { this.#view.setUint16(GUEST + address, value, true); }
  setU32(address: number, value: number): void { this.#view.setUint32(GUEST + address, value >>> 0, true); }
  setU64(address: number, value: bigint): void { this.#view.setBigUint64(GUEST + address, value, true); }

  load(listing: Listing): void { this.write(listing.origin, listing.bytes); }

  /** Writes descriptor `selector` of the GDT. */
  setDescriptor(selector: number, attributes: number, base = 0, limit = 0xf_ffff): void {
    const at = AT.gdt + (selector & ~7);
    this.setU32(at, (limit & 0xffff) | ((base & 0xffff) << 16));
    const high = ((attributes & 0xff) << 8) | ((attributes & 0xf000) << 8) | (limit & 0xf_0000);
    this.setU32(at + 4, high | ((base >>> 16) & 0xff) | (base & 0xff00_0000));
  }

  /** Points the gate of `vector` at `handler`. */
  setGate(vector: number, handler: number, attributes = 0x8e): void {
    const at = AT.idt + vector * (this.#long ? 16 : 8);
    this.setU32(at, (handler & 0xffff) | ((this.#long ? SELECTOR.code64 : SELECTOR.code32) << 16));
    this.setU32(at + 4, (handler & 0xffff_0000) | (attributes << 8));
    if (this.#long) this.setU64(at + 8, 0n);
  }

  /** Maps the page of linear address `linear` (below 2 MiB, long mode's tables). */
  map(linear: number, entry: bigint): void { this.setU64(AT.pages + (linear >>> 12) * 8, entry); }

  /** Sets up everything for `start` and RIP at the listing. Registers are 0 but RSP. */
  start(start: Start, program: Listing): void {
    this.#long = start === "kernel64" || start === "user64";
    this.write(AT.pml4, new Uint8Array(0x8000));
    // A reset vCPU begins with epoch 0; the core's caches go on counting.
    const epochs = [this.state.readU32(VCPU.userEpoch), this.state.readU32(VCPU.kernelEpoch)] as const;
    this.state.reset();
    this.state.writeU32(VCPU.userEpoch, epochs[0]);
    this.state.writeU32(VCPU.kernelEpoch, epochs[1]);
    this.core.flushCode();
    this.core.flushTlb();
    this.#buildTables();
    this.#loadSystem(start);
    const user = start === "user64";
    const code = user ? SELECTOR.userCode64 : start === "kernel64" ? SELECTOR.code64 : start === "protected32" ? SELECTOR.code32 : 0;
    this.#loadSegments(start, code, user ? SELECTOR.userData : SELECTOR.data);
    this.state.writeU32(VCPU.mode, start === "real" ? MODE_16 : start === "protected32" ? MODE_32 : MODE_64);
    this.state.writeU32(VCPU.cpl, user ? 3 : 0);
    this.state.setGpr(4, user ? 0x2_0000n : BigInt(AT.stackTop));
    this.state.rip = BigInt(program.origin);
    this.load(program);
  }

  /** Goes on at `rip` in user mode, with everything else as it is. */
  continueInUserMode(rip: number): void {
    this.#loadSegments("user64", SELECTOR.userCode64, SELECTOR.userData);
    this.state.writeU32(VCPU.cpl, 3);
    this.state.rip = BigInt(rip);
  }

  #buildTables(): void {
    this.setU64(AT.pml4, BigInt(AT.pdpt) | TABLE_BITS);
    this.setU64(AT.pdpt, BigInt(AT.directory) | TABLE_BITS);
    this.setU64(AT.directory, BigInt(AT.pages) | TABLE_BITS);
    for (let page = 0; page < MEMORY_BYTES; page += PAGE) this.map(page, BigInt(page) | TABLE_BITS);
    for (const [selector, attributes] of Object.entries(ATTRIBUTES)) this.setDescriptor(Number(selector), attributes);
    this.setDescriptor(SELECTOR.tss, TSS_BUSY, AT.tss, 0xe7);
    for (let vector = 0; vector < 256; vector++) {
      this.write(AT.halts + vector * HALT_STRIDE, [0xf4]);
      this.setGate(vector, AT.halts + vector * HALT_STRIDE, vector === 3 || vector === 4 ? 0xee : 0x8e);
    }
    if (this.#long) this.setU64(AT.tss + 4, BigInt(AT.stackTop));
    else {
      this.setU32(AT.tss + 4, AT.stackTop);
      this.setU32(AT.tss + 8, SELECTOR.data);
    }
    // The I/O permission map: all ports closed, and the byte behind it.
    this.setU16(AT.tss + 102, 0x68);
    this.write(AT.tss + 0x68, new Uint8Array(0x80).fill(0xff));
  }

  #loadSystem(start: Start): void {
    const { state } = this;
    state.writeU64(VCPU.gdtrBase, BigInt(AT.gdt));
    state.writeU32(VCPU.gdtrLimit, 0x7ff);
    state.writeU64(VCPU.idtrBase, start === "real" ? 0n : BigInt(AT.idt));
    state.writeU32(VCPU.idtrLimit, this.#long ? 0xfff : start === "real" ? 0x3ff : 0x7ff);
    state.writeU64(VCPU.cr0, this.#long ? 0x8005_0033n : start === "real" ? 0x10n : 0x33n);
    state.writeU64(VCPU.cr3, BigInt(AT.pml4));
    state.writeU64(VCPU.cr4, this.#long ? 0x6a8n : 0n);
    state.writeU64(VCPU.efer, this.#long ? 0xd01n : 0n);
  }

  #loadSegments(start: Start, code: number, data: number): void {
    const { state } = this;
    for (const slot of [SEGMENT_CS, SEGMENT_SS, SEGMENT_DS, SEGMENT_ES, SEGMENT_FS, SEGMENT_GS]) {
      const selector = start === "real" ? 0 : slot === SEGMENT_CS ? code : data;
      const attributes = start === "real" ? (slot === SEGMENT_CS ? 0x9b : 0x93) : ATTRIBUTES[selector]!;
      state.setSegment(slot, selector, attributes, start === "real" ? 0xffff : 0xffff_ffff);
    }
    state.setSegment(SEGMENT_LDTR, 0, 0x82, 0);
    state.setSegment(SEGMENT_TR, SELECTOR.tss, TSS_BUSY, 0xe7);
    state.setSegmentBase(SEGMENT_TR, BigInt(AT.tss));
  }

  /** Runs until a HLT or an exit that `onExit` does not deal with. */
  run(onExit: OnExit = () => false): Stop {
    for (let turn = 0; turn < TURNS_MAX; turn++) {
      const reason = this.core.run(this.budget);
      this.core.translateHot();
      if (reason === EXIT_BUDGET) continue;
      const exit = EXIT_NAMES[reason]!;
      if (reason === EXIT_HLT || !onExit(exit, this.state)) return this.#stop(exit);
    }
    throw new Error("expected the program to stop, and it did not");
  }

  #stop(exit: string): Stop {
    const { state } = this;
    const rsp = state.gpr(4);
    const vector = (Number(state.rip) - 1 - AT.halts) / HALT_STRIDE;
    const here = { exit, rip: Number(state.rip), rflags: Number(state.rflags), rsp };
    if (exit !== "hlt" || !Number.isInteger(vector) || vector < 0 || vector > 255) return here;
    const hasErrorCode = ERROR_CODE_VECTORS.includes(vector);
    const size = this.#long ? 8 : 4;
    const top = Number(rsp) + (hasErrorCode ? size : 0);
    return {
      exit: "vector", vector, errorCode: hasErrorCode ? this.u32(Number(rsp)) : undefined, rip: this.u32(top), rflags: this.u32(top + 2 * size),
      rsp: this.#long ? this.u64(top + 24) : BigInt(this.u32(top + 12)),
    };
  }
}
