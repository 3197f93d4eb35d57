/**
 * What is around the traces of a region: where it is entered, where it goes on in another one, and where it is left.
 *
 *   block exit
 *     block exitToOp                   ways out in the middle of a trace
 *       block exitToTarget             ways out to an address
 *         loop again
 *           block lookUp               to an address that is known only now, or that of a trace outside
 *             block comeBack           returns
 *               br_table entry
 *               the traces             (region.ts)
 *             end comeBack             by the return cache: `again`, or another region
 *           end lookUp                 by the PC cache: `again`, or another region, or the interpreter
 *   go on in another region, or answer where the interpreter goes on
 *
 * At the head of every loop, and wherever `again` is gone to, the budget and the request word are looked at, as the interpreter does between traces, so
 * that requests are seen. The budget may be overdrawn by what can be executed without coming by there; instructions are counted exactly.
 */
import { CACHES_SHUT, MODE_64, PC_CACHE_ENTRIES, PC_CACHE_ENTRY_SIZE, RETURN_CACHE, VCPU, VCPU_AREA } from "../../abi/layout.js";
import type { Exits } from "./block-writer.js";
import { EXIT_OP_MASK, GLOBAL, LOCAL, TRACE_ADDRESS_SIZE_SHIFT, WINDOW_MISSED } from "./region-layout.js";
import { HANDLER_REGION, OP_LINK, PC_CACHE_KEY_EPOCH_SHIFT, TRACE_HEADER_SIZE } from "./traces.js";
import { type CodeWriter, ENTRY_BITS, FUNCTION, type Label, W } from "./wasm-writer.js";

const OP_SIZE_SHIFT = 5;
const TRACE_INSTRUCTIONS = 20;
/** Fields of a return cache's entry, from the PC cache's address on, and the bits of an address on the stack that choose one. */
const RETURN_RIP = RETURN_CACHE.distance;
const RETURN_PLACE = RETURN_CACHE.distance + 8;
const RETURN_MASK = RETURN_CACHE.mask;
/** The bits of a region's first parameter that say which block is entered. */
export const ENTRY_MASK = (1 << ENTRY_BITS) - 1;

/** Writes `leave` for when the budget is used up or something is requested. */
export function checkRequest(code: CodeWriter, leave: () => void): void {
  code.get(LOCAL.remaining).i32(31).op(W.i32ShrS).get(LOCAL.base).access(W.i32Load, VCPU.request).op(W.i32Or);
  code.openUnlikely();
  leave();
  code.close();
}

/** Pushes the answer to the interpreter: the budget that is left, and the op to go on with, which is of LOCAL.trace or the dispatcher's. */
export function answer(code: CodeWriter, pushOp: () => void): void {
  code.get(LOCAL.base).get(LOCAL.trace).access(W.i32Store, VCPU.regionTrace).get(LOCAL.base).get(LOCAL.tlb).access(W.i32Store, VCPU.regionTlb);
  code.get(LOCAL.remaining).op(W.i64ExtendU).i64(32).op(W.i64Shl);
  pushOp();
  code.op(W.i64ExtendU, W.i64Or);
}

/** Pushes the address that, with RETURN_RIP or RETURN_PLACE, is that of the entry of the return cache for the place on the stack of LOCAL.address. */
function pushReturnEntry(code: CodeWriter): void {
  code.get(LOCAL.address).op(W.i32Wrap).i32(RETURN_MASK).op(W.i32And).get(LOCAL.pcCache).op(W.i32Add);
}

/** Notes in the return cache that `block` of this region is at `rip`, which a call has left at LOCAL.address on the stack. */
export function noteReturn(code: CodeWriter, rip: bigint, block: number): void {
  pushReturnEntry(code);
  code.tee(LOCAL.pointer).i64(rip).access(W.i64Store, RETURN_RIP);
  code.get(LOCAL.pointer).op(W.globalGet).unsigned(GLOBAL.slot).i32(ENTRY_BITS).op(W.i32Shl).i32(block).op(W.i32Or).access(W.i32Store, RETURN_PLACE);
}

