/**
 * The core with just enough around it to run one user instruction as Linux would: page tables, GDT, IDT, TSS, and a
 * kernel that halts on every exception with the vector told by the address of its HLT.
 */
import {
  EXIT_BUDGET, EXIT_HLT, EXIT_NAMES, FRAMES_BASE, MODE_32, MODE_64, NPT_PRESENT, NPT_ROOT_BASE, NPT_WRITABLE, SEGMENT_ATTRIBUTES, SEGMENT_BASE, SEGMENT_CS,
  SEGMENT_DS, SEGMENT_ES, SEGMENT_FS, SEGMENT_GS, SEGMENT_LDTR, SEGMENT_LIMIT, SEGMENT_SELECTOR, SEGMENT_SIZE, SEGMENT_SS, SEGMENT_TR, VCPU,
} from "../../abi/layout.js";
import { ImmediateTranslations } from "../translator/translate.js";
import { createCore, type Core } from "../core.raw.js";
import { vcpuStateAddress } from "../vcpu-state.raw.js";
import {
  backgroundBytes, CASE, CODE_BASE, CODE_SIZE, DATA_BASE, DATA_SIZE, FX, LOW_DATA_BASE, READ_ONLY_BASE, READ_ONLY_SIZE, RESULT, SELECTOR_CODE_32, SELECTOR_CODE_64,
  SELECTOR_DATA, WINDOW_OFFSET, WINDOW_SIZE,
} from "./layout.js";
import { physicalOffset, VECTOR_PAGE_FAULT, type Outcome } from "./outcome.js";

/** Guest-physical addresses. */
const GPA = { pml4: 0x1000, pdpt: 0x2000, directory: 0x3000, tables: 0x4000, code: 0x1_0000, data: 0x1_2000, readOnly: 0x1_4000, kernel: 0x2_0000 } as const;
/** The NPT leaf stands behind the guest's frames. */
const NPT_LEAF = FRAMES_BASE;
const GUEST = FRAMES_BASE + 0x1000;
const GUEST_PAGES = 0x40;
/** Linear address of the kernel's pages: HLT instructions, IDT, GDT, TSS, stack. */
const KERNEL_BASE = 0x3000_0000;
const KERNEL = { halts: 0, idt: 0x1000, gdt: 0x2000, tss: 0x3000, stack: 0x4000, stackTop: 0x5000, pages: 5 } as const;
const KERNEL_CODE = 0x10;
const GDT_LIMIT = 0x7f;
const HALT_STRIDE = 16;

const PRESENT = 1n, WRITABLE = 2n, USER = 4n, ACCESSED_DIRTY = 0x60n;
/** Attributes (descriptor bits 40..55) of Linux's segments. */
const ATTRIBUTES = { kernelCode32: 0xc09b, kernelCode: 0xa09b, kernelData: 0xc093, userCode32: 0xc0fb, userData: 0xc0f3, userCode: 0xa0fb, tss: 0x8b, ldt: 0x82 } as const;
const CR0 = 0x8005_0033n;
const CR4 = 0x0001_06a8n;
const EFER = 0xd01n;
const ERROR_CODE_VECTORS = [8, 10, 11, 12, 13, 14, 17];
const NO_EXCEPTION = 0xffff_ffff;
/** Added to an EXIT_* to make an impossible vector, when the core stopped for something else than the kernel's HLT. */
export const UNEXPECTED_EXIT = 0x100;
const BUDGET = 4096;
const BUDGETS_MAX = 64;

/** Says what stopped a case: a vector or an unexpected exit. */
export function trapName(trap: number): string {
  return trap < UNEXPECTED_EXIT ? `vector ${trap}` : `exit ${EXIT_NAMES[trap - UNEXPECTED_EXIT] ?? trap}`;
}

/** A core ready to run cases one after the other. */
export class DifferentialMachine {
  readonly core: Core;
  readonly state: DataView;
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly background = backgroundBytes(DATA_SIZE);
  private readonly before = new Uint8Array(DATA_SIZE);
  private readonly data: Uint8Array;
  private codeKey = "";
  private codeLoads = 0;

