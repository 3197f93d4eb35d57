/** Instructions that the interpreter does in functions, and regions do themselves; by the function's name, the operand size in bits at its end. */
import { SEGMENT_BASE, SEGMENT_GS, SEGMENT_SIZE, VCPU } from "../../abi/layout.js";
import { OP_BITS_SIZE_MASK, RFLAGS_IF } from "./constants.js";
import type { BlockWriter } from "./block-writer.js";
import { flagLocals, multiplyHigh, multiplyHighSigned, signExtend, type StepKind } from "./flag-state.js";
import { LOCAL, registerAt, RSP } from "./region-layout.js";
import { isMemory, type Op, OPERAND_IMMEDIATE } from "./traces.js";
import { ATOMIC, W } from "./wasm-writer.js";

const RAX = 0, RDX = 2, RBP = 5;

type EmitFunction = (w: BlockWriter, op: Op, size: number) => boolean;

/** Pushes the operand that ModRM.rm names. */
function pushRm(w: BlockWriter, op: Op, size: number): void {
  if (isMemory(op)) w.loadOperand(op, size);
  else w.pushValue(op, op.rm, size);
}

/** Rotations by a constant, of registers: CF and OF change, the other flags stay (integer.ts, setCarryOverflow). */
function rotate(kind: "rol" | "ror"): EmitFunction {
  return (w, op, size) => {
    const { code, flags } = w;
    if (isMemory(op) || size < 32 || op.reg !== OPERAND_IMMEDIATE) return false;
    const count = op.immediateLow & (size - 1);
    if (count === 0) return false;
    flags.settle();
    w.pushValue(op, op.rm, size);
    if (size === 64) code.i64(count).op(kind === "rol" ? W.i64Rotl : W.i64Rotr);
    else code.op(W.i32Wrap).i32(count).op(kind === "rol" ? W.i32Rotl : W.i32Rotr, W.i64ExtendU);
    code.tee(LOCAL.value);
    w.setRegister(op.rm, size);
    const bit = (n: number): void => { code.get(LOCAL.value).i64(n).op(W.i64ShrU).i64(1).op(W.i64And); };
    bit(kind === "rol" ? 0 : size - 1);
    code.set(LOCAL.scratch2);
    // Overflow: top bit ^ carry (ROL), the two top bits (ROR); stored is carry ^ overflow.
    bit(kind === "rol" ? size - 1 : size - 2);
    code.i64(62).op(W.i64Shl).get(LOCAL.scratch2).i64(63).op(W.i64Shl, W.i64Or).get(LOCAL.flagAux).i64(8).op(W.i64And, W.i64Or).set(LOCAL.flagAux);
    return true;
  };
}

const swapBytes: EmitFunction = (w, op, size) => {
  const { code } = w;
  if (size < 32 || registerAt(op.rm) === undefined) return false;
  const swap = (shift: number, mask: bigint): void => {
    code.get(LOCAL.value).i64(shift).op(W.i64ShrU).i64(mask).op(W.i64And).get(LOCAL.value).i64(mask).op(W.i64And).i64(shift).op(W.i64Shl, W.i64Or).set(LOCAL.value);
  };
  w.pushValue(op, op.rm, size);
  code.set(LOCAL.value);
  swap(8, 0x00ff_00ff_00ff_00ffn);
  swap(16, 0x0000_ffff_0000_ffffn);
  code.get(LOCAL.value).i64(32).op(W.i64Rotl);
  if (size === 32) code.i64(32).op(W.i64ShrU);
  w.setRegister(op.rm, size);
  return true;
};

/** The double-length product of the accumulator and the operand. */
function widening(isSigned: boolean): EmitFunction {
  return (w, op, size) => {
    const { code, flags } = w;
    if (size < 32) return false;
    pushRm(w, op, size);
    const set = flags.nextSet();
    const { a, b, r, carry } = flagLocals(set);
    const extend = (): void => { if (isSigned) signExtend(code, size); };
    extend();
    code.set(b).get(w.register(RAX));
    w.truncate(size);
    extend();
    code.set(a);
    if (size === 64) {
      if (isSigned) multiplyHighSigned(code, a, b);
      else multiplyHigh(code, a, b);
      code.set(LOCAL.value).get(a).get(b).op(W.i64Mul).tee(r).set(w.writtenRegister(RAX)).get(LOCAL.value).tee(w.writtenRegister(RDX));
      if (isSigned) code.get(r).i64(63).op(W.i64ShrS, W.i64Xor);
      code.set(carry);
    } else {
      code.get(a).get(b).op(W.i64Mul).tee(LOCAL.value).i64(32).op(W.i64ShrU).tee(w.writtenRegister(RDX)).set(carry);
      code.get(LOCAL.value);
      w.truncate(32);
      code.tee(r).set(w.writtenRegister(RAX));
      if (isSigned) code.get(LOCAL.value).op(W.i64Extend32S).get(LOCAL.value).op(W.i64Xor).set(carry);
    }
    flags.put("multiply", size, set);
    return true;
  };
}

