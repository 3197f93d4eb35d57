/** The instructions that regions do themselves, by the name of their template (generate/hot-templates.ts) or of the interpreter's function. */
import { CR4_SMAP, RFLAGS_AC } from "./constants.js";
import { VCPU, VCPU_AREA } from "../../abi/layout.js";
import { type BlockWriter, placeOf } from "./block-writer.js";
import { flagLocals, signExtend, type StepKind } from "./flag-state.js";
import type { HandlerMeaning } from "./meaning.js";
import { LOCAL, registerAt, RSP } from "./region-layout.js";
import { type Op, OPERAND_IMMEDIATE } from "./traces.js";
import { W } from "./wasm-writer.js";

/** An op with what its handler's template was asked for. */
export interface Instruction extends Required<HandlerMeaning> { readonly op: Op }

/** Writes one instruction. Returns false, having written nothing, when it cannot. */
export type Emit = (w: BlockWriter, instruction: Instruction) => boolean;


const ARITHMETIC = {
  add: ["add", W.i64Add], or: ["logic", W.i64Or], adc: ["carried-add", W.i64Add], sbb: ["carried-sub", W.i64Sub], and: ["logic", W.i64And],
  sub: ["sub", W.i64Sub], xor: ["logic", W.i64Xor], cmp: ["sub", W.i64Sub], test: ["logic", W.i64And],
} as const;

/** Pushes the right-hand or only source: the memory operand, or what `address` names. */
function pushSource(w: BlockWriter, { op, form, size }: Instruction, address: number): void {
  if (form === "r") w.pushValue(op, address, size);
  else w.loadOperand(op, size);
}

/** By how much `op`, of 64 bits, adds to its register; undefined = that is not known. */
function steps(op: Op, name: string): number | undefined {
  if ((name !== "add" && name !== "sub") || op.reg !== OPERAND_IMMEDIATE || op.immediateHigh !== op.immediateLow >> 31) return undefined;
  return name === "add" ? op.immediateLow : -op.immediateLow;
}

function arithmetic(name: keyof typeof ARITHMETIC): Emit {
  const [kind, opcode] = ARITHMETIC[name];
  const writes = name !== "cmp" && name !== "test";
  return (w, instruction) => {
    const { op, size, form, load } = instruction;
    const { code, flags } = w;
    const inMemory = form !== "r" && !load;
    if (!w.isReadable(op.reg) || (form === "r" && registerAt(op.rm) === undefined)) return false;
    const carried = kind === "carried-add" || kind === "carried-sub";
    if (inMemory) {
      w.pushAddress(op);
      if (writes) w.locateWrite(op, size / 8);
      else w.locateRead(op, size / 8);
    } else if (form !== "r") {
      w.loadOperand(op, size);
      code.set(LOCAL.value);
    }
    if (carried) {
      flags.carry();
      code.set(LOCAL.scratch2);
    }
    const set = flags.nextSet();
    const { a, b, r } = flagLocals(set);
    if (inMemory) w.load(size);
    else w.pushValue(op, load && form !== "r" ? op.reg : op.rm, size);
    code.set(a);
    if (load && form !== "r") code.get(LOCAL.value);
    else w.pushValue(op, op.reg, size);
    code.set(b).get(a).get(b).op(opcode);
    if (carried) code.get(LOCAL.scratch2).op(opcode);
    if (kind !== "logic") w.truncate(size);
    code.set(r);
    flags.put(kind, size, set);
    if (!writes) return true;
    if (inMemory) w.store(size, r);
    else {
      const target = load && form !== "r" ? op.reg : op.rm;
      const by = form === "r" && size === 64 ? steps(op, name) : undefined;
      const { number } = registerAt(target)!;
      code.get(r);
      if (by === undefined) w.setRegister(target, size);
      else w.setDerived(number, number, by);
    }
    return true;
  };
}

/** Operand read, changed and written back in its place; `compute` takes `a` and leaves the result. */
function unary(w: BlockWriter, { op, form, size }: Instruction, a: number, r: number, compute: () => void): boolean {
  const { code } = w;
  if (form === "r") w.pushValue(op, op.rm, size);
  else {
    w.pushAddress(op);
    w.locateWrite(op, size / 8);
    w.load(size);
  }
  code.set(a);
  compute();
  w.truncate(size);
  code.set(r);
  if (form !== "r") w.store(size, r);
  else {
    code.get(r);
    w.setRegister(op.rm, size);
  }
  return true;
}

function step(kind: StepKind): Emit {
  return (w, instruction) => {
    const { code, flags } = w;
    const set = flags.nextSet();
    const inherits = flags.takeCarry(set);
    const { a, r } = flagLocals(set);
    unary(w, instruction, a, r, () => { code.get(a).i64(kind === "increment" ? 1 : -1).op(W.i64Add); });
    flags.putStep(kind, instruction.size, set, inherits);
    return true;
  };
}

