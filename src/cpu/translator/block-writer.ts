/**
 * What all instructions of a region are written with: operands, guest memory, ways out.
 *
 * Where guest registers are is the business of register-file.ts. A memory access looks into the TLB as the interpreter does; where it finds nothing the region is left
 * at that instruction, of which nothing has happened, and the interpreter does it. No frame's address outlives its block (page-windows.ts)
 * or a loop that looks for requests in each round (kept-pages.ts).
 */
import { TLB_TAG_READ, TLB_TAG_WRITE, VCPU, VCPU_AREA } from "../../abi/layout.js";
import { CR0_EM, CR0_TS, CR4_OSFXSR } from "./constants.js";
import { FlagTracker } from "./flag-state.js";
import { KeptPages } from "./kept-pages.js";
import { PageWindows, type Place, type Window } from "./page-windows.js";
import { GLOBAL, LOCAL, REGISTER_COUNT, registerAt, RSP, TRACE_ADDRESS_SIZE } from "./region-layout.js";
import type { NamedRegisters } from "./region-plan.js";
import { RegisterFile } from "./register-file.js";
import { pushEntry, pushHostAddress, pushIsElsewhere } from "./tlb-look-up.js";
import { isMemory, type Op, OPERAND_IMMEDIATE, OPERAND_RIP, OP_SIZE, type Trace } from "./traces.js";
import { type CodeWriter, FUNCTION, type Label, W } from "./wasm-writer.js";

/** Answer of callFromRegion (generate/run-loop.ts). */
const MAY_GO_ON = 2;

/** Where a region is left: `toOp` for the op of the number in LOCAL.exitOp, in units of 32 bytes from the begin of the trace of LOCAL.exitBlock; `toTarget` for LOCAL.target. */
export interface Exits { readonly toOp: Label; readonly toTarget: Label }

/** Writes the instructions of one block after the other into `code`. */
export class BlockWriter {
  readonly flags: FlagTracker;
  readonly registers: RegisterFile;
  /** Those of a loop with resident registers store them. */
  exits: Exits;
  /** Whether FUNCTION.helper, which is that of page-windows.ts, has been called. */
  callsHelper = false;
  #trace!: Trace;
  #block = 0;
  #micro: Op | undefined;
  readonly #windows: PageWindows;
  readonly #kept: KeptPages;
  /** How often the block's ops have an address by a register, and nothing else but a constant. */
  #uses: readonly number[] = [];
  /** General registers to which the loop that is being written adds constants, a bit each, if its registers are in locals. */
  #stepped = 0;
  /** Blocks of WebAssembly that were open when this one began. */
  #depth = 0;
  /** The linear address that was pushed last, if it is of a register and a constant. */
  #place: Place | undefined;
  /** Where in a window lies what was located last; undefined = it was looked up alone. */
  #window: { readonly window: Window; readonly distance: number } | undefined;
  /** Whether the block has found out that SSE may be used; a function of the interpreter may change that. */
  #sseAllowed = false;

