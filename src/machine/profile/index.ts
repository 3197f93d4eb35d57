/** A sampled profile of the guest, by function: see docs/profile.md. */
export { readProfiledKernel, type ProfiledKernel, type TaskLayout } from "./profiled-kernel.js";
export { VcpuSampler } from "./sampler.js";
export type { VcpuSamples } from "./samples.js";
export { type SpeedscopeFile, speedscopeFile, type SpeedscopeFrame, type SpeedscopeProfile } from "./speedscope.js";
