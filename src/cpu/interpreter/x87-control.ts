/** x87 control instructions other than those that move the state: initialisation, control and status word, stack pointer, FWAIT, EMMS. */
import * as L from "./generated/layout";
import { readPointer, write16 } from "./memory";
import { VECTOR_MF, VECTOR_NM, VECTOR_UD, bail, cpu, effectiveAddress, gprAddress, raise } from "./state";
import {
  STATUS_BUSY, STATUS_C1, STATUS_EXCEPTIONS, STATUS_STACK_FAULT, STATUS_SUMMARY, beginRegister, controlWord, enterWithoutWait, enterX87, pop,
  setInUse, setStatus, setTop, stackIndex, status, top, updateSummary,
} from "./x87-state";

const CR0_MP: u64 = 2;
const CR0_EM: u64 = 4;
const CR0_TS: u64 = 8;
const CONTROL_INITIAL: u32 = 0x37f;
const CONTROL_WRITABLE: u32 = 0x1f3f;
const CONTROL_ONES: u32 = 0x40;

/** FCW := value, its fixed bits fixed, and ES and B of the status word to match. */
export function setControlWord(value: u32): void {
  store<u32>(cpu + L.VCPU_fpuControl, (value & CONTROL_WRITABLE) | CONTROL_ONES);
  updateSummary();
}

/** The state after FNINIT; the registers keep their contents. */
export function initialiseX87(): void {
  const c = cpu;
  store<u32>(c + L.VCPU_fpuControl, CONTROL_INITIAL);
  store<u32>(c + L.VCPU_fpuStatus, 0);
  store<u32>(c + L.VCPU_fpuTag, 0);
  store<u32>(c + L.VCPU_fpuOpcode, 0);
  store<u64>(c + L.VCPU_fpuInstructionPointer, 0);
  store<u64>(c + L.VCPU_fpuDataPointer, 0);
}

/** FNINIT. */
export function fninit(op: u32): i32 {
  const refused = enterWithoutWait();
  if (refused == 0) initialiseX87();
  return refused;
}

/** FNCLEX. */
export function fnclex(op: u32): i32 {
  const refused = enterWithoutWait();
  if (refused == 0) setStatus(status() & ~(STATUS_EXCEPTIONS | STATUS_STACK_FAULT | STATUS_SUMMARY | STATUS_BUSY));
  return refused;
}

/** FLDCW m16. */
export function fldcw(op: u32): i32 {
  const refused = enterX87();
  if (refused != 0) return refused;
  const pointer = readPointer(effectiveAddress(op), 2);
  if (pointer == 0) return bail;
  setControlWord(load<u16>(pointer));
  return 0;
}

/** FNSTCW m16. */
export function fnstcw(op: u32): i32 {
  const refused = enterWithoutWait();
  return refused != 0 ? refused : write16(effectiveAddress(op), controlWord());
}

/** FNSTSW m16. */
export function fnstswM16(op: u32): i32 {
  const refused = enterWithoutWait();
  return refused != 0 ? refused : write16(effectiveAddress(op), status());
}

/** FNSTSW AX. */
export function fnstswAx(op: u32): i32 {
  const refused = enterWithoutWait();
  if (refused == 0) store<u16>(gprAddress(0), status());
  return refused;
}

/** FNOP; also FNENI, FNDISI and FNSETPM of older coprocessors, which do nothing any more. */
export function fnop(op: u32): i32 { return beginRegister(op); }
/** FNENI. */
export function fobsolete(op: u32): i32 { return enterWithoutWait(); }

/** FFREE ST(i). */
export function ffree(op: u32): i32 {
  const refused = beginRegister(op);
  if (refused != 0) return refused;
  setStatus(status() & ~STATUS_C1);
  setInUse(stackIndex(op), false);
  return 0;
}

/** FFREE and pop, undocumented but present in every processor. */
export function ffreep(op: u32): i32 {
  const refused = beginRegister(op);
  if (refused != 0) return refused;
  setStatus(status() & ~STATUS_C1);
  setInUse(stackIndex(op), false);
  pop();
  return 0;
}

function rotate(op: u32, step: u32): i32 {
  const refused = beginRegister(op);
  if (refused != 0) return refused;
  setStatus(status() & ~STATUS_C1);
  setTop(top() + step);
  return 0;
}

/** FINCSTP. */
export function fincstp(op: u32): i32 { return rotate(op, 1); }
/** FDECSTP. */
export function fdecstp(op: u32): i32 { return rotate(op, 7); }

/** Unlike the others it heeds CR0.TS only together with CR0.MP, and CR0.EM not at all. */
export function fwait(op: u32): i32 {
  if ((load<u64>(cpu + L.VCPU_cr0) & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS)) return raise(VECTOR_NM);
  return (status() & STATUS_SUMMARY) != 0 ? raise(VECTOR_MF) : 0;
}

/** Marks every register empty, for x87 to follow MMX. */
export function emms(op: u32): i32 {
  const cr0 = load<u64>(cpu + L.VCPU_cr0);
  if ((cr0 & CR0_EM) != 0) return raise(VECTOR_UD);
  if ((cr0 & CR0_TS) != 0) return raise(VECTOR_NM);
  if ((status() & STATUS_SUMMARY) != 0) return raise(VECTOR_MF);
  store<u32>(cpu + L.VCPU_fpuTag, 0);
  // As every MMX instruction (SDM vol 1 §9.5.1).
  store<u32>(cpu + L.VCPU_fpuStatus, load<u32>(cpu + L.VCPU_fpuStatus) & ~0x3800);
  return 0;
}
