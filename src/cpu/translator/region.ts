/**
 * One region: the function that does what a set of traces does.
 *
 *   load registers and flags
 *   block exit
 *     block exitToOp                   ways out in the middle of a trace
 *       loop again
 *         block n … block 0
 *           br_table entry             each trace is a block and may be entered
 *         end    trace 0               jumps forward are branches, jumps back set the entry and go round `again`
 *         …      trace n
 *   store registers and flags, answer where the interpreter goes on
 *
 * Every block begins by taking its instructions from the budget and looking at the request word, as the interpreter does between traces, so that
 * requests are seen and instructions counted just the same.
 */
import { MODE_64, PC_CACHE_ENTRIES, SEGMENT_BASE, SEGMENT_SIZE, VCPU, VCPU_AREA } from "../../abi/layout.js";
import { BlockWriter } from "./block-writer.js";
import { FUNCTIONS, IMPLICIT_REGISTERS } from "./functions.js";
import { type Instruction, TEMPLATES } from "./instructions.js";
import { FLAG_NOTE_SET_SHIFT, I32_LOCALS, I64_LOCALS, LOCAL, REGISTER_COUNT } from "./region-layout.js";
import { goesToDisplacement, HANDLER_REGION, HANDLER_TRACE_END, type Op, type Trace } from "./traces.js";
import { VECTORS } from "./vector.js";
import { CodeWriter, type FunctionCode, type Label, W } from "./wasm-writer.js";

const HANDLER_ADDRESS_SEGMENT = 4;
const HANDLER_DEAD = 2;
const RSP = 4;
const ADDRESS_BITS = 48;
const PC_CACHE_KEY_EPOCH_SHIFT = 2;
const FIRST_OP = 32;
const OP_LINK = 24;
const OP_SIZE_SHIFT = 5;
const TRACE_INSTRUCTIONS = 20;
const FUNCTION_NAME = /^([a-zA-Z]+?)(8|16|32|64)$/;

/** Where the region is in the core's table, and whose it is. */
export interface RegionPlace {
  readonly slot: number;
  /** Address of the vCPU's state. */
  readonly base: number;
}

/** Writes the function of the region of `traces`, which are in the order of their addresses. */
export function writeRegion(traces: readonly Trace[], place: RegionPlace): FunctionCode {
  return new RegionWriter(traces, place).write();
}

class RegionWriter {
  readonly #code = new CodeWriter();
  readonly #place: RegionPlace;
  readonly #traces: readonly Trace[];
  readonly #blockByRip: ReadonlyMap<bigint, number>;
  readonly #registers: number;
  readonly #exit: Label;
  readonly #exitToOp: Label;
  readonly #again: Label;
  readonly #labels: Label[] = [];
  readonly #w: BlockWriter;
  #block = 0;
  #calls = false;
  #self: Label | undefined;

  constructor(traces: readonly Trace[], place: RegionPlace) {
    this.#traces = traces;
    this.#place = place;
    this.#blockByRip = new Map(traces.map(({ rip }, block) => [rip, block]));
    this.#exit = this.#code.open(W.block);
    this.#exitToOp = this.#code.open(W.block);
    this.#again = this.#code.open(W.loop);
    this.#w = new BlockWriter(this.#code, place.base, this.#exit, this.#exitToOp);
    this.#registers = this.#namedRegisters();
  }

