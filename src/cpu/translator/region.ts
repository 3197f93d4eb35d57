/**
 * One region: the function that does what a set of traces does. What is around them is in region-frame.ts; they are blocks of WebAssembly, and loops of them (control-flow.ts).
 */
import { MODE_64, SEGMENT_BASE, SEGMENT_SIZE, VCPU, VCPU_AREA } from "../../abi/layout.js";
import { BlockWriter, pushTrace } from "./block-writer.js";
import { contains, type Item, type Level, type Loop, routeTo } from "./control-flow.js";
import { AWAY_FUNCTIONS, BARE_FUNCTIONS, FUNCTIONS } from "./functions.js";
import { type Instruction, TEMPLATES } from "./instructions.js";
import { answer, checkRequest, ENTRY_MASK, noteReturn, RegionFrame } from "./region-frame.js";
import { writeLocate } from "./page-windows.js";
import { GLOBAL, I32_LOCALS, I64_LOCALS, LOCAL, RSP, V128_LOCALS } from "./region-layout.js";
import { isNear, namedRegisters, planRegion, type RegionPlan } from "./region-plan.js";
import { HANDLER_TRACE_END, type Op, OP_LINK, OP_SIZE, PC_CACHE_KEY_EPOCH_SHIFT, type Trace, TRACE_HEADER_SIZE } from "./traces.js";
import { VECTORS } from "./vector.js";
import { CodeWriter, FUNCTION, type FunctionCode, type Label, W } from "./wasm-writer.js";

const HANDLER_ADDRESS_SEGMENT = 4;
const HANDLER_DEAD = 2;
const ADDRESS_BITS = 48;
const LOCATE = writeLocate();
const FUNCTION_NAME = /^([a-zA-Z]+?)(8|16|32|64)$/;

/** A region's function, and the blocks (places in the list of traces) at which it may be entered. */
export interface Region {
  readonly code: FunctionCode;
  readonly entries: readonly number[];
}

/** Writes the function of the region of `traces`, which are in the order of their addresses and have to be entered at block `first`, whatever others they may be. */
export function writeRegion(traces: readonly Trace[], first: number): Region {
  // Where flags are read that came from the block before is known only when the block has been written; that one may have to get them from another.
  const plan = planRegion(traces, first);
  const wordBlocks = new Set<number>();
  for (;;) {
    const writer = new RegionWriter(traces, plan, wordBlocks);
    const region = writer.write();
    if (writer.demanding.size === 0) return region;
    for (const block of writer.demanding) wordBlocks.add(block);
  }
}

class RegionWriter {
  /** Blocks that need the flags' words when they begin, and may not have got them. */
  readonly demanding = new Set<number>();
  readonly #code = new CodeWriter();
  readonly #traces: readonly Trace[];
  readonly #wordBlocks: ReadonlySet<number>;
  readonly #plan: RegionPlan;
  readonly #frame: RegionFrame;
  readonly #w: BlockWriter;
  /** What is being written: the items of each level with their labels, and the loop's. */
  readonly #levels: (Level & { readonly labels: Label[]; readonly again: Label })[] = [];
  /** The level of the loop whose registers are resident. */
  #residentLevel: number | undefined;
  #block = 0;
  /** Instructions of the trace up to the op that is being written. */
  #executed = 0;

  /** `wordBlocks` are the blocks to which the flags' words are to be brought. */
  constructor(traces: readonly Trace[], plan: RegionPlan, wordBlocks: ReadonlySet<number>) {
    this.#traces = traces;
    this.#wordBlocks = wordBlocks;
    this.#plan = plan;
    this.#code.op(W.globalGet).unsigned(GLOBAL.base).set(LOCAL.base).get(LOCAL.entry).i32(ENTRY_MASK).op(W.i32And).set(LOCAL.entry);
    this.#frame = new RegionFrame(this.#code);
    this.#w = new BlockWriter(this.#code, this.#frame.exits);
  }

