/** The Xen guest ABI, one file a public header, in Xen's spelling. */
export * from "./arch-x86/cpuid.js";
export * from "./errno.js";
export * from "./event_channel.js";
export * from "./features.js";
export { Fields } from "./fields.js";
export * from "./grant_table.js";
export * from "./hvm/hvm_op.js";
export * from "./hvm/params.js";
export * from "./io/console.js";
export * from "./io/xenbus.js";
export * from "./io/xs_wire.js";
export * from "./memory.js";
export * from "./sched.js";
export * from "./vcpu.js";
export * from "./version.js";
export * from "./xen.js";
