/**
 * The counters that the processor core keeps in shared memory (src/abi/layout.ts, VCPU.counter...). A VM does not hand its memory
 * out, and a benchmark wants no more than to look on, so it keeps hold of the memory when the VM makes it.
 */
import { VcpuState } from "../dist/cpu/index.js";
import { VCPU } from "../dist/abi/layout.js";

const NAMES = /** @type {const} */ ({
  tlbMisses: VCPU.counterTlbFills,
  traceLookups: VCPU.counterTraceLookups,
  codeInvalidations: VCPU.counterCodeInvalidations,
  pageFaults: VCPU.counterPageFaults,
  interrupts: VCPU.counterInterrupts,
  decodedInstructions: VCPU.counterDecodedInstructions,
  arenaFlushes: VCPU.counterArenaFlushes,
});

/**
 * To be called before the first VM of the process is made.
 * @returns {() => Record<keyof typeof NAMES, number> | undefined} reads the counters of the first vCPU of the latest VM
 */
export function watchHostMemory() {
  /** @type {WebAssembly.Memory | undefined} */
  let latest;
  WebAssembly.Memory = new Proxy(WebAssembly.Memory, {
    construct(target, [descriptor]) {
      const memory = new target(descriptor);
      if (descriptor.shared) latest = memory;
      return memory;
    },
  });
  return () => {
    if (latest === undefined) return undefined;
    const vcpu = new VcpuState(latest, 0);
    return Object.fromEntries(Object.entries(NAMES).map(([name, offset]) => [name, Number(vcpu.readU64(offset))]));
  };
}
