/** The public face of kvm: what a guest of KVM's personality can register and call. */
export { KVM_HYPERCALLS } from "./hypercalls.js";
export type { EoiTarget, KvmClock, KvmDomainParts } from "./interfaces.js";
export { KvmDomain } from "./kvm-domain.js";
