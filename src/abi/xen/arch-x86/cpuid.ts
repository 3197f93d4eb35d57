/** public/arch-x86/cpuid.h: the leaves by which a guest finds Xen. */
export const XEN_CPUID_FIRST_LEAF = 0x4000_0000;
export const XEN_CPUID_LAST_LEAF = 0x4000_0004;
/** "XenVMMXenVMM" as EBX, ECX, EDX of the first leaf. */
export const XEN_CPUID_SIGNATURE_EBX = 0x566e_6558;
export const XEN_CPUID_SIGNATURE_ECX = 0x6558_4d4d;
export const XEN_CPUID_SIGNATURE_EDX = 0x4d4d_566e;
/** EAX bits of leaf 4: the vCPU id is in EBX, the domain id in ECX. */
export const XEN_HVM_CPUID_VCPU_ID_PRESENT = 1 << 3;
export const XEN_HVM_CPUID_DOMID_PRESENT = 1 << 4;
