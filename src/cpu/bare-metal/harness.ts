/** What the bare-metal tests share: one machine, and ways to start programs on it and to say what is expected of them. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { VCPU } from "../../abi/layout.js";
import { compileCore } from "../core.raw.js";
import type { Listing } from "./listing.js";
import { BareMachine, type Start, type Stop } from "./machine.js";

export const machine = new BareMachine(await compileCore(readFileSync(new URL("../core.wasm", import.meta.url))));
export const { state } = machine;

/** Registers that the cpu room has no names for. */
export const RSP = 4;
export const RBP = 5;
/** Exception vectors. */
export const VECTOR = { DB: 1, UD: 6, SS: 12, GP: 13, PF: 14, AC: 17 } as const;
/** A page that programs use for data. */
export const DATA = 0x2_0000;

/** Starts `program` with the registers given by number. */
export function start(mode: Start, program: Listing, registers: Readonly<Record<number, bigint | number>> = {}): void {
  machine.start(mode, program);
  for (const [n, value] of Object.entries(registers)) state.setGpr(Number(n), BigInt(value));
}

/** Starts `program` and runs it. */
export function runs(mode: Start, program: Listing, registers?: Readonly<Record<number, bigint | number>>): Stop {
  start(mode, program, registers);
  return machine.run();
}

/** Sets RFLAGS to `flags`. */
export function setFlags(flags: bigint): void { state.writeU64(VCPU.rflags, 2n | flags); }
/** Sets bits of CR4. */
export function setControl4(bits: bigint): void { state.writeU64(VCPU.cr4, state.readU64(VCPU.cr4) | bits); }
/** Sets debug register n. */
export function setDebug(n: number, value: bigint): void { state.writeU64(VCPU.dr + 8 * n, value); }

/** Fails unless the program stopped by `vector`, with RIP at `rip`. */
export function assertFault(stop: Stop, vector: number, errorCode: number | undefined, rip?: number): void {
  assert.deepEqual({ exit: stop.exit, vector: stop.vector, errorCode: stop.errorCode }, { exit: "vector", vector, errorCode });
  if (rip !== undefined) assert.equal(stop.rip.toString(16), rip.toString(16));
}

/** Address of a labelled line. */
export function label(program: Listing, name: string): number {
  const address = program.labels[name];
  assert.ok(address !== undefined, name);
  return address;
}

/** Completes an instruction that the core hands over, as the run loop does. */
export function complete(exit: string): boolean {
  if (!["cpuid", "rdmsr", "wrmsr", "io", "rdrand"].includes(exit)) return false;
  state.skipInstruction();
  return true;
}