const negate: Emit = (w, instruction) => {
  const { code, flags } = w;
  const set = flags.nextSet();
  const { a, b, r } = flagLocals(set);
  unary(w, instruction, b, r, () => { code.i64(0).get(b).op(W.i64Sub); });
  code.i64(0).set(a);
  flags.put("sub", instruction.size, set);
  return true;
};

const invert: Emit = (w, instruction) => unary(w, instruction, LOCAL.value, LOCAL.scratch2, () => { w.code.get(LOCAL.value).i64(-1).op(W.i64Xor); });

/** Pushes a value of `size` bits on the stack shifted by the count in LOCAL.scratch2 or by a constant. */
function shiftValue(w: BlockWriter, kind: "shl" | "shr" | "sar", size: number, a: number, count: () => void): void {
  const { code } = w;
  code.get(a);
  if (kind === "sar") signExtend(code, size);
  count();
  code.op(kind === "shl" ? W.i64Shl : kind === "shr" ? W.i64ShrU : W.i64ShrS);
}

function shift(kind: "shl" | "shr" | "sar"): Emit {
  return (w, instruction) => {
    const { op, size, form } = instruction;
    const { flags } = w;
    const mask = size === 64 ? 63 : 31;
    if (op.reg !== OPERAND_IMMEDIATE) return shiftByRegister(w, instruction, kind, mask);
    const count = op.immediateLow & mask;
    if (count === 0) return false;
    const set = flags.nextSet();
    const { a, r } = flagLocals(set);
    unary(w, instruction, a, r, () => { shiftValue(w, kind, size, a, () => w.code.i64(count)); });
    flags.putShift(kind, size, set, count);
    return true;
  };
}

/** The count is in CL; 0 leaves the flags alone, so their words are needed on both ways. */
function shiftByRegister(w: BlockWriter, { op, size, form }: Instruction, kind: "shl" | "shr" | "sar", mask: number): boolean {
  const { code, flags } = w;
  if (form !== "r" || size < 32 || registerAt(op.reg) === undefined) return false;
  flags.settle();
  const set = flags.nextSet();
  const { a, r } = flagLocals(set);
  w.pushValue(op, op.reg, 8);
  code.i64(mask).op(W.i64And).set(LOCAL.scratch2);
  w.pushValue(op, op.rm, size);
  code.set(a);
  code.get(LOCAL.scratch2).i64(0).op(W.i64Ne);
  code.open(W.if);
  shiftValue(w, kind, size, a, () => code.get(LOCAL.scratch2));
  w.truncate(size);
  code.set(r);
  // The bit shifted out last: one step less, then the edge bit.
  shiftValue(w, kind, size, a, () => code.get(LOCAL.scratch2).i64(-1).op(W.i64Add));
  if (kind === "shl") code.i64(size - 1).op(W.i64ShrU);
  code.i64(1).op(W.i64And).set(LOCAL.scratch3);
  code.get(LOCAL.scratch3).i64(63).op(W.i64Shl);
  // carry ^ overflow, as in flag-state.ts.
  if (kind === "sar") code.get(LOCAL.scratch3);
  else {
    code.get(kind === "shl" ? r : a).i64(size - 1).op(W.i64ShrU).i64(1).op(W.i64And);
    if (kind === "shr") code.get(LOCAL.scratch3).op(W.i64Xor);
  }
  code.i64(62).op(W.i64Shl, W.i64Or).set(LOCAL.flagAux).i64(0).set(LOCAL.flagExtra);
  code.get(r);
  signExtend(code, size);
  code.set(LOCAL.flagResult).get(r);
  w.setRegister(op.rm, size);
  code.op(W.else).get(a);
  w.setRegister(op.rm, size);
  code.close();
  return true;
}

const move: Emit = (w, instruction) => {
  const { op, size, form, load } = instruction;
  const { code } = w;
  if (form !== "r" && load) {
    w.loadOperand(op, size);
    w.setRegister(op.reg, size);
    return true;
  }
  if (!w.isReadable(op.reg)) return false;
  if (form === "r") {
    w.pushValue(op, op.reg, size);
    if (size === 64 && op.reg !== OPERAND_IMMEDIATE) w.setDerived(registerAt(op.rm)!.number, registerAt(op.reg)!.number, 0);
    else w.setRegister(op.rm, size);
    return true;
  }
  w.pushAddress(op);
  w.locateWrite(op, size / 8);
  w.pushValue(op, op.reg, size);
  code.set(LOCAL.value);
  w.store(size, LOCAL.value);
  return true;
};

function extend(from: number, isSigned: boolean): Emit {
  return (w, { op, size, form }) => {
    if (form === "r") w.pushValue(op, op.rm, from);
    else w.loadOperand(op, from);
    if (isSigned && size > from) signExtend(w.code, from);
    if (isSigned || size < from) w.truncate(size);
    w.setRegister(op.reg, size);
    return true;
  };
}