  constructor(readonly code: CodeWriter, exits: Exits) {
    this.flags = new FlagTracker(code);
    this.#windows = new PageWindows(code);
    this.#kept = new KeptPages(code);
    this.registers = new RegisterFile(code, (register) => this.#windows.forgetRegister(register));
    this.exits = exits;
  }

  get trace(): Trace { return this.#trace; }

  /** Begins with the instructions of `trace`, which is block `block`; `words` as FlagTracker.begin has it. */
  begin(trace: Trace, block: number, words: boolean): void {
    this.#trace = trace;
    this.#block = block;
    this.#micro = undefined;
    this.#sseAllowed = false;
    this.flags.begin(words);
    this.registers.beginBlock();
    this.#windows.forget();
    this.#uses = usesOf(trace);
    this.#depth = this.code.depth;
    this.code.i32(block).set(LOCAL.exitBlock);
  }

  /** Ends the block. */
  end(): void { this.#windows.complete(); }

  /** What is behind may not be done, for the block may be left here. */
  part(): void { this.#windows.part(); }

  /** Remembers that the address micro-operation before the next op has left its result in LOCAL.microAddress; undefined = that op is done. */
  setMicro(micro: Op | undefined): void { this.#micro = micro; }

  // ------------------------------------------------------------------------------------------------ registers, immediates

  /** Local of general register `number`, with its value. */
  register(number: number): number { return this.registers.read(number); }

  /** As register, for one that is about to be written. */
  writtenRegister(number: number): number { return this.registers.change(number); }

  get stackPointer(): number { return this.register(RSP); }

  /** Whether `operand` is something that pushValue can read. */
  isReadable(operand: number): boolean { return operand === OPERAND_IMMEDIATE || registerAt(operand) !== undefined; }

  /** Pushes `operand` of `op`, zero extended from `size` bits. */
  pushValue(op: Op, operand: number, size: number): void {
    const { code } = this;
    if (operand === OPERAND_IMMEDIATE) return void this.pushImmediate(op, size);
    const { number, high } = registerAt(operand)!;
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

  /** Stores the value on the stack, zero extended from `size` bits, in the register `operand`; 32 bits clear the upper half. */
  setRegister(operand: number, size: number): void {
    const { code } = this;
    const { number, high } = registerAt(operand)!;
    if (size < 32) {
      if (high) code.i64(8).op(W.i64Shl);
      code.get(this.register(number)).i64(high ? ~0xff00 : size === 16 ? ~0xffff : ~0xff).op(W.i64And, W.i64Or);
    }
    code.set(this.registers.assign(number));
  }

  // ------------------------------------------------------------------------------------------------ guest memory

  /** Pushes the linear address of the memory operand. */
  pushAddress(op: Op): void {
    const { code } = this;
    this.#place = placeOf(op);
    let isEmpty = !this.#pushCell(op.rm);
    if (op.index !== VCPU.zero) {
      this.#pushCell(op.index);
      if (op.scale !== 0) code.i64(op.scale).op(W.i64Shl);
      if (!isEmpty) code.op(W.i64Add);
      isEmpty = false;
    }
    if (isEmpty) code.i64(op.displacement);
    else if (op.displacement !== 0) code.i64(op.displacement).op(W.i64Add);
  }

  /** Pushes the 64 bits of `operand`, which is in the vCPU's state or the trace's RIP. Returns false, and pushes nothing, when they are always 0. */
  #pushCell(operand: number): boolean {
    const { code } = this;
    if (operand === VCPU.zero) return false;
    const register = registerAt(operand);
    if (register !== undefined) code.get(this.register(register.number));
    else if (operand === OPERAND_RIP) code.i64(this.#trace.rip);
    else if (operand === VCPU.temporaryAddress && this.#micro !== undefined) code.get(LOCAL.microAddress);
    else code.get(LOCAL.base).access(W.i64Load, operand);
    return true;
  }

  /** Pushes the linear address `displacement` behind general register `register`. */
  pushPlace(register: number, displacement: number): void {
    this.code.get(this.register(register));
    if (displacement !== 0) this.code.i64(displacement).op(W.i64Add);
    this.#place = { register, displacement };
  }

  /**
   * Takes the linear address from the stack, which pushAddress or pushPlace has pushed, and leaves in LOCAL.address; finds where its `bytes` can be read (written), for `access`; else
   * the region is left at `op`.
   */
  #locate(op: Op, bytes: number, writes: boolean): void {
    const { code } = this;
    const place = this.#place;
    this.#place = undefined;
    this.#window = undefined;
    code.set(LOCAL.address);
    if (place === undefined || code.depth !== this.#depth || !this.#isWorthWindow(place.register)) return this.#lookUp(op, bytes, writes);
    const { window, distance, isNew } = this.#windows.find(place, bytes, writes);
    this.#window = { window, distance };
    if (this.#trace.missesWindows) this.#locateAnyway(op, bytes, writes, isNew);
    else if (isNew) {
      window.writeLookUp(distance);
      this.#exitIf(op, (first) => window.writeMissed(first));
      window.writeFound();
    } else code.get(window.local).set(LOCAL.pointer);
  }

  /** As #locate, in a block whose windows are often missed: the access has one, which begins here or (`isNew` false) has been looked up, and looks itself up where that is not there. */
  #locateAnyway(op: Op, bytes: number, writes: boolean, isNew: boolean): void {
    const { code } = this;
    const { window, distance } = this.#window!;
    this.callsHelper = true;
    this.registers.flush();
    if (isNew) window.writeLookUp(distance);
    else window.pushIsMissing();
    code.openUnlikely();
    if (isNew) code.i32(0).set(window.local);
    code.get(LOCAL.tlb);
    if (writes) code.i32(TLB_TAG_WRITE).op(W.i32Add);
    code.get(LOCAL.address).get(LOCAL.address);
    if (bytes > 1) code.i64(bytes - 1).op(W.i64Add);
    code.op(W.call).unsigned(FUNCTION.helper).tee(LOCAL.pointer).op(W.i32Eqz);
    this.exitIf(op);
    code.get(LOCAL.pointer).op(W.i32Const);
    window.writeFromLow(distance);
    code.op(W.i32Sub).set(LOCAL.pointer);
    if (isNew) {
      code.op(W.else);
      window.writeFound();
    }
    code.close();
  }

  /** Looks up the `bytes` at LOCAL.address alone. */
  #lookUp(op: Op, bytes: number, writes: boolean): void {
    const { code } = this;
    const findEntry = (): void => {
      pushEntry(code, LOCAL.address);
      code.set(LOCAL.tlbEntry).get(LOCAL.address);
      if (bytes > 1) code.i64(bytes - 1).op(W.i64Add);
      pushIsElsewhere(code, writes ? TLB_TAG_WRITE : TLB_TAG_READ);
      this.exitIf(op);
    };
    if (!this.#kept.pushKept(bytes, findEntry)) {
      findEntry();
      pushHostAddress(code, LOCAL.address);
    }
    code.set(LOCAL.pointer);
  }

  /** Whether so many ops of the block have an address by `register` and a constant that one look-up for all takes less; where the loop goes through an array and keeps its page, that is more than two. */
  #isWorthWindow(register: number): boolean { return this.#uses[register]! > ((this.#stepped & (1 << register)) !== 0 && this.#kept.isAtHand ? 2 : 1); }

  locateRead(op: Op, bytes: number): void { this.#locate(op, bytes, false); }
  locateWrite(op: Op, bytes: number): void { this.#locate(op, bytes, true); }

  /** Pushes the i32 from which `access` reaches what has been located. */
  pushPointer(): void { this.code.get(LOCAL.pointer); }

  /** Pushes the host address of what has been located. */
  pushHostAddress(): void {
    this.pushPointer();
    if (this.#window === undefined) return;
    this.code.op(W.i32Const);
    this.#window.window.writeFromLow(this.#window.distance);
    this.code.op(W.i32Add);
  }

  /** A load from, or a store to, what has been located; `opcode` is of SIMD if `simd`. */
  access(opcode: number, simd = false): void {
    const { code } = this;
    if (simd) code.simd(opcode).op(0);
    else code.op(opcode, 0);
    if (this.#window === undefined) code.unsigned(0);
    else this.#window.window.writeFromLow(this.#window.distance);
  }

  /** Pushes the `size` bits that have been located, zero extended. */
  load(size: number): void {
    this.pushPointer();
    this.access(size === 64 ? W.i64Load : size === 32 ? W.i64Load32U : size === 16 ? W.i64Load16U : W.i64Load8U);
  }

  /** Stores the value of `local` as the `size` bits that have been located. */
  store(size: number, local: number): void {
    this.pushPointer();
    this.code.get(local);
    this.access(size === 64 ? W.i64Store : size === 32 ? W.i64Store32 : size === 16 ? W.i64Store16 : W.i64Store8);
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
    this.pushPlace(RSP, -8);
    this.locateWrite(op, 8);
    this.store(64, local);
    code.get(LOCAL.address);
    this.setDerived(RSP, RSP, -8);
  }

  /** Takes the value on the stack for register `register`, which it is to be `by` above what register `from` is. */
  setDerived(register: number, from: number, by: number): void {
    const origin = this.#windows.originOf(from);
    this.code.set(this.registers.assign(register));
    this.#windows.derive(register, origin, by);
  }

  // ------------------------------------------------------------------------------------------------ ways out

  /** Leaves the region at `op`, of which nothing has happened, when the i32 on the stack is not 0. */
  exitIf(op: Op): void { this.#exitIf(op, (first) => this.code.i32(first)); }

  #exitIf(op: Op, pushFirst: (first: number) => void): void {
    this.registers.flush();
    this.code.openUnlikely();
    this.#exitAt(op, pushFirst);
    this.code.close();
  }

  /** Leaves the region at `op`, of which nothing has happened. */
  exitAt(op: Op): void { this.#exitAt(op, (first) => this.code.i32(first)); }

  /** As exitAt; `pushFirst` pushes the number of the op to go on with, which it gets. */
  #exitAt(op: Op, pushFirst: (first: number) => void): void {
    this.flags.writeNote();
    this.registers.flush();
    // A micro-operation belongs to its instruction: the interpreter has to do it too.
    pushFirst((this.#micro?.offset ?? op.offset) / OP_SIZE);
    this.code.set(LOCAL.exitOp).branch(this.exits.toOp);
  }

  /** Leaves the region; the interpreter looks for the trace at `rip`. */
  exitToRip(rip: bigint): void {
    this.flags.writeNote();
    this.registers.flush();
    this.code.i64(rip).set(LOCAL.target).branch(this.exits.toTarget);
  }

  /** Leaves at `op` when CR0 or CR4 forbid SSE (Intel SDM vol 3 §13.1); the interpreter raises what is due. */
  checkSse(op: Op): void {
    if (this.#sseAllowed) return;
    const { code } = this;
    code.get(LOCAL.base).access(W.i32Load, VCPU.cr0).i32(CR0_EM | CR0_TS).op(W.i32And).get(LOCAL.base).access(W.i32Load, VCPU.cr4).i32(CR4_OSFXSR).op(W.i32And, W.i32Eqz, W.i32Or);
    this.exitIf(op);
    this.#sseAllowed = true;
  }

  /** Lets the interpreter's function do `op`: registers and flags go to memory and come back. `leaveForBail` leaves for the bail op, with everything in memory. */
  callInterpreter(op: Op, leaveForBail: () => void): void {
    this.#sseAllowed = false;
    this.flags.writeNote();
    this.flags.keep();
    this.#call(op, leaveForBail, () => undefined);
    this.flags.restore();
    this.flags.wordsCame();
  }

  /** As callInterpreter, on one of two ways that meet again: the function does not touch flags, nor anything that SSE depends on. */
  callAside(op: Op, leaveForBail: () => void): void {
    this.#call(op, leaveForBail, () => {
      this.flags.writeNote();
      this.flags.keep();
    });
  }

  /** As callInterpreter, for a function that does not touch general registers or arithmetic flags, nor anything that SSE depends on. */
  callBare(op: Op, leaveForBail: () => void): void {
    this.#pushCall(op);
    this.code.openUnlikely();
    this.registers.store();
    this.flags.writeNote();
    this.flags.keep();
    leaveForBail();
    this.code.close();
    this.forgetPages();
  }

  /**
   * As callInterpreter, for a function that goes elsewhere and may change privilege: leaves VCPU.rip in LOCAL.target, where the region may go on
   * if it is left at all for that.
   */
  callAway(op: Op, leaveForBail: () => void): void {
    const { code } = this;
    this.flags.writeNote();
    this.flags.keep();
    this.registers.store();
    this.#pushCall(op);
    code.i32(MAY_GO_ON).op(W.i32Ne);
    code.openUnlikely();
    leaveForBail();
    code.close();
    this.#forget();
    this.flags.restore();
    this.flags.wordsCame();
    code.get(LOCAL.base).access(W.i32Load, VCPU.regionTlb).set(LOCAL.tlb).get(LOCAL.base).access(W.i64Load, VCPU.rip).set(LOCAL.target);
    const forPrivilege = (user: number, kernel: number): CodeWriter =>
      code.i32(user).i32(kernel).get(LOCAL.base).access(W.i32Load, VCPU.cpl).op(W.select).get(LOCAL.base).op(W.i32Add);
    forPrivilege(VCPU_AREA.userPcCache, VCPU_AREA.kernelPcCache).set(LOCAL.pcCache);
    forPrivilege(VCPU.userEpoch, VCPU.kernelEpoch).set(LOCAL.pcEpoch);
  }

  /** Calls the interpreter's function of `op`, and pushes its answer. */
  #pushCall(op: Op): void {
    pushTrace(this.code, this.#block);
    this.code.tee(LOCAL.trace).get(LOCAL.trace).i32(op.offset).op(W.i32Add, W.call).unsigned(FUNCTION.call);
  }

  #call(op: Op, leaveForBail: () => void, beforeBail: () => void): void {
    const { code } = this;
    if (this.#micro !== undefined) code.get(LOCAL.base).get(LOCAL.microAddress).access(W.i64Store, VCPU.temporaryAddress);
    this.registers.store();
    this.#pushCall(op);
    code.openUnlikely();
    beforeBail();
    leaveForBail();
    code.close();
    this.#forget();
  }

  /** A function of the interpreter may have changed registers and mappings. */
  #forget(): void {
    this.registers.reload();
    this.#windows.forget();
    this.#kept.forget();
  }

  /** What may be done to memory has changed. */
  forgetPages(): void {
    this.#windows.complete();
    this.#kept.forget();
  }

  /** Begins a loop whose registers and flags are in locals. */
  beginLoop({ used, written, stepped }: NamedRegisters): void {
    this.#stepped = stepped;
    this.registers.beginLoop(used, written);
    this.flags.beginLoop();
    this.#kept.beginLoop();
  }

  /** Ends that. */
  endLoop(): void {
    this.registers.endLoop();
    this.flags.endLoop();
    this.#kept.endLoop();
    this.#stepped = 0;
  }
}

/** Pushes the address of the trace of `block`, whose number is a constant. */
export function pushTrace(code: CodeWriter, block: number): void {
  code.op(W.globalGet).unsigned(GLOBAL.traces).access(W.i32Load, block * TRACE_ADDRESS_SIZE);
}

const STACK_INSTRUCTIONS: ReadonlySet<string> = new Set(["push", "pop", "call", "callRm", "ret"]);

/** The address of the memory operand of `op`, if it is a register and a constant. */
export function placeOf(op: Op): Place | undefined {
  const register = op.index === VCPU.zero ? registerAt(op.rm) : undefined;
  return register === undefined ? undefined : { register: register.number, displacement: op.displacement };
}

/** How often each general register and a constant are the address of something that `trace` accesses. */
function usesOf(trace: Trace): number[] {
  const uses = new Array<number>(REGISTER_COUNT).fill(0);
  for (const op of trace.ops) {
    const place = isMemory(op) ? placeOf(op) : undefined;
    if (place !== undefined) uses[place.register]!++;
    if (STACK_INSTRUCTIONS.has(op.meaning?.run ?? "")) uses[RSP]!++;
  }
  return uses;
}