/** The quotient and the remainder of the accumulator pair; left at the instruction where that raises #DE, or takes more than a host's division. Flags stay. */
function division(isSigned: boolean): EmitFunction {
  return (w, op, size) => {
    const { code } = w;
    if (size < 32) return false;
    pushRm(w, op, size);
    const divisor = LOCAL.scratch2, dividend = LOCAL.value;
    const divide = isSigned ? W.i64DivS : W.i64DivU;
    if (isSigned) signExtend(code, size);
    code.set(divisor);
    if (size === 64) code.get(w.register(RAX));
    else {
      code.get(w.register(RDX)).i64(32).op(W.i64Shl).get(w.register(RAX));
      w.truncate(32);
      code.op(W.i64Or);
    }
    code.set(dividend).get(divisor).op(W.i64Eqz);
    if (isSigned) code.get(divisor).i64(-1).op(W.i64Eq, W.i32Or);
    if (size === 64) {
      code.get(w.register(RDX));
      if (isSigned) code.get(dividend).i64(63).op(W.i64ShrS);
      else code.i64(0);
      code.op(W.i64Ne, W.i32Or);
    } else if (!isSigned) code.get(dividend).i64(32).op(W.i64ShrU).get(divisor).op(W.i64GeU, W.i32Or);
    w.exitIf(op);
    code.get(dividend).get(divisor).op(divide).set(LOCAL.scratch3);
    if (isSigned && size === 32) {
      code.get(LOCAL.scratch3).op(W.i64Extend32S).get(LOCAL.scratch3).op(W.i64Ne);
      w.exitIf(op);
    }
    code.get(LOCAL.scratch3);
    w.truncate(size);
    code.set(w.writtenRegister(RAX)).get(dividend).get(divisor).op(isSigned ? W.i64RemS : W.i64RemU);
    w.truncate(size);
    code.set(w.writtenRegister(RDX));
    return true;
  };
}

/** CBW, CWDE, CDQE. */
const convertAccumulator: EmitFunction = (w, _op, size) => {
  const { code } = w;
  const rax = w.writtenRegister(RAX);
  if (size === 16) return false;
  code.get(rax).op(size === 64 ? W.i64Extend32S : W.i64Extend16S);
  w.truncate(size);
  code.set(rax);
  return true;
};

/** CWD, CDQ, CQO. */
const convertPair: EmitFunction = (w, _op, size) => {
  const { code } = w;
  if (size === 16) return false;
  code.get(w.register(RAX));
  if (size === 32) code.op(W.i64Extend32S);
  code.i64(63).op(W.i64ShrS);
  w.truncate(size);
  code.set(w.writtenRegister(RDX));
  return true;
};

/** BT of a register, by a constant or a register: only CF changes, and OF keeps what it is. */
function bitTest(kind: "test" | "set" | "reset" | "complement", immediate: boolean): EmitFunction {
  return (w, op, size) => {
    const { code, flags } = w;
    // A bit string in memory (a register as index) reaches beyond its operand; what is written has to be so at once.
    if (size === 16 || (isMemory(op) && (kind !== "test" || !immediate))) return false;
    if (isMemory(op)) {
      w.loadOperand(op, size);
      code.set(LOCAL.value);
    }
    flags.settle();
    if (immediate) code.i64(op.immediateLow & (size - 1));
    else {
      w.pushValue(op, op.reg, size);
      code.i64(size - 1).op(W.i64And);
    }
    code.set(LOCAL.scratch2);
    if (!isMemory(op)) {
      w.pushValue(op, op.rm, size);
      code.set(LOCAL.value);
    }
    code.get(LOCAL.value).get(LOCAL.scratch2).op(W.i64ShrU).i64(1).op(W.i64And).set(LOCAL.scratch3);
    // As flags.ts, setCarryFlag: carry to bit 63, carry ^ overflow to bit 62.
    code.get(LOCAL.scratch3).i64(63).op(W.i64Shl);
    code.get(LOCAL.flagAux).get(LOCAL.flagAux).i64(1).op(W.i64Shl, W.i64Xor).i64(63).op(W.i64ShrU).get(LOCAL.scratch3).op(W.i64Xor).i64(62).op(W.i64Shl, W.i64Or);
    code.get(LOCAL.flagAux).i64(8).op(W.i64And, W.i64Or).set(LOCAL.flagAux);
    if (kind === "test") return true;
    code.get(LOCAL.value).i64(1).get(LOCAL.scratch2).op(W.i64Shl);
    if (kind === "reset") code.i64(-1).op(W.i64Xor, W.i64And);
    else code.op(kind === "set" ? W.i64Or : W.i64Xor);
    w.setRegister(op.rm, size);
    return true;
  };
}