  write(): Region {
    const code = this.#code;
    this.#writeItems(this.#plan.shape, undefined, this.#frame.again);
    this.#frame.end();
    return {
      code: { code: code.bytes, i32Locals: I32_LOCALS, i64Locals: I64_LOCALS, v128Locals: V128_LOCALS, unlikely: code.unlikely, helper: this.#w.callsHelper ? LOCATE : undefined },
      entries: this.#plan.entries,
    };
  }

  // ------------------------------------------------------------------------------------------------ state

  /** Leaves for the bail op, with everything in memory. */
  readonly #leaveForBail = (): void => {
    const code = this.#code;
    this.#charge(this.#traces[this.#block]!.instructions);
    pushTrace(code, this.#block);
    code.set(LOCAL.trace);
    answer(code, () => code.get(LOCAL.base).i32(VCPU_AREA.dispatchOps + OP_SIZE).op(W.i32Add));
    code.op(W.return);
  };

  // ------------------------------------------------------------------------------------------------ blocks and ops

  /** Writes `items` one behind the other, each with a label in front of it. `loop` is theirs, and `again` its label. */
  #writeItems(items: readonly Item[], loop: Loop | undefined, again: Label): void {
    const code = this.#code;
    const level = { loop, items, at: 0, labels: [] as Label[], again };
    this.#levels.push(level);
    for (let at = items.length - 1; at >= 0; at--) level.labels[at] = code.open(W.block);
    if (loop === undefined || loop.dispatches) this.#writeDispatch(level);
    items.forEach((item, at) => {
      level.at = at;
      code.close();
      if (typeof item === "number") this.#writeBlock(item, loop?.header === item);
      else if (!this.#w.registers.isResident && this.#plan.isTight(item)) this.#writeTightLoop(item);
      else this.#writeLoop(item);
    });
    this.#levels.pop();
  }

  #writeLoop(loop: Loop): void {
    const begin = this.#code.open(W.loop);
    this.#writeItems(loop.items, loop, begin);
    this.#code.close();
  }