/** Two factors to a result that keeps the operand size; the flags tell whether it fits. */
function multiply(three: boolean): Emit {
  return (w, instruction) => {
    const { op, size } = instruction;
    const { code, flags } = w;
    if (size === 16) return false;
    pushSource(w, instruction, op.rm);
    code.set(LOCAL.value);
    const set = flags.nextSet();
    const { a, b, r, carry } = flagLocals(set);
    if (three) w.pushImmediate(op, 64);
    else {
      w.pushValue(op, op.reg, size);
      signExtend(code, size);
    }
    code.set(b).get(LOCAL.value);
    signExtend(code, size);
    code.tee(a).get(b).op(W.i64Mul).tee(r);
    if (size === 32) {
      code.get(r).op(W.i64Extend32S, W.i64Xor).set(carry).get(r);
      w.truncate(32);
      code.tee(r);
    }
    w.setRegister(op.reg, size);
    flags.put(size === 64 ? "product" : "multiply", size, set);
    return true;
  };
}

const setOnCondition: Emit = (w, { op, form, parameter }) => {
  const { code } = w;
  if (form !== "r") {
    w.pushAddress(op);
    w.locateWrite(op, 1);
  }
  w.flags.condition(parameter);
  code.op(W.i64ExtendU);
  if (form === "r") w.setRegister(op.rm, 8);
  else {
    code.set(LOCAL.value);
    w.store(8, LOCAL.value);
  }
  return true;
};

const conditionalMove: Emit = (w, instruction) => {
  const { op, size, parameter } = instruction;
  const { code } = w;
  pushSource(w, instruction, op.rm);
  code.set(LOCAL.value);
  // The condition may have to write the flags' words, which must not happen between the operands of select.
  w.flags.condition(parameter);
  code.set(LOCAL.count);
  code.get(LOCAL.value);
  w.pushValue(op, op.reg, size);
  code.get(LOCAL.count).op(W.select);
  w.setRegister(op.reg, size);
  return true;
};

const loadAddress: Emit = (w, { op, size }) => {
  const place = placeOf(op);
  w.pushAddress(op);
  w.truncate(size);
  if (size === 64 && place !== undefined) w.setDerived(registerAt(op.reg)!.number, place.register, place.displacement);
  else w.setRegister(op.reg, size);
  return true;
};

const push: Emit = (w, { op, form }) => {
  const { code } = w;
  if (form === "r") {
    if (!w.isReadable(op.reg)) return false;
    w.pushValue(op, op.reg, 64);
  } else w.loadOperand(op, 64);
  code.set(LOCAL.value);
  w.push(op, LOCAL.value);
  return true;
};

const pop: Emit = (w, { op, form }) => {
  const { code } = w;
  if (form !== "r") return false;
  w.pushPlace(RSP, 0);
  w.locateRead(op, 8);
  w.load(64);
  code.set(LOCAL.value).get(w.stackPointer).i64(8).op(W.i64Add);
  w.setDerived(RSP, RSP, 8);
  code.get(LOCAL.value);
  w.setRegister(op.rm, 64);
  return true;
};

/** STAC and CLAC: the TLB follows RFLAGS.AC where the supervisor is kept from user pages (interpreter/tlb.ts, currentView). */
function accessControl(open: boolean): Emit {
  return (w, { op }) => {
    const { code } = w;
    code.get(LOCAL.base).access(W.i32Load, VCPU.cpl);
    w.exitIf(op);
    code.get(LOCAL.base).get(LOCAL.base).access(W.i64Load, VCPU.rflags).i64(open ? RFLAGS_AC : ~RFLAGS_AC).op(open ? W.i64Or : W.i64And).access(W.i64Store, VCPU.rflags);
    for (const tlb of [VCPU_AREA.openTlb, VCPU_AREA.kernelTlb]) code.get(LOCAL.base).i32(tlb).op(W.i32Add);
    if (open) code.get(LOCAL.base).access(W.i32Load, VCPU.cr4).i32(CR4_SMAP).op(W.i32And);
    else code.i32(0);
    code.op(W.select).set(LOCAL.tlb);
    w.forgetPages();
    return true;
  };
}

/** Instructions with a template in the dispatch loop; jumps are in region.ts. */
export const TEMPLATES: Readonly<Record<string, Emit>> = {
  ...Object.fromEntries(Object.keys(ARITHMETIC).map((name) => [name, arithmetic(name as keyof typeof ARITHMETIC)])),
  inc: step("increment"), dec: step("decrement"), neg: negate, not: invert,
  shl: shift("shl"), shr: shift("shr"), sar: shift("sar"),
  mov: move, movzx8: extend(8, false), movzx16: extend(16, false), movsx8: extend(8, true), movsx16: extend(16, true), movsxd: extend(32, true),
  lea: loadAddress, imul: multiply(false), imul3: multiply(true), setcc: setOnCondition, cmov: conditionalMove,
  push, pop, nop: () => true, stac: accessControl(true), clac: accessControl(false),
};
