/**
 * The Xen part of the VM block: what the vCPU threads, the device thread and the main thread share about the domain.
 * Offsets are bytes of the host memory from XEN_BLOCK_BASE unless a field says otherwise; all of it is zero at first.
 *
 *   0x0_0000  domain header, HVM parameters, event bits
 *   0x0_1000  hypercall counters
 *   0x0_5000  event channel ports
 *   0x1_5000  vCPUs, XEN_VCPU_STRIDE apart
 *   0x1_6000  local APICs, XEN_APIC_STRIDE apart
 *   0x1_7000  what a VM with KVM's personality has instead (kvm-block.ts)
 *   0x2_0000  one bit a gfn: given back by the balloon
 */
import { VM_BLOCK_BASE } from "./layout.js";

export const XEN_BLOCK_BASE = VM_BLOCK_BASE + 0x1_0000;
export const XEN_BLOCK_SIZE = 0x6_0000;

/** Domain header. Fields with a lock's name are changed only under it; single words may be read without. */
export const XEN_DOMAIN = {
  /** u32 lock words. Order: domainLock before eventLock. */
  domainLock: 0x00,
  eventLock: 0x04,
  /** u32: 0 = runs, otherwise SHUTDOWN_* + 1. Set once by compare and exchange. */
  shutdown: 0x08,
  /** u32: vector of the global callback, 0 = none yet. Atomic. */
  callbackVector: 0x0c,
  /** u32: bit n = VMASST type n is on. Atomic. */
  vmAssist: 0x10,
  /** u32: bit n = vCPU n sleeps in SCHEDOP_poll. Atomic. */
  pollingVcpus: 0x14,
  /** u32 seconds low, u32 seconds high, u32 nanoseconds: UTC at VM start. Written before start. */
  wallSecondsLow: 0x18,
  wallSecondsHigh: 0x1c,
  wallNanoseconds: 0x20,
  /** u32: 1 when some bit of deviceEvents was set since the device thread looked. Atomic. */
  deviceEventsHint: 0x24,
  /** u32: gfn + 1 of shared_info, 0 = not mapped. domainLock and eventLock to change it. */
  sharedInfoGfn: 0x28,
  /** u32: 1 when some bit of deferredSends was set since a vCPU looked. Atomic. */
  deferredSendsHint: 0x2c,
  /** u64: pages the domain has now and may have. domainLock. */
  currentPages: 0x30,
  maximumPages: 0x38,
  /** u64: highest gfn of RAM the domain has ever had. domainLock. */
  highestGfn: 0x40,
  /** 16 bytes: the domain's UUID. Written before start. */
  guestHandle: 0x50,
  /** 64 * u64. domainLock to change one. */
  hvmParams: 0x100,
  /** 4096 bits: events raised before shared_info is mapped. eventLock. */
  shadowPending: 0x400,
  /** 4096 bits: ports whose notification the device thread has yet to see. Atomic. */
  deviceEvents: 0x600,
  /** 64 * u32: gfn + 1 of each mapped grant frame, 0 = not mapped. domainLock. */
  grantFrames: 0x800,
  /** u32: memslots made for pages outside RAM so far; their ids count from here. domainLock. */
  slotsMade: 0xa00,
  /** 4096 bits: ports whose sender could not finish without sleeping; a vCPU sends them. Atomic. */
  deferredSends: 0xb00,
  /** 64 * 64 * u32: calls by hypercall number and sub-operation, the last column for every other one. Atomic. */
  counts: 0x1000,
  /** 4096 * XEN_PORT_SIZE. eventLock. */
  ports: 0x5000,
  vcpus: 0x1_5000,
  apics: 0x1_6000,
  /** Bits for gfns below BALLOON_GFN_COUNT. domainLock. */
  ballooned: 0x2_0000,
} as const;
export const BALLOON_GFN_COUNT = 0x20_0000;
export const HYPERCALL_COUNT_ROWS = 64;
export const HYPERCALL_COUNT_COLUMNS = 64;

/** One port: u32 state (EVTCHNSTAT_*), u32 vCPU to notify, u32 virq or remote domain, u32 remote port. */
export const XEN_PORT = { state: 0, vcpu: 4, remote: 8, remotePort: 12 } as const;
export const XEN_PORT_SIZE = 16;

/** One vCPU. */
export const XEN_VCPU = {
  /** u32 lock word of the runstate fields and of the run state area in the guest. Innermost lock. */
  runstateLock: 0x00,
  /** u32: bit 0 has been brought up once, bit 1 is up. Atomic. */
  flags: 0x04,
  /** u32: gfn + 1 of a registered vcpu_info, 0 = the one in shared_info; u32: its offset in the page. eventLock to change them. */
  vcpuInfoGfn: 0x08,
  vcpuInfoOffset: 0x0c,
  /** Registered run state area: u64 gpa + 1 of its first piece, u64 gpa of the second, u32 bytes in the first. runstateLock. */
  runstateGpa: 0x10,
  runstateGpaRest: 0x18,
  runstateFirstBytes: 0x20,
  /** u64 absolute ns, all ones = not armed. Atomic. */
  singleshotDeadline: 0x28,
  /** u64 ns, 0 = off; u64 absolute ns of the next one. Atomic. */
  periodicPeriod: 0x30,
  periodicNext: 0x38,
  /** u32: polled port, POLL_SEVERAL = look at each. Atomic. */
  pollPort: 0x40,
  /** u32: 1 = an NMI was sent by VCPUOP_send_nmi. Atomic. */
  nmi: 0x44,
  /** Run state: u32 state, u64 entry time, 4 * u64 ns. runstateLock. */
  runstate: 0x48,
  runstateEntry: 0x50,
  runstateTimes: 0x58,
  /** u64 gpa + 1, u64 gpa, u32: registered time area, as the run state area. domainLock. */
  timeGpa: 0x80,
  timeGpaRest: 0x88,
  timeFirstBytes: 0x90,
  /** u64: selector bits raised while vcpu_info was not reachable, or not without sleeping. Atomic; the vCPU moves them over. */
  shadowSelector: 0x98,
  /** 24 * u32: port of each virtual interrupt, 0 = none. eventLock. */
  virqPorts: 0xa0,
} as const;
export const XEN_VCPU_STRIDE = 0x200;
export const VCPU_FLAG_INITIALISED = 1;
export const VCPU_FLAG_UP = 2;
export const POLL_SEVERAL = 0xffff_ffff;

/** What a local APIC has besides the registers of its virtual-APIC page (APIC_PAGE). Written by the owning vCPU's thread, except errors. */
export const XEN_APIC = {
  /** u64: the APIC_BASE MSR. */
  base: 0x00,
  /** u32: errors since the last write to ESR. Atomic. */
  errors: 0x20,
  /** u64 ns at which the timer's count began; u64 ns of the next expiry, 0 = not armed. */
  timerStart: 0x50,
  timerExpiry: 0x58,
} as const;
export const XEN_APIC_STRIDE = 0x100;
