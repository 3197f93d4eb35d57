/** One hypercall on its way through its handler, and the shape of a handler. */
import { DOMID_GUEST, DOMID_SELF, Fields } from "../abi/xen/index.js";
import type { Domain } from "./domain.js";
import type { LinearMemory } from "./interfaces.js";

/** A decoded call. `args` are RDI, RSI, RDX, R10, R8, R9. */
export class HypercallContext {
  readonly domain: Domain;
  /** The calling vCPU. */
  readonly vcpu: number;
  readonly args: readonly bigint[];
  readonly linear: LinearMemory;

  constructor(domain: Domain, vcpu: number, args: readonly bigint[], linear: LinearMemory) {
    this.domain = domain;
    this.vcpu = vcpu;
    this.args = args;
    this.linear = linear;
  }

  /** Argument `index` as 64 bits. */
  arg(index: number): bigint {
    return this.args[index] ?? 0n;
  }

  /** Argument `index` as an unsigned int, the upper half dropped as the ABI's C types do. */
  argU32(index: number): number {
    return Number(this.arg(index) & 0xffff_ffffn);
  }

  /** Copies the structure argument `index` points at; undefined = -EFAULT. */
  readStruct(index: number, size: number): Fields | undefined {
    const bytes = this.linear.read(this.arg(index), size);
    return bytes && new Fields(bytes);
  }

  /** Copies a structure back to where argument `index` points; false = -EFAULT. */
  writeStruct(index: number, fields: Fields): boolean {
    return this.linear.write(this.arg(index), fields.bytes);
  }
}

/** Runs one operation; the result is RAX, negative = -errno. */
export type HypercallHandler = (call: HypercallContext) => number | bigint;

/** A hypercall: either one operation, or a table of sub-operations. */
export interface HypercallFamily {
  readonly number: number;
  /** Extracts the sub-operation; absent = the call has none. */
  readonly subOperation?: (call: HypercallContext) => number;
  /** Xen's names of all sub-operations, offered or not. */
  readonly names: Readonly<Record<number, string>>;
  /** Handlers by sub-operation (0 where there is none). */
  readonly handlers: Readonly<Record<number, HypercallHandler>>;
}

/** The usual place of the sub-operation: the first argument. */
export function firstArgument(call: HypercallContext): number {
  return call.argU32(0);
}

/** Whether a domain id in an argument means the caller. */
export function isSelf(domid: number): boolean {
  return domid === DOMID_SELF || domid === DOMID_GUEST;
}
