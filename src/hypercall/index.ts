/** The public face of hypercall: what a Xen domain can ask for, and the events it gets. */
export type { DomainParts } from "./domain.js";
export type { Clock, DomainMemory, LinearMemory, SchedulingRequest } from "./interfaces.js";
export { XenDomain } from "./xen-domain.js";
export type { DomainConfiguration } from "./xen-domain.js";
