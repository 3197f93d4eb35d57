/**
 * The debugger's hand in a vCPU's thread: registers belong to that thread, and addresses are looked up by its core. It works while the
 * vCPU stands at the gate; guest pages are reached as for hypercall arguments, so their frames may move meanwhile.
 */
import { gpaOf, type Gpa } from "../../abi/address.js";
import { GUEST_PHYSICAL_BITS, PAGE_SIZE } from "../../abi/layout.js";
import type { Core, VcpuState } from "../../cpu/index.js";
import type { createLinearMemory, PhysicalMemory } from "../../exit/index.js";
import type { DebugCommand, DebugResult } from "./messages.js";
import { readRegisters, writeRegisters } from "./registers.js";

/** What commands work on. */
export interface DebugParts {
  readonly state: VcpuState;
  readonly core: Pick<Core, "registersChanged">;
  readonly linear: Pick<ReturnType<typeof createLinearMemory>, "translate">;
  readonly memory: PhysicalMemory;
}

/** A piece of an access: a range within one guest page. */
type Piece = readonly [gpa: Gpa, done: number, lengthBytes: number];

/** Carries out one command. The vCPU's thread, at the gate. */
export function runDebugCommand(parts: DebugParts, command: DebugCommand): DebugResult {
  const { state, core, linear } = parts;
  switch (command.name) {
    case "read-registers": return readRegisters(state);
    case "write-registers": return writeRegisters(state, command.packed, () => core.registersChanged());
    case "translate": return linear.translate(command.address);
    case "read-memory": return read(parts, piecesOf(command.address, command.lengthBytes, (gva) => linear.translate(gva)), command.lengthBytes);
    case "read-physical": return read(parts, piecesOf(command.address, command.lengthBytes, physicalAddress), command.lengthBytes);
    case "write-memory": return write(parts, command.address, command.bytes);
  }
}

function physicalAddress(address: bigint): Gpa | undefined {
  return address >> BigInt(GUEST_PHYSICAL_BITS) === 0n ? gpaOf(Number(address)) : undefined;
}

/** The pieces of a range, as far as there are guest-physical addresses. Addresses wrap at 2^64. */
function* piecesOf(address: bigint, lengthBytes: number, find: (address: bigint) => Gpa | undefined): Generator<Piece> {
  for (let done = 0; done < lengthBytes;) {
    const at = BigInt.asUintN(64, address + BigInt(done));
    const size = Math.min(PAGE_SIZE - Number(at & BigInt(PAGE_SIZE - 1)), lengthBytes - done);
    const gpa = find(at);
    if (gpa === undefined) return;
    yield [gpa, done, size];
    done += size;
  }
}

function read({ memory }: DebugParts, pieces: Iterable<Piece>, lengthBytes: number): Uint8Array {
  const result = new Uint8Array(lengthBytes);
  let length = 0;
  for (const [gpa, done, size] of pieces) {
    const bytes = memory.read(gpa, size);
    if (bytes === undefined) break;
    result.set(bytes, done);
    length = done + size;
  }
  return result.subarray(0, length);
}

/** Looks everything up before it writes anything. */
function write({ memory, linear }: DebugParts, address: bigint, bytes: Uint8Array): boolean {
  const pieces = [...piecesOf(address, bytes.length, (gva) => linear.translate(gva))];
  const covered = pieces.reduce((sum, [, , size]) => sum + size, 0);
  return covered === bytes.length && pieces.every(([gpa, done, size]) => memory.write(gpa, bytes.subarray(done, done + size)));
}