/** The frame of one region, which is begun when it is made: write the traces then, and `end` it. */
export class RegionFrame {
  readonly exits: Exits;
  /** To the block of LOCAL.entry. */
  readonly again: Label;
  /** To LOCAL.target, with LOCAL.linkOp; and the same for a return from LOCAL.address on the stack. Everything has to be in memory. */
  readonly lookUp: Label;
  readonly comeBack: Label;
  readonly #code: CodeWriter;
  readonly #exit: Label;

  constructor(code: CodeWriter) {
    this.#code = code;
    this.#exit = code.open(W.block);
    const toOp = code.open(W.block);
    const toTarget = code.open(W.block);
    this.exits = { toOp, toTarget };
    this.again = code.open(W.loop);
    this.lookUp = code.open(W.block);
    this.comeBack = code.open(W.block);
  }

  /** Writes all that is behind the traces. */
  end(): void {
    const code = this.#code;
    code.close();
    this.#writeComeBack();
    code.close();
    this.#writeLookUp();
    code.close().close();
    code.get(LOCAL.base).get(LOCAL.target).access(W.i64Store, VCPU.rip);
    this.#pushExitTrace();
    code.set(LOCAL.trace).get(LOCAL.base).i32(VCPU_AREA.dispatchOps).op(W.i32Add).set(LOCAL.exitOp).branch(this.#exit).close();
    code.get(LOCAL.remaining);
    this.#pushExitTrace();
    code.tee(LOCAL.trace).access(W.i32Load16U, TRACE_INSTRUCTIONS).op(W.i32Sub).set(LOCAL.remaining);
    code.get(LOCAL.exitOp).i32(WINDOW_MISSED).op(W.i32And);
    code.openUnlikely();
    code.get(LOCAL.trace).op(W.globalGet).unsigned(GLOBAL.slot).i32(1).op(W.i32Shl).i32(1).op(W.i32Or, W.call).unsigned(FUNCTION.call).op(W.drop).close();
    code.get(LOCAL.exitOp).i32(EXIT_OP_MASK).op(W.i32And).i32(OP_SIZE_SHIFT).op(W.i32Shl).get(LOCAL.trace).op(W.i32Add).set(LOCAL.exitOp).close();
    this.#writeEnd();
  }

  /** Goes to the trace behind the call that has left LOCAL.target at LOCAL.address on the stack, if a region has it; else looks it up. */
  #writeComeBack(): void {
    const code = this.#code;
    pushReturnEntry(code);
    code.tee(LOCAL.pointer).access(W.i64Load, RETURN_RIP).get(LOCAL.target).op(W.i64Ne).branch(this.lookUp, W.brIf);
    checkRequest(code, () => code.branch(this.exits.toTarget));
    code.get(LOCAL.pointer).access(W.i32Load, RETURN_PLACE).tee(LOCAL.link).i32(ENTRY_MASK).op(W.i32And).set(LOCAL.entry);
    code.get(LOCAL.link).i32(ENTRY_BITS).op(W.i32ShrU).tee(LOCAL.link).op(W.globalGet).unsigned(GLOBAL.slot).op(W.i32Ne);
    code.open(W.if);
    code.get(LOCAL.pcCache).i32(CACHES_SHUT).op(W.i32And, W.i32Eqz).branch(this.#exit, W.brIf);
    code.i32(0).set(LOCAL.link).branch(this.exits.toTarget).close();
    code.i32(0).set(LOCAL.link).branch(this.again);
  }

  /** Goes to the trace of LOCAL.target by way of the PC cache: in this region, in another, or by the interpreter's hand. */
  #writeLookUp(): void {
    const code = this.#code;
    const { toTarget: exitToTarget } = this.exits;
    checkRequest(code, () => code.branch(exitToTarget));
    code.get(LOCAL.pcCache).i32(CACHES_SHUT).op(W.i32And).branch(exitToTarget, W.brIf);
    code.get(LOCAL.target).op(W.i32Wrap).get(LOCAL.target).i64(14).op(W.i64ShrU, W.i32Wrap, W.i32Xor).i32(PC_CACHE_ENTRIES - 1).op(W.i32And)
      .i32(4).op(W.i32Shl).get(LOCAL.pcCache).op(W.i32Add).tee(LOCAL.pointer).access(W.i64Load).get(LOCAL.target).op(W.i64Ne);
    code.openUnlikely();
    code.get(LOCAL.pointer).i32(PC_CACHE_ENTRY_SIZE).op(W.i32Xor).tee(LOCAL.pointer).access(W.i64Load).get(LOCAL.target).op(W.i64Ne).branch(exitToTarget, W.brIf).close();
    code.get(LOCAL.pointer).access(W.i32Load, 8).get(LOCAL.pcEpoch).access(W.i32Load).i32(PC_CACHE_KEY_EPOCH_SHIFT).op(W.i32Shl).i32(MODE_64).op(W.i32Or, W.i32Ne)
      .branch(exitToTarget, W.brIf);
    code.get(LOCAL.linkOp);
    code.openUnlikely();
    // The entry's key and trace are the link's, the other way round.
    code.get(LOCAL.linkOp).get(LOCAL.pointer).access(W.i64Load, 8).i64(32).op(W.i64Rotl).access(W.i64Store, OP_LINK).i32(0).set(LOCAL.linkOp).close();
    code.get(LOCAL.pointer).access(W.i32Load, 12).tee(LOCAL.trace).access(W.i32Load, TRACE_HEADER_SIZE).i32(HANDLER_REGION).op(W.i32Eq);
    code.open(W.if);
    code.get(LOCAL.trace).access(W.i32Load, TRACE_HEADER_SIZE + 8).set(LOCAL.entry);
    code.get(LOCAL.trace).access(W.i32Load, TRACE_HEADER_SIZE + 4).tee(LOCAL.link).op(W.globalGet).unsigned(GLOBAL.slot).op(W.i32Ne).branch(this.#exit, W.brIf);
    code.i32(0).set(LOCAL.link).branch(this.again);
    code.close();
    code.get(LOCAL.remaining).get(LOCAL.trace).access(W.i32Load16U, TRACE_INSTRUCTIONS).op(W.i32Sub).tee(LOCAL.count).i32(0).op(W.i32LtS).branch(exitToTarget, W.brIf);
    code.get(LOCAL.count).set(LOCAL.remaining).get(LOCAL.trace).i32(TRACE_HEADER_SIZE).op(W.i32Add).set(LOCAL.exitOp).branch(this.#exit);
  }

  /** Pushes the address of the trace of LOCAL.exitBlock. */
  #pushExitTrace(): void {
    this.#code.get(LOCAL.exitBlock).i32(TRACE_ADDRESS_SIZE_SHIFT).op(W.i32Shl, W.globalGet).unsigned(GLOBAL.traces).op(W.i32Add).access(W.i32Load);
  }

  /** Goes on in the region of LOCAL.link, or answers. */
  #writeEnd(): void {
    const code = this.#code;
    code.get(LOCAL.link);
    code.open(W.if);
    code.get(LOCAL.base).get(LOCAL.base).access(W.i64Load, VCPU.counterRegionLinks).i64(1).op(W.i64Add).access(W.i64Store, VCPU.counterRegionLinks);
    code.get(LOCAL.link).i32(ENTRY_BITS).op(W.i32Shl).get(LOCAL.entry).op(W.i32Or).get(LOCAL.remaining).get(LOCAL.tlb).get(LOCAL.pcCache).get(LOCAL.pcEpoch);
    code.op(W.returnCall).unsigned(FUNCTION.goOn).close();
    answer(code, () => code.get(LOCAL.exitOp));
  }
}