  write(): FunctionCode {
    const code = this.#code;
    for (let block = this.#traces.length - 1; block >= 0; block--) this.#labels[block] = code.open(W.block);
    code.get(LOCAL.entry).branchTable([...this.#labels, this.#labels[0]!]);
    this.#traces.forEach((trace, block) => {
      code.close();
      this.#writeBlock(trace, block);
    });
    code.close().close();
    code.get(LOCAL.exitOp).i32(OP_SIZE_SHIFT).op(W.i32Shl).get(LOCAL.exitTrace).op(W.i32Add).set(LOCAL.exitOp).close();
    this.#store(code, this.#w.writtenRegisters);
    this.#storeFlagNote();
    const { base } = this.#place;
    code.i32(base + VCPU.regionTrace).get(LOCAL.exitTrace).access(W.i32Store);
    code.get(LOCAL.remaining).op(W.i64ExtendU).i64(32).op(W.i64Shl).get(LOCAL.exitOp).op(W.i64ExtendU, W.i64Or);
    if ((this.#w.usedRegisters & ~this.#registers) !== 0) throw new Error("expected a region to use the registers that its ops name");
    const all = new CodeWriter();
    // A call keeps all registers that are named, so they have to be there.
    this.#load(all, this.#calls ? this.#registers : this.#w.usedRegisters);
    all.append(code.bytes);
    return { code: all.bytes, i32Locals: I32_LOCALS, i64Locals: I64_LOCALS };
  }

  /** The general registers that the ops name or imply, a bit each. */
  #namedRegisters(): number {
    let registers = 1 << RSP;
    for (const { ops } of this.#traces) {
      for (const op of ops) {
        for (const address of [op.reg, op.rm, op.index]) {
          const named = this.#w.registerAt(address);
          if (named !== undefined) registers |= 1 << named.number;
        }
        if (op.meaning !== null && op.meaning.size === undefined) registers |= IMPLICIT_REGISTERS;
      }
    }
    return registers;
  }

  /** Visits the locals of `registers` (a bit each) and of the flags, with the places of both in the vCPU's state. */
  #each(registers: number, visit: (local: number, address: number) => void): void {
    const { base } = this.#place;
    for (let number = 0; number < REGISTER_COUNT; number++) {
      if ((registers & (1 << number)) !== 0) visit(LOCAL.registers + number, base + VCPU.gpr + number * 8);
    }
    visit(LOCAL.flagResult, base + VCPU.flagResult);
    visit(LOCAL.flagAux, base + VCPU.flagAux);
    visit(LOCAL.flagExtra, base + VCPU.flagExtra);
  }

  #load(code: CodeWriter, registers: number): void {
    this.#each(registers, (local, address) => code.i32(address).access(W.i64Load).set(local));
  }