const exchange: EmitFunction = (w, op, size) => {
  const { code } = w;
  if (isMemory(op)) {
    if (!locateAligned(w, op, size)) return false;
    pushNative(w, op, op.reg, size);
    code.atomic(ATOMIC.exchange, size);
    widen(w, size);
    w.setRegister(op.reg, size);
    return true;
  }
  w.pushValue(op, op.rm, size);
  w.pushValue(op, op.reg, size);
  code.set(LOCAL.value);
  w.setRegister(op.reg, size);
  code.get(LOCAL.value);
  w.setRegister(op.rm, size);
  return true;
};

const exchangeAccumulator: EmitFunction = (w, op, size) => {
  const { code } = w;
  const named = registerAt(op.rm);
  if (named === undefined || size < 32) return false;
  const rax = w.writtenRegister(RAX), other = w.writtenRegister(named.number);
  code.get(rax);
  w.truncate(size);
  code.get(other);
  w.truncate(size);
  code.set(rax).set(other);
  return true;
};

/** Pushes where an aligned operand of 32 or 64 bits can be changed at once; elsewhere the interpreter does it, under its lock. */
function locateAligned(w: BlockWriter, op: Op, size: number): boolean {
  if (size < 32) return false;
  const { code } = w;
  w.pushAddress(op);
  w.locateWrite(op, size / 8);
  code.get(LOCAL.address).op(W.i32Wrap).i32(size / 8 - 1).op(W.i32And);
  w.exitIf(op);
  w.pushHostAddress();
  return true;
}

/** Pushes the operand at `address` as the i32 or i64 that the host's atomic takes. */
function pushNative(w: BlockWriter, op: Op, address: number, size: number): void {
  w.pushValue(op, address, size);
  if (size === 32) w.code.op(W.i32Wrap);
}

/** Makes what an atomic has answered a zero-extended i64. */
function widen(w: BlockWriter, size: number): void {
  if (size === 32) w.code.op(W.i64ExtendU);
}

const compareExchange: EmitFunction = (w, op, size) => {
  const { code, flags } = w;
  if (!isMemory(op) || !locateAligned(w, op, size)) return false;
  code.get(w.writtenRegister(RAX));
  if (size === 32) code.op(W.i32Wrap);
  pushNative(w, op, op.reg, size);
  code.atomic(ATOMIC.compareExchange, size);
  widen(w, size);
  const set = flags.nextSet();
  const { a, b, r } = flagLocals(set);
  code.set(b).get(w.register(RAX));
  w.truncate(size);
  code.tee(a).get(b).op(W.i64Sub);
  w.truncate(size);
  code.set(r);
  flags.put("sub", size, set);
  // Equal: the accumulator stays as it is, its upper half too.
  code.get(w.register(RAX)).get(b).get(r).op(W.i64Eqz, W.select).set(w.writtenRegister(RAX));
  return true;
};

const exchangeAdd: EmitFunction = (w, op, size) => {
  const { code, flags } = w;
  if (!isMemory(op) || !locateAligned(w, op, size)) return false;
  const set = flags.nextSet();
  const { a, b, r } = flagLocals(set);
  pushNative(w, op, op.reg, size);
  code.atomic(ATOMIC.add, size);
  widen(w, size);
  code.set(a);
  w.pushValue(op, op.reg, size);
  code.set(b).get(a).get(b).op(W.i64Add);
  w.truncate(size);
  code.set(r);
  flags.put("add", size, set);
  code.get(a);
  w.setRegister(op.reg, size);
  return true;
};

/** LOCK with one of the arithmetic instructions that need no carry; the host's atomic answers the operand as it was. */
function locked(kind: "add" | "sub" | "logic", atomic: readonly [number, number], opcode: number): EmitFunction {
  return (w, op) => {
    const { code, flags } = w;
    const size = 8 << (op.bits & OP_BITS_SIZE_MASK);
    if (!w.isReadable(op.reg) || !locateAligned(w, op, size)) return false;
    const set = flags.nextSet();
    const { a, b, r } = flagLocals(set);
    pushNative(w, op, op.reg, size);
    code.atomic(atomic, size);
    widen(w, size);
    code.set(a);
    w.pushValue(op, op.reg, size);
    code.set(b).get(a).get(b).op(opcode);
    w.truncate(size);
    code.set(r);
    flags.put(kind, size, set);
    return true;
  };
}