  /** With `translated`, every case runs in translated code; the interpreter runs the first of each code before, so that there is a trace to translate. */
  constructor(module: WebAssembly.Module, readonly translated = false) {
    const pages = (GUEST + 0x1_0000 * 16) >>> 16;
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    this.view = new DataView(memory.buffer);
    this.bytes = new Uint8Array(memory.buffer);
    this.state = new DataView(memory.buffer, vcpuStateAddress(0), 0x800);
    this.data = new Uint8Array(memory.buffer, GUEST + GPA.data, DATA_SIZE);
    this.buildNestedPageTable();
    this.buildPageTables();
    this.buildKernel();
    this.bytes.fill(0xcc, GUEST + GPA.code, GUEST + GPA.code + CODE_SIZE);
    this.bytes.set(backgroundBytes(READ_ONLY_SIZE), GUEST + GPA.readOnly);
    this.core = createCore({ module, memory, vcpuIndex: 0, timestamp: () => 0, ...(translated ? { translator: { samplePart: 0, hotSamples: 1, warmHeat: 0, service: new ImmediateTranslations(memory) } } : {}) });
  }

  private buildNestedPageTable(): void {
    this.view.setUint32(NPT_ROOT_BASE, NPT_LEAF, true);
    for (let gfn = 0; gfn < GUEST_PAGES; gfn++) this.view.setUint32(NPT_LEAF + gfn * 4, (GUEST + gfn * 0x1000) | NPT_PRESENT | NPT_WRITABLE, true);
  }

  private guestU64(gpa: number, value: bigint): void {
    this.view.setBigUint64(GUEST + gpa, value, true);
  }

  private buildPageTables(): void {
    const table = PRESENT | WRITABLE | USER | ACCESSED_DIRTY;
    this.guestU64(GPA.pml4, BigInt(GPA.pdpt) | table);
    this.guestU64(GPA.pdpt, BigInt(GPA.directory) | table);
    this.mapPages(0, CODE_BASE, GPA.code, CODE_SIZE >> 12, PRESENT | USER | ACCESSED_DIRTY);
    this.mapPages(1, DATA_BASE, GPA.data, DATA_SIZE >> 12, table);
    this.mapPages(1, READ_ONLY_BASE, GPA.readOnly, READ_ONLY_SIZE >> 12, PRESENT | USER | ACCESSED_DIRTY);
    this.mapPages(2, KERNEL_BASE, GPA.kernel, KERNEL.pages, PRESENT | WRITABLE | ACCESSED_DIRTY);
    this.mapPages(3, LOW_DATA_BASE, GPA.data, DATA_SIZE >> 12, table);
  }

  /** Maps pages through page table number `table`; all of one call lie in one 2 MiB region below 1 GiB. */
  private mapPages(table: number, linear: number, gpa: number, pageCount: number, bits: bigint): void {
    const tableGpa = GPA.tables + table * 0x1000;
    this.guestU64(GPA.directory + (linear >>> 21) * 8, BigInt(tableGpa) | PRESENT | WRITABLE | USER | ACCESSED_DIRTY);
    for (let i = 0; i < pageCount; i++) this.guestU64(tableGpa + (((linear >>> 12) & 511) + i) * 8, BigInt(gpa + i * 0x1000) | bits);
  }

  private descriptor(index: number, attributes: number, base = 0, limit = 0xfffff): void {
    const low = (limit & 0xffff) | ((base & 0xffff) << 16);
    const high = ((base >>> 16) & 0xff) | ((attributes & 0xff) << 8) | (limit & 0xf0000) | ((attributes & 0xf000) << 8) | (base & 0xff00_0000);
    this.view.setUint32(GUEST + GPA.kernel + KERNEL.gdt + index * 8, low >>> 0, true);
    this.view.setUint32(GUEST + GPA.kernel + KERNEL.gdt + index * 8 + 4, high >>> 0, true);
  }

