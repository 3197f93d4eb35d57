/** What the translation of traces depends on, as numbers: equal numbers, the same code. Nothing in them depends on where anything lies. */
import { goesToDisplacement, notesTargets, type Op, type Trace } from "./traces.js";

const PAGE_SHIFT = 12n;
const FNV_PRIME = 0x0100_0193;
const FNV_BASIS = 0x811c_9dc5;

/** Visits the numbers of `trace`, i32 or u32 each. Its links are left out, which are looked at while the code runs, and so are the targets that it has noted. */
function eachNumber({ rip, instructions, ops }: Trace, visit: (number: number) => void): void {
  visit(Number(rip & 0xffff_ffffn));
  visit(Number((rip >> 32n) & 0xffff_ffffn));
  visit(instructions);
  visit(ops.length);
  for (const op of ops) eachOfOp(op, visit);
}

function eachOfOp(op: Op, visit: (number: number) => void): void {
  visit(op.handler | (op.ripOffset << 16));
  visit(op.reg);
  visit(op.rm);
  visit(op.index);
  visit(op.displacement);
  visit(op.scale | (op.segment << 8) | (op.length << 16) | (op.bits << 24));
  if (notesTargets(op)) return;
  const isLink = goesToDisplacement(op);
  if (!isLink) visit(op.immediateLow);
  if (!isLink || op.meaning?.run === "jcc") visit(op.immediateHigh);
}

/** A number by which `trace` is told from others with the same address, most likely. */
export function checkOf(trace: Trace): number {
  let check = FNV_BASIS;
  eachNumber(trace, (number) => (check = Math.imul(check ^ number, FNV_PRIME) ^ (check >>> 15)));
  return check >>> 0;
}

/** All that the translation of `traces` (in the order of their addresses) with the entry `first` depends on, little-endian u32 each. */
export function contentOf(traces: readonly Trace[], first: number): Uint8Array {
  const numbers = [first, traces.length];
  // Which of them are dropped together, and which lie in two pages, decides which jumps are looked at (region-plan.ts, isNear).
  const pages = new Map<string, number>();
  for (const trace of traces) {
    const page = `${trace.gfn} ${trace.rip >> PAGE_SHIFT}`;
    if (!pages.has(page)) pages.set(page, pages.size);
    numbers.push(pages.get(page)!, Number(trace.secondGfn !== undefined), Number(trace.missesWindows));
    eachNumber(trace, (number) => numbers.push(number));
  }
  const view = new DataView(new ArrayBuffer(numbers.length * 4));
  numbers.forEach((number, index) => view.setUint32(index * 4, number, true));
  return new Uint8Array(view.buffer);
}