/** LOCK INC and LOCK DEC, which keep CF. */
function lockedStep(kind: StepKind): EmitFunction {
  return (w, op) => {
    const { code, flags } = w;
    const size = 8 << (op.bits & OP_BITS_SIZE_MASK);
    if (size < 32) return false;
    const set = flags.nextSet();
    const inherits = flags.takeCarry(set);
    const { a, r } = flagLocals(set);
    locateAligned(w, op, size);
    if (size === 32) code.i32(1);
    else code.i64(1);
    code.atomic(kind === "increment" ? ATOMIC.add : ATOMIC.sub, size);
    widen(w, size);
    code.tee(a).i64(kind === "increment" ? 1 : -1).op(W.i64Add);
    w.truncate(size);
    code.set(r);
    flags.putStep(kind, size, set, inherits);
    return true;
  };
}

/** Leaves at `op` for the interpreter unless the privilege is the kernel's. */
function checkKernel(w: BlockWriter, op: Op): void {
  w.code.get(LOCAL.base).access(W.i32Load, VCPU.cpl);
  w.exitIf(op);
}

const clearInterruptFlag: EmitFunction = (w, op) => {
  checkKernel(w, op);
  w.code.get(LOCAL.base).get(LOCAL.base).access(W.i64Load, VCPU.rflags).i64(~RFLAGS_IF).op(W.i64And).access(W.i64Store, VCPU.rflags);
  return true;
};

const swapGs: EmitFunction = (w, op) => {
  checkKernel(w, op);
  const used = VCPU.segments + SEGMENT_GS * SEGMENT_SIZE + SEGMENT_BASE, kept = VCPU.kernelGsBase;
  w.code.get(LOCAL.base).access(W.i64Load, used).set(LOCAL.value).get(LOCAL.base).get(LOCAL.base).access(W.i64Load, kept).access(W.i64Store, used)
    .get(LOCAL.base).get(LOCAL.value).access(W.i64Store, kept);
  return true;
};

const leave: EmitFunction = (w, op) => {
  const { code } = w;
  if ((op.bits & OP_BITS_SIZE_MASK) !== 3) return false;
  w.pushPlace(RBP, 0);
  w.locateRead(op, 8);
  w.load(64);
  code.get(LOCAL.address).i64(8).op(W.i64Add);
  w.setDerived(RSP, RBP, 8);
  code.set(w.writtenRegister(RBP));
  return true;
};

/** By the function's name without its size. */
export const FUNCTIONS: Readonly<Record<string, EmitFunction>> = {
  cmpxchg: compareExchange, xadd: exchangeAdd, lockedInc: lockedStep("increment"), lockedDec: lockedStep("decrement"),
  cli: clearInterruptFlag, swapgs: swapGs, leave,
  lockedAdd: locked("add", ATOMIC.add, W.i64Add), lockedSub: locked("sub", ATOMIC.sub, W.i64Sub), lockedAnd: locked("logic", ATOMIC.and, W.i64And),
  lockedOr: locked("logic", ATOMIC.or, W.i64Or), lockedXor: locked("logic", ATOMIC.xor, W.i64Xor),
  rol: rotate("rol"), ror: rotate("ror"), bswap: swapBytes, mul: widening(false), imul: widening(true), div: division(false), idiv: division(true),
  convertAccumulator, convertPair, xchg: exchange, xchgAccumulator: exchangeAccumulator,
  bt: bitTest("test", false), btImmediate: bitTest("test", true), btsImmediate: bitTest("set", true), btrImmediate: bitTest("reset", true),
  btcImmediate: bitTest("complement", true), bts: bitTest("set", false), btr: bitTest("reset", false), btc: bitTest("complement", false),
};

/** General registers that these functions use without naming them in the op, a bit each. */
export const IMPLICIT_REGISTERS = (1 << RAX) | (1 << RDX) | (1 << RBP);

/** Functions that touch no general registers and no arithmetic flags. */
export const BARE_FUNCTIONS: ReadonlySet<string> = new Set(["sti"]);
/** Functions that go elsewhere, by VCPU.rip, if they answer that the region may go on. */
export const AWAY_FUNCTIONS: ReadonlySet<string> = new Set(["syscall", "sysret", "iret"]);
