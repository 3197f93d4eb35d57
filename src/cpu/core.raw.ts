/** Binding of the WebAssembly core (src/cpu/interpreter) to one vCPU's thread. */
import { LOCK_STEP_HOLDER_ADDRESS } from "../abi/layout.js";
import { Translator, type TranslatorExports, type TranslatorOptions } from "./translator/translator.js";
import { vcpuStateAddress } from "./vcpu-state.raw.js";

export const ACCESS_READ = 0;
export const ACCESS_WRITE = 1;
export const ACCESS_EXECUTE = 2;
/** What `Core.translate` answers instead of an address: the guest's page tables refuse, or a host page is missing first. */
export const TRANSLATE_FAULT = -1;
export const TRANSLATE_MISSING = -2;

/** The software processor of one vCPU; its registers are in VcpuState. Used by one thread only. */
export interface Core {
  /** Runs about `budget` instructions; answers an EXIT_*. */
  run(budget: number): number;
  /**
   * Walks the vCPU's page tables as CPL 0. Answers a guest-physical address, TRANSLATE_FAULT, or TRANSLATE_MISSING:
   * then the page of VcpuState.exitAddress must be faulted in and the call made again.
   */
  translate(gva: bigint, access: number): number;
  /** Forgets every cached translation of guest-virtual addresses. */
  flushTlb(): void;
  /** Forgets which frames guest pages have: what the host changed, not the guest. */
  flushFrames(): void;
  /** Forgets the decoded instructions of one guest page. */
  invalidateCode(gfn: number): void;
  /** Forgets all decoded instructions. */
  flushCode(): void;
  /** Control registers were written from outside: mode and privilege follow them, and no translation of an address is kept. */
  registersChanged(): void;
  /** Takes what has been translated and asks for what has become hot; outside guest mode, as it takes its time. */
  translateHot(): void;
  /** The exported function behind `run`, for those who ask the engine about its code. */
  readonly entry: unknown;
}

/** The functions that the core's module exports. */
interface CoreExports extends TranslatorExports {
  initialise(vcpuBase: number): void;
  run(budget: number): number;
  translate(gva: bigint, access: number): bigint;
  flushTlb(): void;
  flushFrames(): void;
  invalidateCode(gfn: number): void;
  flushCode(): void;
  updateMode(): void;
}

/** What the core needs from outside. */
export interface CoreOptions {
  module: WebAssembly.Module;
  memory: WebAssembly.Memory;
  vcpuIndex: number;
  /** The guest's TSC: nanoseconds since VM start, never going back. */
  timestamp: () => number;
  /** Without it everything is interpreted. */
  translator?: TranslatorOptions | undefined;
}

/** Compiles the core. `bytes` is the content of its .wasm file. */
export async function compileCore(bytes: Uint8Array): Promise<WebAssembly.Module> {
  return await WebAssembly.compile(bytes as Uint8Array<ArrayBuffer>);
}

/** As compileCore, while the caller waits. */
export function compileCoreAtOnce(bytes: Uint8Array): WebAssembly.Module {
  return new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>);
}

/** Instantiates the core for one vCPU. Synchronous, because vCPU threads have no event loop to come back to. */
export function createCore({ module, memory, vcpuIndex, timestamp, translator: options }: CoreOptions): Core {
  const instance = new WebAssembly.Instance(module, { env: { memory, timestamp, abort: abortCore } });
  const exports = instance.exports as unknown as CoreExports;
  const base = vcpuStateAddress(vcpuIndex);
  exports.initialise(base);
  const translator = options === undefined ? undefined : new Translator(memory, base, exports, options);
  return {
    run: (budget) => runOrOpen(memory, exports, budget),
    translate: (gva, access) => Number(exports.translate(BigInt.asIntN(64, gva), access)),
    flushTlb: exports.flushTlb,
    flushFrames: exports.flushFrames,
    invalidateCode: exports.invalidateCode,
    flushCode: exports.flushCode,
    registersChanged() {
      exports.updateMode();
      exports.flushTlb();
    },
    translateHot: () => translator?.translateHot(),
    entry: exports.run,
  };
}

/** Runs the core. Should it throw, nobody may be kept waiting for a check that was under way. */
function runOrOpen(memory: WebAssembly.Memory, exports: CoreExports, budget: number): number {
  try {
    return exports.run(budget);
  } catch (error) {
    Atomics.store(new Int32Array(memory.buffer), LOCK_STEP_HOLDER_ADDRESS >> 2, 0);
    throw error;
  }
}

function abortCore(): never {
  throw new Error("the processor core stopped on a broken assertion");
}
