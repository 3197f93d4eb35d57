/** What this room asks of the rooms above it; `machine` wires them. */

/** Time since VM start in ns, the same origin in every thread. */
export interface KvmClock {
  nowNs(): number;
}

/** The vCPU's local APIC, as far as the end of an interrupt can be left to the guest's memory. */
export interface EoiTarget {
  /**
   * Whether the next EOI can only mean one interrupt: `offeredVector` (waits to be delivered; -1 = none waits) or the one in service,
   * with nothing else requested or in service, and nothing that another device has to be told of.
   */
  hasSoleInterrupt(offeredVector: number): boolean;
  /** What a write to the EOI register does. */
  endInterrupt(): void;
}

/** What a domain is made of in one thread. */
export interface KvmDomainParts {
  /** The host's shared memory, for the KVM block in it. */
  readonly memory: { readonly buffer: ArrayBufferLike };
  readonly clock: KvmClock;
  /** How long the calling thread has waited for a processor of the host since it began, in ns. */
  readonly runDelayNs: () => number;
  /** Makes the calling thread's vCPU forget every translation. */
  readonly flushTlb: () => void;
}