  private buildKernel(): void {
    const { kernelCode32, kernelCode, kernelData, userCode32, userData, userCode, tss } = ATTRIBUTES;
    [kernelCode32, kernelCode, kernelData, userCode32, userData, userCode].forEach((attributes, i) => { this.descriptor(i + 1, attributes); });
    this.descriptor(8, tss, KERNEL_BASE + KERNEL.tss, 0x67);
    this.guestU64(GPA.kernel + KERNEL.tss + 4, BigInt(KERNEL_BASE + KERNEL.stackTop));
    this.view.setUint16(GUEST + GPA.kernel + KERNEL.tss + 0x66, 0x68, true);
    for (let vector = 0; vector < 256; vector++) {
      const handler = KERNEL_BASE + KERNEL.halts + vector * HALT_STRIDE;
      const privilege = vector === 3 || vector === 4 ? 3 : 0;
      this.view.setUint8(GUEST + GPA.kernel + KERNEL.halts + vector * HALT_STRIDE, 0xf4);
      const gate = GPA.kernel + KERNEL.idt + vector * 16;
      this.view.setUint32(GUEST + gate, (handler & 0xffff) | (KERNEL_CODE << 16), true);
      this.view.setUint32(GUEST + gate + 4, ((handler & 0xffff_0000) | 0x8e00 | (privilege << 13)) >>> 0, true);
    }
  }

  private segment(slot: number, selector: number, attributes: number, base = 0n, limit = 0xffff_ffff): void {
    const at = VCPU.segments + slot * SEGMENT_SIZE;
    this.state.setUint32(at + SEGMENT_SELECTOR, selector, true);
    this.state.setUint32(at + SEGMENT_ATTRIBUTES, attributes, true);
    this.state.setBigUint64(at + SEGMENT_BASE, base, true);
    this.state.setUint32(at + SEGMENT_LIMIT, limit, true);
  }

  private loadCode(initial: DataView, program?: Uint8Array): void {
    const offset = initial.getUint32(CASE.codeOffset, true);
    const length = initial.getUint32(CASE.codeLength, true);
    const code = program ?? new Uint8Array(initial.buffer, initial.byteOffset + CASE.code, length);
    const key = `${offset}:${code.join()}`;
    if (key === this.codeKey) return;
    this.codeKey = key;
    const page = GUEST + GPA.code;
    this.bytes.fill(0xcc, page, page + CODE_SIZE);
    this.bytes.set(code, page + offset);
    // Now and then everything, so that dead traces of the same address do not pile up.
    if (this.codeLoads++ % 256 === 0) this.core.flushCode();
    for (let i = 0; i < CODE_SIZE >> 12; i++) this.core.invalidateCode((GPA.code >> 12) + i);
    if (this.translated) this.translate(initial);
  }

  /** Has the code of this case translated. */
  private translate(initial: DataView): void {
    this.loadState(initial);
    this.state.setUint32(VCPU.samplePart, BUDGET - 1, true);
    this.core.run(BUDGET);
    this.state.setUint32(VCPU.samplePart, 0, true);
    this.core.translateHot();
  }

  /** Runs one case and answers what it did, in the same form as the native generator. `program` takes the place of the case's instruction. */
  run(initial: DataView, program?: Uint8Array): Outcome {
    this.loadCode(initial, program);
    this.loadState(initial);
    this.before.set(this.background);
    this.before.set(new Uint8Array(initial.buffer, initial.byteOffset + CASE.window, WINDOW_SIZE), WINDOW_OFFSET);
    this.data.set(this.before);
    let reason = EXIT_BUDGET;
    for (let i = 0; reason === EXIT_BUDGET && i < BUDGETS_MAX; i++) reason = this.core.run(BUDGET);
    return { record: this.readState(reason), changes: this.memoryChanges() };
  }

  /** How many regions have been translated. */
  get translatedRegions(): number { return Number(this.state.getBigUint64(VCPU.counterRegions, true)); }

  private loadState(initial: DataView): void {
    const { state } = this;
    for (let i = 0; i < 128; i += 4) state.setUint32(VCPU.gpr + i, initial.getUint32(CASE.gpr + i, true), true);
    this.loadFlags(initial.getUint32(CASE.rflags, true));
    const wide = initial.getUint32(CASE.mode, true) === 0;
    state.setBigUint64(VCPU.rip, BigInt(CODE_BASE + initial.getUint32(CASE.codeOffset, true)), true);
    state.setUint32(VCPU.cpl, 3, true);
    state.setUint32(VCPU.mode, wide ? MODE_64 : MODE_32, true);
    state.setUint32(VCPU.interruptShadow, 0, true);
    state.setUint32(VCPU.exceptionVector, NO_EXCEPTION, true);
    state.setUint32(VCPU.delivering, 0, true);
    this.loadSegments(wide, initial);
    this.loadSystem();
    this.loadFloat(initial);
  }

