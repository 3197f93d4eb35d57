/**
 * What all instructions of a region are written with: operands, guest memory, ways out.
 *
 * Guest registers are locals while the region runs. A memory access looks into the TLB as the interpreter does; where it finds nothing the region is left
 * at that instruction, of which nothing has happened, and the interpreter does it. No frame's address outlives its instruction.
 */
import { TLB_ADDEND, TLB_ENTRIES, TLB_TAG_READ, TLB_TAG_WRITE, VCPU, VCPU_AREA } from "../../abi/layout.js";
import { CR0_EM, CR0_TS, CR4_OSFXSR } from "./constants.js";
import { FlagTracker } from "./flag-state.js";
import { LOCAL, REGISTER_COUNT, RSP } from "./region-layout.js";
import { type Op, OP_SIZE, type Trace } from "./traces.js";
import { type CodeWriter, type Label, W } from "./wasm-writer.js";

const TLB_ENTRY_SHIFT = 5;
const PAGE_MASK = -4096;
const OP_IMMEDIATE = 24;
/** Answer of callFromRegion (generate/run-loop.ts). */
const MAY_GO_ON = 2;

/** Number and byte of the general register at an address. */
interface Register { readonly number: number; readonly high: boolean }

/** Writes the instructions of one block after the other into `code`. */
export class BlockWriter {
  readonly flags: FlagTracker;
  /** General registers that have locals in this region, a bit each. */
  usedRegisters = 0;
  /** Those of them that the region changes. */
  writtenRegisters = 0;
  #trace!: Trace;
  #micro: Op | undefined;
  /** Whether the block has found out that SSE may be used; a function of the interpreter may change that. */
  #sseAllowed = false;

  /**
   * `base` is the vCPU's. Branches to `exitToOp` leave for the op of the number in LOCAL.exitOp, in units of 32 bytes from LOCAL.exitTrace; those to
   * `exitToTarget` for LOCAL.target.
   */
  constructor(readonly code: CodeWriter, readonly base: number, readonly exitToOp: Label, readonly exitToTarget: Label) {
    this.flags = new FlagTracker(code);
  }

