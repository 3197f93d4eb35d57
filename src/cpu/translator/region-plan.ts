/** What is known of a region before it is written: where its jumps go, its loops, and where it may be entered. */
import { VCPU } from "../../abi/layout.js";
import { contains, entered, type Item, type Loop, planRoutes, shapeOf } from "./control-flow.js";
import { IMPLICIT_REGISTERS } from "./functions.js";
import { registerAt, RSP } from "./region-layout.js";
import { goesToDisplacement, hasFarLink, isMemory, type Op, OPERAND_IMMEDIATE, OPERAND_OTHER, type Trace } from "./traces.js";

/** Instructions behind which a region may go on in the middle of a loop, without a jump of its own leading there. */
const LEAVING: ReadonlySet<string> = new Set(["call", "callRm", "jmpRm", "syscall"]);

/** Jumps, loops and entries of a region; the same however often it has to be written. */
export interface RegionPlan {
  /** Places in the list of traces. */
  readonly blockByRip: ReadonlyMap<bigint, number>;
  readonly shape: readonly Item[];
  /** The blocks at which the region may be entered. */
  readonly entries: readonly number[];
  /** The block that `op` of `trace` jumps to, if the region has it and may go there: to another page only by a branch that has a link, to a block that lies in two pages not at all. */
  target(trace: Trace, op: Op): number | undefined;
  /** Whether `loop` is never left for a call or a computed jump, and so worth keeping its registers in locals. */
  isTight(loop: Loop): boolean;
}

/**
 * Traces of one guest page are dropped together, so that who runs one may go to another; but not to one that ends in another page, which may have been
 * written or mapped elsewhere meanwhile: the PC cache knows.
 */
export function isNear(trace: Trace, other: Trace): boolean { return other.gfn === trace.gfn && other.rip >> 12n === trace.rip >> 12n && other.secondGfn === undefined; }

/** Plans the region of `traces`, which has to be entered at block `first`, whatever others it may be. */
export function planRegion(traces: readonly Trace[], first: number): RegionPlan {
  const blockByRip = new Map(traces.map(({ rip }, block) => [rip, block]));
  const target = (trace: Trace, op: Op): number | undefined => {
    const block = blockByRip.get(trace.rip + BigInt(op.displacement));
    if (block === undefined || isNear(trace, traces[block]!)) return block;
    return hasFarLink(op) && traces[block]!.secondGfn === undefined ? block : undefined;
  };
  const successors = traces.map((trace) => trace.ops.map((op) => (goesToDisplacement(op) ? target(trace, op) : undefined)).filter((block) => block !== undefined));
  const shape = shapeOf(successors);
  const isTight = (loop: Loop): boolean => [...loop.blocks].every((block) => traces[block]!.ops.every(({ meaning }) => !LEAVING.has(meaning?.run ?? "")));
  const entries = planEntries(traces.length, shape, { first, isTight });
  planRoutes(successors, shape);
  return { blockByRip, shape, entries, target, isTight };
}

/**
 * Where the region may be entered: everywhere but in the middle of loops that are never left for a call or a computed jump. Who comes there
 * is in the interpreter until the loop's header, and the loop is spared the question where its rounds begin.
 */
function planEntries(blocks: number, shape: readonly Item[], { first, isTight }: { first: number; isTight: (loop: Loop) => boolean }): number[] {
  return Array.from({ length: blocks }, (_, block) => block).filter((block) => {
    const loops = entered(shape.find((item) => contains(item, block))!, block);
    if (block !== first && loops.some(isTight)) return false;
    for (const loop of loops) loop.dispatches = true;
    return true;
  });
}

/** General registers that a loop's ops name or imply; those of them that they may change without the interpreter's hand; and those to which they add constants, as to a place in an array. A bit each. */
export interface NamedRegisters { readonly used: number; readonly written: number; readonly stepped: number }

/** The registers of a loop of `traces`. */
export function namedRegisters(traces: readonly Trace[]): NamedRegisters {
  let used = 1 << RSP;
  let written = 1 << RSP;
  let stepped = 0;
  for (const op of traces.flatMap(({ ops }) => ops)) {
    const bits = (operand: number): number => {
      const named = registerAt(operand);
      return named === undefined ? 0 : 1 << named.number;
    };
    used |= bits(op.reg) | bits(op.rm) | bits(op.index);
    written |= bits(op.reg) | (isMemory(op) ? 0 : bits(op.rm));
    stepped |= bits(steppedOperand(op));
    if (op.meaning !== null && op.meaning.size === undefined) {
      used |= IMPLICIT_REGISTERS;
      written |= IMPLICIT_REGISTERS;
    }
  }
  return { used, written, stepped };
}

/** The operand to which `op` adds a constant, if that is a register; else OPERAND_OTHER. */
function steppedOperand(op: Op): number {
  const { run } = op.meaning ?? {};
  if (run === "lea") return op.index === VCPU.zero && op.reg === op.rm ? op.reg : OPERAND_OTHER;
  const isStep = run === "inc" || run === "dec" || ((run === "add" || run === "sub") && op.reg === OPERAND_IMMEDIATE);
  return isStep && !isMemory(op) ? op.rm : OPERAND_OTHER;
}