  private loadSegments(wide: boolean, initial: DataView): void {
    this.segment(SEGMENT_CS, wide ? SELECTOR_CODE_64 : SELECTOR_CODE_32, wide ? ATTRIBUTES.userCode : ATTRIBUTES.userCode32);
    for (const slot of [SEGMENT_SS, SEGMENT_DS, SEGMENT_ES]) this.segment(slot, SELECTOR_DATA, ATTRIBUTES.userData);
    this.segment(SEGMENT_FS, 0, 0, initial.getBigUint64(CASE.fsBase, true), 0);
    this.segment(SEGMENT_GS, 0, 0, initial.getBigUint64(CASE.gsBase, true), 0);
    this.segment(SEGMENT_LDTR, 0, ATTRIBUTES.ldt, 0n, 0);
    this.segment(SEGMENT_TR, 0x40, ATTRIBUTES.tss, BigInt(KERNEL_BASE + KERNEL.tss), 0x67);
  }

  private loadSystem(): void {
    const { state } = this;
    state.setBigUint64(VCPU.gdtrBase, BigInt(KERNEL_BASE + KERNEL.gdt), true);
    state.setUint32(VCPU.gdtrLimit, GDT_LIMIT, true);
    state.setBigUint64(VCPU.idtrBase, BigInt(KERNEL_BASE + KERNEL.idt), true);
    state.setUint32(VCPU.idtrLimit, 0xfff, true);
    state.setBigUint64(VCPU.cr0, CR0, true);
    state.setBigUint64(VCPU.cr2, 0n, true);
    state.setBigUint64(VCPU.cr3, BigInt(GPA.pml4), true);
    state.setBigUint64(VCPU.cr4, CR4, true);
    state.setBigUint64(VCPU.efer, EFER, true);
    state.setBigUint64(VCPU.dr + 6 * 8, 0xffff_0ff0n, true);
    state.setBigUint64(VCPU.dr + 7 * 8, 0x400n, true);
  }

  /** The lazy form of the arithmetic flags: interpreter/flags.ts. */
  private loadFlags(flags: number): void {
    const { state } = this;
    const carry = flags & 1, overflow = (flags >>> 11) & 1, zero = (flags >>> 6) & 1, parity = (flags >>> 2) & 1;
    state.setUint32(VCPU.flagAux, (flags & 0x10) >>> 1, true);
    state.setUint32(VCPU.flagAux + 4, ((carry << 31) | ((carry ^ overflow) << 30)) >>> 0, true);
    state.setUint32(VCPU.flagResult, zero ^ 1, true);
    state.setUint32(VCPU.flagResult + 4, 0, true);
    state.setUint32(VCPU.flagExtra, parity ^ zero, true);
    state.setUint32(VCPU.flagExtra + 4, ((flags & 0x80) << 24) >>> 0, true);
    state.setUint32(VCPU.rflags, (flags & ~0x8d5) | 2, true);
    state.setUint32(VCPU.rflags + 4, 0, true);
  }

  private loadFloat(initial: DataView): void {
    const { state } = this;
    state.setUint32(VCPU.mxcsr, initial.getUint32(CASE.fx + FX.mxcsr, true), true);
    state.setUint32(VCPU.fpuControl, initial.getUint16(CASE.fx + FX.control, true), true);
    state.setUint32(VCPU.fpuStatus, initial.getUint16(CASE.fx + FX.status, true), true);
    state.setUint32(VCPU.fpuTag, initial.getUint8(CASE.fx + FX.tag), true);
    for (let n = 0; n < 8; n++) {
      const from = physicalOffset(initial, CASE.fx, n);
      for (let i = 0; i < 16; i += 4) state.setUint32(VCPU.fpuRegisters + n * 16 + i, initial.getUint32(from + i, true), true);
    }
    for (let i = 0; i < 256; i += 4) state.setUint32(VCPU.xmm + i, initial.getUint32(CASE.fx + FX.xmm + i, true), true);
  }