  get trace(): Trace { return this.#trace; }

  /** Begins with the instructions of `trace`; `words` as FlagTracker.begin has it. */
  begin(trace: Trace, words: boolean): void {
    this.#trace = trace;
    this.#micro = undefined;
    this.#sseAllowed = false;
    this.flags.begin(words);
    this.code.i32(trace.address).set(LOCAL.exitTrace);
  }

  /** Remembers that the address micro-operation before the next op has left its result in LOCAL.microAddress; undefined = that op is done. */
  setMicro(micro: Op | undefined): void { this.#micro = micro; }

  // ------------------------------------------------------------------------------------------------ registers, immediates

  /** The general register that `address` is (a part of), or undefined. */
  registerAt(address: number): Register | undefined {
    const offset = address - (this.base + VCPU.gpr);
    if (offset < 0 || offset >= REGISTER_COUNT * 8 || (offset & 7) > 1) return undefined;
    return { number: offset >> 3, high: (offset & 7) === 1 };
  }

  /** Local of general register `number`. */
  register(number: number): number {
    this.usedRegisters |= 1 << number;
    return LOCAL.registers + number;
  }

  /** As register, for one that is about to be written. */
  writtenRegister(number: number): number {
    this.writtenRegisters |= 1 << number;
    return this.register(number);
  }

  get stackPointer(): number { return this.register(RSP); }

  isImmediate(op: Op, address: number): boolean { return address === op.address + OP_IMMEDIATE; }

  /** Whether `address` is something that pushValue can read. */
  isReadable(op: Op, address: number): boolean { return this.isImmediate(op, address) || this.registerAt(address) !== undefined; }

  /** Pushes the operand at `address`, zero extended from `size` bits. */
  pushValue(op: Op, address: number, size: number): void {
    const { code } = this;
    if (this.isImmediate(op, address)) return void this.pushImmediate(op, size);
    const { number, high } = this.registerAt(address)!;
    code.get(this.register(number));
    if (high) code.i64(8).op(W.i64ShrU);
    this.truncate(size);
  }

  /** Pushes the immediate, zero extended from `size` bits. */
  pushImmediate(op: Op, size: number): void {
    const { immediateLow: low, immediateHigh: high } = op;
    if (size === 64) this.code.i64(high === low >> 31 ? low : (BigInt(high) << 32n) | BigInt(low >>> 0));
    else this.code.i64(size === 32 ? low >>> 0 : low & (size === 16 ? 0xffff : 0xff));
  }

  /** Cuts the value on the stack to `size` bits. */
  truncate(size: number): void {
    if (size === 32) this.code.op(W.i32Wrap, W.i64ExtendU);
    else if (size < 32) this.code.i64(size === 16 ? 0xffff : 0xff).op(W.i64And);
  }

  /** Stores the value on the stack, zero extended from `size` bits, in the register at `address`; 32 bits clear the upper half. */
  setRegister(address: number, size: number): void {
    const { code } = this;
    const { number, high } = this.registerAt(address)!;
    const local = this.writtenRegister(number);
    if (size < 32) {
      if (high) code.i64(8).op(W.i64Shl);
      code.get(local).i64(high ? ~0xff00 : size === 16 ? ~0xffff : ~0xff).op(W.i64And, W.i64Or);
    }
    code.set(local);
  }

  // ------------------------------------------------------------------------------------------------ guest memory

  /** Pushes the linear address of the memory operand. */
  pushAddress(op: Op): void {
    const { code } = this;
    let isEmpty = !this.#pushCell(op.rm);
    if (op.index !== this.base + VCPU.zero) {
      this.#pushCell(op.index);
      if (op.scale !== 0) code.i64(op.scale).op(W.i64Shl);
      if (!isEmpty) code.op(W.i64Add);
      isEmpty = false;
    }
    if (isEmpty) code.i64(op.displacement);
    else if (op.displacement !== 0) code.i64(op.displacement).op(W.i64Add);
  }

  /** Pushes the 64 bits at `address` of the vCPU's state or of the trace's header. Returns false, and pushes nothing, when they are always 0. */
  #pushCell(address: number): boolean {
    const { code, base } = this;
    if (address === base + VCPU.zero) return false;
    const register = this.registerAt(address);
    if (register !== undefined) code.get(this.register(register.number));
    else if (address === this.#trace.address) code.i64(this.#trace.rip);
    else if (address === base + VCPU.temporaryAddress && this.#micro !== undefined) code.get(LOCAL.microAddress);
    else code.i32(address).access(W.i64Load);
    return true;
  }

  /** Takes the linear address from the stack and leaves in LOCAL.pointer where its `bytes` can be read (written); else the region is left at `op`. */
  #locate(op: Op, bytes: number, tag: number): void {
    const { code } = this;
    // The hash of interpreter/tlb.ts, tlbEntry, times the size of an entry.
    code.tee(LOCAL.address).i64(12 - TLB_ENTRY_SHIFT).op(W.i64ShrU).get(LOCAL.address).i64(24 - TLB_ENTRY_SHIFT).op(W.i64ShrU, W.i64Xor, W.i32Wrap)
      .i32((TLB_ENTRIES - 1) << TLB_ENTRY_SHIFT).op(W.i32And).get(LOCAL.tlb).op(W.i32Add).set(LOCAL.tlbEntry);
    code.get(LOCAL.address);
    if (bytes > 1) code.i64(bytes - 1).op(W.i64Add);
    code.i64(PAGE_MASK).op(W.i64And).get(LOCAL.tlbEntry).access(W.i64Load, tag).op(W.i64Ne);
    this.exitIf(op);
    code.get(LOCAL.address).op(W.i32Wrap).get(LOCAL.tlbEntry).access(W.i32Load, TLB_ADDEND).op(W.i32Add).set(LOCAL.pointer);
  }

  locateRead(op: Op, bytes: number): void { this.#locate(op, bytes, TLB_TAG_READ); }
  locateWrite(op: Op, bytes: number): void { this.#locate(op, bytes, TLB_TAG_WRITE); }

  /** Pushes the `size` bits at LOCAL.pointer, zero extended. */
  load(size: number): void {
    this.code.get(LOCAL.pointer).access(size === 64 ? W.i64Load : size === 32 ? W.i64Load32U : size === 16 ? W.i64Load16U : W.i64Load8U);
  }

  /** Stores the value of `local` as `size` bits at LOCAL.pointer. */
  store(size: number, local: number): void {
    this.code.get(LOCAL.pointer).get(local).access(size === 64 ? W.i64Store : size === 32 ? W.i64Store32 : size === 16 ? W.i64Store16 : W.i64Store8);
  }

  /** Pushes the memory operand's `size` bits, zero extended. */
  loadOperand(op: Op, size: number): void {
    this.pushAddress(op);
    this.locateRead(op, size / 8);
    this.load(size);
  }

  /** Pushes the value of `local` on the guest's stack. */
  push(op: Op, local: number): void {
    const { code } = this;
    code.get(this.stackPointer).i64(-8).op(W.i64Add);
    this.locateWrite(op, 8);
    this.store(64, local);
    code.get(LOCAL.address).set(this.writtenRegister(RSP));
  }

  // ------------------------------------------------------------------------------------------------ ways out

  /** Leaves the region at `op`, of which nothing has happened, when the i32 on the stack is not 0. */
  exitIf(op: Op): void {
    this.code.open(W.if);
    this.exitAt(op);
    this.code.close();
  }

  /** Leaves the region at `op`, of which nothing has happened. */
  exitAt(op: Op): void {
    const { code } = this;
    // A micro-operation belongs to its instruction: the interpreter has to do it too.
    const first = this.#micro?.address ?? op.address;
    this.flags.writeNote();
    code.i32((first - this.#trace.address) / OP_SIZE).set(LOCAL.exitOp).branch(this.exitToOp);
  }

  /** Leaves the region; the interpreter looks for the trace at `rip`. */
  exitToRip(rip: bigint): void {
    this.flags.writeNote();
    this.code.i64(rip).set(LOCAL.target).branch(this.exitToTarget);
  }

  /** Leaves at `op` when CR0 or CR4 forbid SSE (Intel SDM vol 3 §13.1); the interpreter raises what is due. */
  checkSse(op: Op): void {
    if (this.#sseAllowed) return;
    const { code, base } = this;
    code.i32(base + VCPU.cr0).access(W.i32Load).i32(CR0_EM | CR0_TS).op(W.i32And).i32(base + VCPU.cr4).access(W.i32Load).i32(CR4_OSFXSR).op(W.i32And, W.i32Eqz, W.i32Or);
    this.exitIf(op);
    this.#sseAllowed = true;
  }

  /** Lets the interpreter's function do `op`: registers and flags go to memory and come back. */
  callInterpreter(op: Op, state: StateTransfer): void {
    this.#sseAllowed = false;
    this.flags.writeNote();
    state.keepFlags();
    this.#call(op, state, () => undefined);
    state.restoreFlags();
    this.flags.putWords();
  }

  /** As callInterpreter, on one of two ways that meet again: the function does not touch flags, nor anything that SSE depends on. */
  callAside(op: Op, state: StateTransfer): void {
    this.#call(op, state, () => {
      this.flags.writeNote();
      state.keepFlags();
    });
  }

  /** As callInterpreter, for a function that does not touch general registers or arithmetic flags, nor anything that SSE depends on. */
  callBare(op: Op, state: StateTransfer): void {
    this.#pushCall(op);
    this.code.open(W.if);
    state.keepRegisters();
    this.flags.writeNote();
    state.keepFlags();
    state.leaveForBail();
    this.code.close();
  }

  /**
   * As callInterpreter, for a function that goes elsewhere and may change privilege: leaves VCPU.rip in LOCAL.target, where the region may go on
   * if it is left at all for that.
   */
  callAway(op: Op, state: StateTransfer): void {
    const { code, base } = this;
    this.flags.writeNote();
    state.keepFlags();
    state.keepRegisters();
    this.#pushCall(op);
    code.i32(MAY_GO_ON).op(W.i32Ne);
    code.open(W.if);
    state.leaveForBail();
    code.close();
    state.restoreRegisters();
    state.restoreFlags();
    this.flags.putWords();
    code.i32(base + VCPU.regionTlb).access(W.i32Load).set(LOCAL.tlb).i32(base + VCPU.rip).access(W.i64Load).set(LOCAL.target);
    const forPrivilege = (user: number, kernel: number): CodeWriter =>
      code.i32(base + user).i32(base + kernel).i32(base + VCPU.cpl).access(W.i32Load).op(W.select);
    forPrivilege(VCPU_AREA.userPcCache, VCPU_AREA.kernelPcCache).set(LOCAL.pcCache);
    forPrivilege(VCPU.userEpoch, VCPU.kernelEpoch).set(LOCAL.pcEpoch);
  }

  /** Calls the interpreter's function of `op`, and pushes its answer. */
  #pushCall(op: Op): void {
    this.code.i32(this.#trace.address).i32(op.address).op(W.call).unsigned(0);
  }

  #call(op: Op, state: StateTransfer, beforeBail: () => void): void {
    const { code, base } = this;
    if (this.#micro !== undefined) code.i32(base + VCPU.temporaryAddress).get(LOCAL.microAddress).access(W.i64Store);
    state.keepRegisters();
    this.#pushCall(op);
    code.open(W.if);
    beforeBail();
    state.leaveForBail();
    code.close();
    state.restoreRegisters();
  }
}

/** How the state of a region goes to memory and back around a function of the interpreter. */
export interface StateTransfer {
  keepRegisters(): void;
  restoreRegisters(): void;
  /** The words or the note. */
  keepFlags(): void;
  restoreFlags(): void;
  /** Leaves for the bail op, with everything in memory. */
  leaveForBail(): void;
}
