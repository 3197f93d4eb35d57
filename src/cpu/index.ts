/** The software processor, as the other rooms see it. */
export { ACCESS_EXECUTE, ACCESS_READ, ACCESS_WRITE, compileCore, createCore, TRANSLATE_FAULT, TRANSLATE_MISSING } from "./core.raw.js";
export type { Core, CoreOptions } from "./core.raw.js";
export { RAX, RBX, RCX, RDI, RDX, RSI, VcpuState, vcpuStateAddress } from "./vcpu-state.raw.js";