  private readState(reason: number): DataView {
    const { state } = this;
    const record = new DataView(new ArrayBuffer(RESULT.size));
    const halted = Number(state.getBigUint64(VCPU.rip, true)) - KERNEL_BASE - KERNEL.halts - 1;
    const vector = halted / HALT_STRIDE;
    for (let i = 0; i < 128; i += 4) record.setUint32(RESULT.gpr + i, state.getUint32(VCPU.gpr + i, true), true);
    if (reason === EXIT_HLT && Number.isInteger(vector) && vector >= 0 && vector < 256) this.readFrame(record, vector);
    else {
      record.setUint32(RESULT.trap, UNEXPECTED_EXIT + reason, true);
      record.setBigUint64(RESULT.rip, state.getBigUint64(VCPU.rip, true), true);
    }
    this.readSegments(record);
    this.readFloat(record);
    return record;
  }

  /** The exception's stack frame, and what else depends on the vector. */
  private readFrame(record: DataView, vector: number): void {
    const top = GUEST + GPA.kernel + KERNEL.stackTop;
    const word = (index: number): bigint => this.view.getBigUint64(top - 8 * index, true);
    record.setUint32(RESULT.trap, vector, true);
    record.setUint32(RESULT.errorCode, ERROR_CODE_VECTORS.includes(vector) ? Number(word(6) & 0xffff_ffffn) : 0, true);
    record.setBigUint64(RESULT.cr2, vector === VECTOR_PAGE_FAULT ? this.state.getBigUint64(VCPU.cr2, true) : 0n, true);
    record.setBigUint64(RESULT.rip, word(5), true);
    record.setBigUint64(RESULT.rflags, word(3), true);
    record.setBigUint64(RESULT.gpr + 4 * 8, word(2), true);
    record.setUint16(RESULT.selectors, Number(word(4) & 0xffffn), true);
    record.setUint16(RESULT.selectors + 2, Number(word(1) & 0xffffn), true);
  }

  private readSegments(record: DataView): void {
    const { state } = this;
    [SEGMENT_DS, SEGMENT_ES, SEGMENT_FS, SEGMENT_GS].forEach((slot, i) => {
      record.setUint16(RESULT.selectors + 4 + 2 * i, state.getUint16(VCPU.segments + slot * SEGMENT_SIZE + SEGMENT_SELECTOR, true), true);
    });
    record.setBigUint64(RESULT.fsBase, state.getBigUint64(VCPU.segments + SEGMENT_FS * SEGMENT_SIZE + SEGMENT_BASE, true), true);
    record.setBigUint64(RESULT.gsBase, state.getBigUint64(VCPU.segments + SEGMENT_GS * SEGMENT_SIZE + SEGMENT_BASE, true), true);
  }

  private readFloat(record: DataView): void {
    const { state } = this;
    record.setUint32(RESULT.fx + FX.mxcsr, state.getUint32(VCPU.mxcsr, true), true);
    record.setUint16(RESULT.fx + FX.control, state.getUint32(VCPU.fpuControl, true), true);
    record.setUint16(RESULT.fx + FX.status, state.getUint32(VCPU.fpuStatus, true), true);
    record.setUint8(RESULT.fx + FX.tag, state.getUint32(VCPU.fpuTag, true));
    for (let n = 0; n < 8; n++) {
      const to = physicalOffset(record, RESULT.fx, n);
      for (let i = 0; i < 16; i += 4) record.setUint32(to + i, state.getUint32(VCPU.fpuRegisters + n * 16 + i, true), true);
    }
    for (let i = 0; i < 256; i += 4) record.setUint32(RESULT.fx + FX.xmm + i, state.getUint32(VCPU.xmm + i, true), true);
  }

  private memoryChanges(): Outcome["changes"] {
    const changes: Outcome["changes"] = [];
    if (Buffer.compare(this.data, this.before) === 0) return changes;
    const old = new BigUint64Array(this.before.buffer);
    for (let i = 0; i < DATA_SIZE; i += 8) {
      const value = this.view.getBigUint64(GUEST + GPA.data + i, true);
      if (value !== old[i >> 3]) changes.push({ address: DATA_BASE + i, value });
    }
    return changes;
  }
}
