/** KVM's paravirtual guest ABI, one file a header, in Linux's spelling. */
export * from "./kvm_para.js";
export * from "./pvclock-abi.js";