  /** Writes a loop whose registers stay in locals, with ways out of its own that store them. */
  #writeTightLoop(loop: Loop): void {
    const code = this.#code;
    const w = this.#w;
    const toTarget = code.open(W.block);
    const toOp = code.open(W.block);
    w.beginLoop(namedRegisters([...loop.blocks].map((block) => this.#traces[block]!)));
    w.exits = { toOp, toTarget };
    this.#residentLevel = this.#levels.length;
    this.#writeLoop(loop);
    this.#residentLevel = undefined;
    w.exits = this.#frame.exits;
    const store = (): void => {
      w.registers.store();
      w.flags.keep();
    };
    code.op(W.unreachable).close();
    store();
    code.branch(this.#frame.exits.toOp).close();
    store();
    code.branch(this.#frame.exits.toTarget);
    w.endLoop();
  }

  /** Goes to the item in which the block of LOCAL.entry is. */
  #writeDispatch({ items, loop, labels }: { items: readonly Item[]; loop: Loop | undefined; labels: readonly Label[] }): void {
    const code = this.#code;
    // Mostly a loop goes round from its header.
    if (loop !== undefined) code.get(LOCAL.entry).i32(loop.header).op(W.i32Eq).branch(labels[0]!, W.brIf);
    code.get(LOCAL.entry).branchTable([...this.#traces.map((_, block) => labels[Math.max(0, items.findIndex((item) => contains(item, block)))]!), labels[0]!]);
  }

  #writeBlock(block: number, isHeader: boolean): void {
    const w = this.#w;
    const trace = this.#traces[block]!;
    const needsWords = this.#wordBlocks.has(block);
    this.#block = block;
    this.#executed = 0;
    w.begin(trace, block, needsWords);
    if (needsWords && this.#plan.entries.includes(block)) this.#resolveNote();
    if (isHeader) checkRequest(this.#code, () => w.exitToRip(trace.rip));
    for (const op of trace.ops) {
      if (op.length !== 0) this.#executed++;
      if (this.#writeOp(trace, op)) break;
    }
    w.end();
    if (w.flags.demanded) this.demanding.add(block);
  }

  /** Has the interpreter make words of the note of the flags with which the region may be entered here. */
  #resolveNote(): void {
    const code = this.#code;
    const { flags } = this.#w;
    flags.note();
    code.openUnlikely();
    flags.keep();
    code.i32(0).i32(0).op(W.call).unsigned(FUNCTION.call).op(W.drop);
    flags.restore();
    code.close();
  }

  /** Takes `instructions` from the budget. */
  #charge(instructions: number): void {
    if (instructions !== 0) this.#code.get(LOCAL.remaining).i32(instructions).op(W.i32Sub).set(LOCAL.remaining);
  }

  /** Returns true when nothing of the trace is reached behind `op`. */
  #writeOp(trace: Trace, op: Op): boolean {
    const w = this.#w;
    if (op.handler === HANDLER_TRACE_END) return this.#jump(trace, op);
    if (op.handler === HANDLER_ADDRESS_SEGMENT) {
      w.pushAddress(op);
      this.#code.get(LOCAL.base).access(W.i64Load, VCPU.segments + op.segment * SEGMENT_SIZE + SEGMENT_BASE).op(W.i64Add).set(LOCAL.microAddress);
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
      if (AWAY_FUNCTIONS.has(meaning.run)) return this.#goAway(op);
      if (!this.#writeFunction(op, meaning.run)) this.#w.callInterpreter(op, this.#leaveForBail);
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
    // Written out, for spreading the meaning took a tenth of a region's time.
    const { run, size, form, load, parameter } = meaning as Required<typeof meaning>;
    if (emit !== undefined && emit(this.#w, { run, size, form, load, parameter, op } satisfies Instruction)) return false;
    // What cannot be done here is left to the dispatch loop, which has it inlined.
    this.#w.exitAt(op);
    return true;
  }

  /** Goes on where the interpreter's function goes to, by way of the PC cache of the privilege that it has left. */
  #goAway(op: Op): true {
    this.#w.callAway(op, this.#leaveForBail);
    this.#gotoTarget();
    return true;
  }

  /** Writes what the interpreter has a function for. Returns false when it cannot. */
  #writeFunction(op: Op, name: string): boolean {
    const vector = VECTORS[name];
    if (vector !== undefined) {
      return vector(this.#w, op, () => this.#w.callAside(op, this.#leaveForBail));
    }
    if (BARE_FUNCTIONS.has(name)) {
      this.#w.callBare(op, this.#leaveForBail);
      return true;
    }
    const [, family = name, size = "0"] = FUNCTION_NAME.exec(name) ?? [];
    return FUNCTIONS[family]?.(this.#w, op, Number(size)) ?? false;
  }


  // ------------------------------------------------------------------------------------------------ jumps

  /** Leaves `op` in LOCAL.linkOp when its link to the trace of `block`, in another page, no longer counts or that trace has been dropped; else 0. */
  #checkFar(op: Op, block: number): void {
    const code = this.#code;
    pushTrace(code, this.#block);
    code.i32(op.offset).op(W.i32Add).tee(LOCAL.linkOp).i32(0).get(LOCAL.linkOp).access(W.i64Load, OP_LINK);
    code.get(LOCAL.pcEpoch).access(W.i32Load).i32(PC_CACHE_KEY_EPOCH_SHIFT).op(W.i32Shl).i32(MODE_64).op(W.i32Or, W.i64ExtendU).i64(32).op(W.i64Shl);
    pushTrace(code, block);
    code.tee(LOCAL.trace).op(W.i64ExtendU, W.i64Or, W.i64Ne);
    code.get(LOCAL.trace).access(W.i32Load16U, TRACE_HEADER_SIZE).i32(HANDLER_DEAD).op(W.i32Eq, W.i32Or, W.select).set(LOCAL.linkOp);
  }

  /** Goes on where `op` leads to: in a block of the region, or by way of the PC cache. */
  #follow(trace: Trace, op: Op, block: number | undefined): void {
    if (block === undefined) {
      const rip = trace.rip + BigInt(op.displacement);
      this.#code.i64(rip).set(LOCAL.target);
      const likely = this.#plan.blockByRip.get(rip);
      this.#gotoTarget(likely !== undefined && this.#wordBlocks.has(likely));
    } else this.#goto(block);
  }

  /** Goes on with `block`. */
  #goto(block: number): void {
    const code = this.#code;
    const { flags } = this.#w;
    if (this.#wordBlocks.has(block)) flags.writeWords();
    else flags.pass();
    this.#charge(this.#executed);
    const { level, item, through } = routeTo(block, this.#levels);
    const { loop, items, labels, again } = this.#levels[level]!;
    const into = item === "again" ? loop : items[item];
    const go = (): void => {
      if (item === "again" && block !== loop?.header) checkRequest(code, () => this.#w.exitToRip(this.#traces[block]!.rip));
      if (through.length > 0 || into === undefined || (typeof into === "object" && into.dispatches)) code.i32(block).set(LOCAL.entry);
      code.branch(item === "again" ? again : labels[item]!);
    };
    if (this.#residentLevel !== undefined && level >= this.#residentLevel) return go();
    flags.keep();
    this.#w.registers.storeAndLeave(go);
  }

  /** As #follow, behind a look at the link where `block` is in another page; without one that counts by way of the PC cache, which renews it. */
  #followLink(trace: Trace, op: Op, block: number | undefined, pushReturn = (): void => {}): void {
    const isFar = block !== undefined && !isNear(trace, this.#traces[block]!);
    if (isFar) this.#checkFar(op, block);
    pushReturn();
    if (isFar) {
      this.#code.get(LOCAL.linkOp);
      this.#code.openUnlikely();
      this.#follow(trace, op, undefined);
      this.#code.close();
    }
    this.#follow(trace, op, block);
  }

  #jump(trace: Trace, op: Op): true {
    this.#followLink(trace, op, this.#plan.target(trace, op));
    return true;
  }

  #conditionalJump(trace: Trace, op: Op, condition: number): void {
    this.#w.flags.condition(condition);
    this.#w.registers.flush();
    this.#w.flags.flush();
    this.#w.part();
    this.#code.open(W.if);
    this.#follow(trace, op, this.#plan.target(trace, op));
    this.#code.close();
  }

  #call(trace: Trace, op: Op): true {
    this.#followLink(trace, op, this.#plan.target(trace, op), () => this.#pushReturn(trace, op));
    return true;
  }

  #pushReturn(trace: Trace, op: Op): void {
    const rip = trace.rip + BigInt(op.ripOffset + op.length);
    this.#code.i64(rip).set(LOCAL.value);
    this.#w.push(op, LOCAL.value);
    const block = this.#plan.blockByRip.get(rip);
    if (block === undefined || !this.#plan.entries.includes(block) || !isNear(trace, this.#traces[block]!)) return;
    noteReturn(this.#code, rip, block);
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
    w.pushPlace(RSP, 0);
    w.locateRead(op, 8);
    w.load(64);
    this.#code.set(LOCAL.target);
    this.#checkCanonical(op);
    this.#code.get(w.stackPointer).i64(8).op(W.i64Add).set(w.writtenRegister(RSP));
    w.flags.pass();
    this.#leaveFor(this.#frame.comeBack);
    return true;
  }

  /** Leaves at `op`, which faults, when LOCAL.target is no canonical address. */
  #checkCanonical(op: Op): void {
    const unused = 64 - ADDRESS_BITS;
    this.#code.get(LOCAL.target).i64(unused).op(W.i64Shl).i64(unused).op(W.i64ShrS).get(LOCAL.target).op(W.i64Ne);
    this.#w.exitIf(op);
  }

  /** Goes to LOCAL.target, with the words of the flags or a note. */
  #gotoTarget(withWords = false): void {
    if (withWords) this.#w.flags.writeWords();
    else this.#w.flags.pass();
    this.#leaveFor(this.#frame.lookUp);
  }

  /** Ends the block, whose flags have been passed on, and goes to `label` with everything in memory. */
  #leaveFor(label: Label): void {
    this.#charge(this.#executed);
    this.#w.registers.store();
    this.#w.flags.keep();
    this.#code.branch(label);
  }
}
