/** Guest-linear memory of one vCPU, for hypercall arguments: the vCPU's page tables are walked as CPL 0. */
import { gfnOf, type Gpa, gpaOf } from "../abi/address.js";
import { PAGE_SIZE } from "../abi/layout.js";
import { ACCESS_READ, ACCESS_WRITE, type Core, TRANSLATE_MISSING, type VcpuState } from "../cpu/index.js";
import type { LinearMemory } from "../hypercall/index.js";
import { asInGuestMode } from "./requests/guest-mode.js";
import type { MachineCalls, PhysicalMemory } from "./vcpu-context.js";

/** What linear addresses are resolved with. */
export interface LinearMemoryParts {
  readonly core: Core;
  readonly state: VcpuState;
  readonly memory: PhysicalMemory;
  readonly machine: Pick<MachineCalls, "faultIn">;
}

/** A walk touches at most four page-table pages, and each is missing at most once. */
const WALK_ATTEMPTS_MAX = 8;

/** Makes the linear view that a vCPU's hypercall handlers get. Only for the vCPU's own thread. */
export function createLinearMemory(parts: LinearMemoryParts): LinearMemory {
  return {
    read: (gva, lengthBytes) => readLinear(parts, gva, lengthBytes),
    write: (gva, bytes) => writeLinear(parts, gva, bytes),
    translate: (gva) => translate(parts, gva, ACCESS_READ),
  };
}

function translate({ core, state, machine }: LinearMemoryParts, gva: bigint, access: number): Gpa | undefined {
  for (let attempt = 0; attempt < WALK_ATTEMPTS_MAX; attempt++) {
    const answer = asInGuestMode(state, () => core.translate(gva, access));
    if (answer >= 0) return gpaOf(answer);
    if (answer !== TRANSLATE_MISSING) return undefined;
    if (machine.faultIn(gfnOf(state.exitGfn), true) !== "mapped") return undefined;
  }
  return undefined;
}

function bytesToPageEnd(gva: bigint): number {
  return PAGE_SIZE - Number(gva & BigInt(PAGE_SIZE - 1));
}

function readLinear(parts: LinearMemoryParts, gva: bigint, lengthBytes: number): Uint8Array | undefined {
  const result = new Uint8Array(lengthBytes);
  for (let done = 0; done < lengthBytes;) {
    const at = gva + BigInt(done);
    const size = Math.min(bytesToPageEnd(at), lengthBytes - done);
    const gpa = translate(parts, at, ACCESS_READ);
    const piece = gpa === undefined ? undefined : parts.memory.read(gpa, size);
    if (piece === undefined) return undefined;
    result.set(piece, done);
    done += size;
  }
  return result;
}

function writeLinear(parts: LinearMemoryParts, gva: bigint, bytes: Uint8Array): boolean {
  for (let done = 0; done < bytes.length;) {
    const at = gva + BigInt(done);
    const size = Math.min(bytesToPageEnd(at), bytes.length - done);
    const gpa = translate(parts, at, ACCESS_WRITE);
    if (gpa === undefined || !parts.memory.write(gpa, bytes.subarray(done, done + size))) return false;
    done += size;
  }
  return true;
}