  #store(code: CodeWriter, registers: number): void {
    this.#each(registers, (local, address) => code.i32(address).get(local).access(W.i64Store));
  }

  /** Stores which operation the flags come from, with its operands, where the words have not been written. */
  #storeFlagNote(): void {
    const code = this.#code;
    const { base } = this.#place;
    code.i32(base + VCPU.regionFlags).get(LOCAL.flagNote).access(W.i32Store).get(LOCAL.flagNote);
    code.open(W.if);
    for (let field = 0; field < 4; field++) {
      const local = LOCAL.flagSets + field;
      code.i32(base + VCPU.regionFlagOperands + field * 8).get(local + 4).get(local).get(LOCAL.flagNote).i32(1 << FLAG_NOTE_SET_SHIFT).op(W.i32And, W.select).access(W.i64Store);
    }
    code.close();
  }

  #writeBlock(trace: Trace, block: number): void {
    const code = this.#code;
    const w = this.#w;
    this.#block = block;
    w.begin(trace);
    const loops = trace.ops.some((op) => goesToDisplacement(op) && op.displacement === 0);
    this.#self = loops ? code.open(W.loop) : undefined;
    this.#takeBudget(trace);
    for (const op of trace.ops) {
      if (this.#writeOp(trace, op)) break;
    }
    if (loops) code.close();
    this.#self = undefined;
  }

  /** Takes the instructions of `trace` from the budget; leaves when there is none left or something is requested. */
  #takeBudget({ rip, instructions }: Trace): void {
    const code = this.#code;
    code.get(LOCAL.remaining).i32(instructions).op(W.i32Sub).tee(LOCAL.remaining).i32(0).op(W.i32LtS);
    code.i32(this.#place.base + VCPU.request).access(W.i32Load).op(W.i32Or);
    code.open(W.if);
    code.get(LOCAL.remaining).i32(instructions).op(W.i32Add).set(LOCAL.remaining).i64(rip);
    this.#w.exitToRip();
    code.close();
  }

  /** Returns true when nothing of the trace is reached behind `op`. */
  #writeOp(trace: Trace, op: Op): boolean {
    const w = this.#w;
    if (op.handler === HANDLER_TRACE_END) return this.#jump(trace, op);
    if (op.handler === HANDLER_ADDRESS_SEGMENT) {
      w.pushAddress(op);
      this.#code.i32(this.#place.base + VCPU.segments + op.segment * SEGMENT_SIZE + SEGMENT_BASE).access(W.i64Load).op(W.i64Add).set(LOCAL.microAddress);
      w.setMicro(op);
      return false;
    }
    const ends = this.#writeInstruction(trace, op);
    w.setMicro(undefined);
    return ends;
  }

  #writeInstruction(trace: Trace, op: Op): boolean {
    const { meaning } = op;
    if (meaning === null) {
      this.#w.exitAt(op);
      return true;
    }
    if (meaning.size === undefined) {
      if (!this.#writeFunction(op, meaning.run)) this.#callInterpreter(op);
      return false;
    }
    switch (meaning.run) {
      case "jcc": this.#conditionalJump(trace, op, meaning.parameter!); return false;
      case "jmp": return this.#jump(trace, op);
      case "call": return this.#call(trace, op);
      case "callRm": case "jmpRm": return this.#indirect(trace, op, meaning.run === "callRm", meaning.form!);
      case "ret": return this.#return(op);
      default: break;
    }
    const emit = TEMPLATES[meaning.run];
    if (emit !== undefined && emit(this.#w, { ...(meaning as Required<typeof meaning>), op } satisfies Instruction)) return false;
    // What cannot be done here is left to the dispatch loop, which has it inlined.
    this.#w.exitAt(op);
    return true;
  }

  /** Writes what the interpreter has a function for. Returns false when it cannot. */
  #writeFunction(op: Op, name: string): boolean {
    const vector = VECTORS[name];
    if (vector !== undefined) {
      return vector(this.#w, op, () => {
        this.#calls = true;
        this.#w.callAside(op, this.#restore, this.#keep);
      });
    }
    const [, family = name, size = "0"] = FUNCTION_NAME.exec(name) ?? [];
    return FUNCTIONS[family]?.(this.#w, op, Number(size)) ?? false;
  }

  readonly #restore = (): void => { this.#load(this.#code, this.#registers); };
  readonly #keep = (): void => { this.#store(this.#code, this.#registers); };

  #callInterpreter(op: Op): void {
    this.#calls = true;
    this.#w.callInterpreter(op, this.#restore, this.#keep);
  }

  // ------------------------------------------------------------------------------------------------ jumps

  /** The block that `op` of `trace` jumps to, if the region has it and may go there: to another page only by a branch that has a link. */
  #target(trace: Trace, op: Op): number | undefined {
    const rip = trace.rip + BigInt(op.displacement);
    const block = this.#blockByRip.get(rip);
    if (block === undefined) return undefined;
    if (this.#isNear(trace, block)) return block;
    return op.handler === HANDLER_TRACE_END || op.meaning?.run === "jcc" ? undefined : block;
  }

  /** Traces of one guest page are dropped together, so that who runs one may go to another. */
  #isNear(trace: Trace, block: number): boolean {
    const { rip, gfn } = this.#traces[block]!;
    return gfn === trace.gfn && rip >> 12n === trace.rip >> 12n;
  }

  /** Leaves at `op` unless its link to the trace of `block`, in another page, still counts and that trace has not been dropped. */
  #checkFar(trace: Trace, op: Op, block: number): void {
    if (this.#isNear(trace, block)) return;
    const code = this.#code;
    const { address } = this.#traces[block]!;
    code.i32(op.address).access(W.i64Load, OP_LINK);
    code.get(LOCAL.pcEpoch).access(W.i32Load).i32(PC_CACHE_KEY_EPOCH_SHIFT).op(W.i32Shl).i32(MODE_64).op(W.i32Or, W.i64ExtendU).i64(32).op(W.i64Shl).i64(address).op(W.i64Or, W.i64Ne);
    code.i32(address).access(W.i32Load16U, FIRST_OP).i32(HANDLER_DEAD).op(W.i32Eq, W.i32Or);
    this.#w.exitIf(op);
  }

  /** Goes on with `block`; the flags' words have been written. */
  #goto(block: number): void {
    if (block > this.#block) this.#code.branch(this.#labels[block]!);
    else if (block === this.#block && this.#self !== undefined) this.#code.branch(this.#self);
    else this.#code.i32(block).set(LOCAL.entry).branch(this.#again);
  }

  #jump(trace: Trace, op: Op): true {
    const block = this.#target(trace, op);
    if (block === undefined) this.#w.exitAt(op);
    else {
      this.#checkFar(trace, op, block);
      this.#w.flags.writeWords();
      this.#goto(block);
    }
    return true;
  }

  #conditionalJump(trace: Trace, op: Op, condition: number): void {
    const code = this.#code;
    const { flags } = this.#w;
    const block = this.#target(trace, op);
    flags.condition(condition);
    code.open(W.if);
    if (block === undefined) this.#w.exitAt(op);
    else {
      flags.writeWords();
      code.get(LOCAL.remaining).i32(op.immediateHigh).op(W.i32Add).set(LOCAL.remaining);
      this.#goto(block);
    }
    code.close();
  }

  #call(trace: Trace, op: Op): true {
    const block = this.#target(trace, op);
    if (block === undefined) {
      this.#w.exitAt(op);
      return true;
    }
    this.#checkFar(trace, op, block);
    this.#pushReturn(trace, op);
    this.#w.flags.writeWords();
    this.#goto(block);
    return true;
  }

  #pushReturn(trace: Trace, op: Op): void {
    this.#code.i64(trace.rip + BigInt(op.ripOffset + op.length)).set(LOCAL.value);
    this.#w.push(op, LOCAL.value);
  }

  #indirect(trace: Trace, op: Op, isCall: boolean, form: string): true {
    const w = this.#w;
    if (form === "r") w.pushValue(op, op.rm, 64);
    else w.loadOperand(op, 64);
    this.#code.set(LOCAL.target);
    this.#checkCanonical(op);
    if (isCall) this.#pushReturn(trace, op);
    this.#gotoTarget();
    return true;
  }

  #return(op: Op): true {
    const w = this.#w;
    this.#code.get(w.stackPointer);
    w.locateRead(op, 8);
    w.load(64);
    this.#code.set(LOCAL.target);
    this.#checkCanonical(op);
    this.#code.get(w.stackPointer).i64(8).op(W.i64Add).set(w.writtenRegister(RSP));
    this.#gotoTarget();
    return true;
  }

  /** Leaves at `op`, which faults, when LOCAL.target is no canonical address. */
  #checkCanonical(op: Op): void {
    const unused = 64 - ADDRESS_BITS;
    this.#code.get(LOCAL.target).i64(unused).op(W.i64Shl).i64(unused).op(W.i64ShrS).get(LOCAL.target).op(W.i64Ne);
    this.#w.exitIf(op);
  }

  /** Goes to the trace of LOCAL.target by way of the PC cache: in this region, by the interpreter's hand in another. */
  #gotoTarget(): void {
    const code = this.#code;
    const { base, slot } = this.#place;
    this.#w.flags.settle();
    const slow = code.open(W.block);
    code.get(LOCAL.pcCache).op(W.i32Eqz).branch(slow, W.brIf);
    code.get(LOCAL.target).op(W.i32Wrap).get(LOCAL.target).i64(14).op(W.i64ShrU, W.i32Wrap, W.i32Xor).i32(PC_CACHE_ENTRIES - 1).op(W.i32And)
      .i32(4).op(W.i32Shl).get(LOCAL.pcCache).op(W.i32Add).tee(LOCAL.pointer).access(W.i64Load).get(LOCAL.target).op(W.i64Ne).branch(slow, W.brIf);
    code.get(LOCAL.pointer).access(W.i32Load, 8).get(LOCAL.pcEpoch).access(W.i32Load).i32(PC_CACHE_KEY_EPOCH_SHIFT).op(W.i32Shl).i32(MODE_64).op(W.i32Or, W.i32Ne)
      .branch(slow, W.brIf);
    code.get(LOCAL.pointer).access(W.i32Load, 12).tee(LOCAL.trace).access(W.i64Load, FIRST_OP).i64((BigInt(slot) << 32n) | BigInt(HANDLER_REGION)).op(W.i64Eq);
    code.open(W.if);
    code.get(LOCAL.trace).access(W.i32Load, FIRST_OP + 8).set(LOCAL.entry).branch(this.#again);
    code.close();
    code.get(LOCAL.remaining).get(LOCAL.trace).access(W.i32Load16U, TRACE_INSTRUCTIONS).op(W.i32Sub).tee(LOCAL.count).i32(0).op(W.i32LtS);
    code.i32(base + VCPU.request).access(W.i32Load).op(W.i32Or).branch(slow, W.brIf);
    code.get(LOCAL.count).set(LOCAL.remaining).get(LOCAL.trace).tee(LOCAL.exitTrace).i32(FIRST_OP).op(W.i32Add).set(LOCAL.exitOp).branch(this.#exit);
    code.close();
    code.i32(base + VCPU.rip).get(LOCAL.target).access(W.i64Store).i32(base + VCPU_AREA.dispatchOps).set(LOCAL.exitOp).branch(this.#exit);
  }
}
