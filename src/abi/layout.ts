/**
 * Every offset of the host's shared memory, declared once.
 *
 * The WebAssembly half (src/cpu/interpreter) gets these numbers through the generated file
 * `src/cpu/interpreter/generated/layout.ts`; the TypeScript half imports this module. All values are bytes
 * unless the name says otherwise; all fields are little endian.
 *
 *   0x0000_0000  constants of the interpreter (its data segments)
 *   0x0010_0000  host header
 *   0x0011_0000  VM block: memslots, ports, counters, byte channels to the other threads
 *   0x0020_0000  root of the nested page table (gfn -> pfn)
 *   0x0030_0000  root of the address space (hva page -> pfn)
 *   0x0040_0000  frame table
 *   0x0140_0000  memory block table
 *   0x0150_0000  who holds decoded code of which guest page, and the log of stores to it
 *   0x01fa_0000  map of the swap file's slots, references held by users of pages, pages the hypervisor has mapped
 *   0x0200_0000  vCPU areas, VCPU_AREA_STRIDE apart
 *   0x0e00_0000  leaves of nested page table and address space; never moved, so outside the memory blocks
 *   0x1000_0000  the frames, in memory blocks
 */

export * from "./exits.js";
export * from "./lock-step.js";

export const PAGE_SHIFT = 12;
export const PAGE_SIZE = 4096;

/** Where the interpreter's constant data segments begin (asc --memoryBase). */
export const CORE_DATA_BASE = 0x1000;
/** Lock word for LOCKed accesses that no atomic instruction of the host can do: misaligned, over a page end, of 16 bytes. Atomic; 0 = free. */
export const SPLIT_LOCK_ADDRESS = 0x800;
/** u32: number of vCPUs, written before their cores are made. */
export const VCPU_COUNT_ADDRESS = 0x804;
/**
 * Breakpoints and watchpoints of the debugger outside the guest, of all vCPUs: u32 number of breakpoints, u32 number of watchpoints, then an
 * entry each, breakpoints first: u64 linear address, u32 bytes (watchpoints), u32 WATCH_* bits (watchpoints). Written by the
 * main thread while every vCPU stands at the gate; read by the cores (src/cpu/interpreter/host-debug.ts).
 */
export const DEBUG_TABLE_BASE = 0x900;
export const DEBUG_TABLE_BREAKPOINTS = 0;
export const DEBUG_TABLE_WATCHPOINTS = 4;
export const DEBUG_TABLE_ENTRIES = 16;
export const DEBUG_ENTRY_SIZE = 16;
export const DEBUG_ENTRY_LENGTH = 8;
export const DEBUG_ENTRY_KIND = 12;
export const DEBUG_ENTRIES_MAX = 64;
/** What a watchpoint looks for. */
export const WATCH_WRITE = 1;
export const WATCH_READ = 2;
/** u32: every how manyth entry into translated code is checked against the interpreter, 0 = none. Written before the cores are made. */
export const LOCK_STEP_EVERY_ADDRESS = 0x808;
/** u32: address of the vCPU that checks at this moment, 0 = none: nobody else touches guest memory meanwhile. Atomic; src/cpu/interpreter/lock-step.ts. */
export const LOCK_STEP_HOLDER_ADDRESS = 0x80c;
export const HOST_HEADER_BASE = 0x0010_0000;
export const VM_BLOCK_BASE = 0x0011_0000;
export const VM_BLOCK_SIZE = 0x000f_0000;
/** Read sections of the hypervisor's threads (src/sync/real/reader-slots.ts): an epoch each, odd = open, i32. */
export const READER_SLOTS_BASE = VM_BLOCK_BASE + 0x4000;
export const READER_SLOTS = 64;
export const READER_SLOT_SIZE = 64;
export const NPT_ROOT_BASE = 0x0020_0000;
export const HVA_ROOT_BASE = 0x0030_0000;
export const FRAME_TABLE_BASE = 0x0040_0000;
/** Bytes of one entry of the frame table. */
export const FRAME_ENTRY_SIZE = 16;
export const BLOCK_TABLE_BASE = 0x0140_0000;
/**
 * Code of the guest that some vCPU holds decoded, by gfn modulo CODE_PAGES: a bit per 64 bytes with code (u64), the vCPUs
 * that hold it (u8 bit set), and the stores seen while none did (u8). See src/cpu/interpreter/code-sharing.ts.
 */
export const CODE_PAGES = 0x10_0000;
export const CODE_CHUNKS_BASE = 0x0150_0000;
export const CODE_HOLDERS_BASE = 0x01d0_0000;
export const CODE_EMPTY_STORES_BASE = 0x01e0_0000;
/** Log by which a vCPU tells the others of its stores to their code: u32 position, u32 stores, entries of u64 from +64. */
export const CODE_LOG_BASE = 0x01f0_0000;
export const CODE_LOG_ENTRIES = 0x1_0000;
/** A bit a slot of the swap file, set = in use; as many as a WebAssembly memory has pages of the guest's size. */
export const SWAP_MAP_BASE = 0x01fa_0000;
export const SWAP_SLOTS_MAX = 0x10_0000;
/** References that users of guest pages hold, and the guest pages they have mapped; see src/host-memory. */
export const PIN_TABLE_BASE = 0x01fc_0000;
export const MAPPED_PAGES_BASE = 0x01fd_0000;
export const VCPU_AREA_BASE = 0x0200_0000;
export const VCPU_AREA_STRIDE = 0x0180_0000;
export const VCPU_COUNT_MAX = 8;
/** What a sample adds to the heat of a trace; having to leave a region for it adds 1. */
export const HEAT_OF_SAMPLE = 64;
/** The same for a trace that a region has. */
export const HEAT_OF_REGION_SAMPLE = 8;
/** Instructions of a trace at most. */
export const TRACE_INSTRUCTIONS_MAX = 32;
/** Instructions that a region may execute without looking at its budget: more than it has ops. */
export const REGION_OVERDRAFT_MAX = 2048;
/** At this heat, and whenever it has doubled, the translator looks whether a trace and what it leads to are hot together. */
export const HEAT_OF_LOOK = 32 * HEAT_OF_SAMPLE;
/** How often windows may be missed in a trace (translator/page-windows.ts) until it is translated so that it can do without. */
export const WINDOWS_MISSED_MAX = 1024;
/** Traces that wait for the translator at most. */
export const HOT_TRACES_MAX = 256;
/** Bits of VCPU_AREA.knownEntries. */
export const KNOWN_ENTRY_BITS = 0x1_0000;
/** Leaf tables, one page each. */
export const TABLE_AREA_BASE = VCPU_AREA_BASE + VCPU_COUNT_MAX * VCPU_AREA_STRIDE;
/** Address of the first frame; its pfn is FRAMES_BASE >> PAGE_SHIFT. A pfn is always (address >> PAGE_SHIFT). */
export const FRAMES_BASE = 0x1000_0000;
/** Bytes of one memory block, the unit that is brought online and offline. */
export const MEMORY_BLOCK_SIZE = 0x0100_0000;

/**
 * Nested page table: a root of NPT_ROOT_ENTRIES u32 words, each 0 or the byte address of a leaf frame; a leaf
 * has 1024 u32 entries and covers 4 MiB of guest-physical space. Leaf entry: frame address in bits 31..12, flags below.
 *
 *   31                    12 11  6 5       4    3     2        1        0
 *   +-----------------------+-----+-------+----+-----+--------+--------+-------+
 *   | frame address >> 12   | 0   |SETTLED|CODE|DIRTY|ACCESSED|WRITABLE|PRESENT|
 *   +-----------------------+-----+-------+----+-----+--------+--------+-------+
 *
 * CODE: some vCPU holds decoded instructions of this guest page, or is about to, so no TLB may get a write tag for it. SETTLED: and no TLB
 * has one any more. Both are the processor's (src/cpu/interpreter/code-sharing.ts).
 */
export const NPT_ROOT_ENTRIES = 0x4_0000;
export const NPT_LEAF_ENTRIES = 1024;
export const NPT_PRESENT = 1;
export const NPT_WRITABLE = 2;
export const NPT_ACCESSED = 4;
export const NPT_DIRTY = 8;
export const NPT_CODE = 16;
export const NPT_CODE_SETTLED = 32;
/** First guest-physical address that no NPT entry can describe (root entries * 4 MiB = 40 bits). */
export const GUEST_PHYSICAL_BITS = 40;

/** Parts of one vCPU area, offsets from its base. */
export const VCPU_AREA = {
  state: 0x0000,
  /** Scratch of the system instructions (descriptors, stack frames), 0x280 bytes. */
  systemScratch: 0x1000,
  /** Answer to the IN of an INS that has to run again. */
  portAnswer: 0x1280,
  /** Traces that are to be translated, HOT_TRACES_MAX u32. */
  hotTraces: 0x1400,
  /** Bounce buffer for accesses that cross a page or reach a page with decoded code. */
  bounce: 0x2000,
  /** Second bounce buffer, for read-modify-write. */
  modifyBounce: 0x2400,
  /** Scratch of the store functions. */
  scratch: 0x2800,
  /** Bytes of an instruction near the end of a page. */
  fetch: 0x2c00,
  /** Indices of TLB entries to clear at the next flush, TLB_LIST_MAX u32 each: user TLB; non-global ones of the kernel TLB. */
  userTlbList: 0x4000,
  kernelTlbList: 0x6000,
  /** A bit per GiB of addresses (hashed to 10 bits) that the TLB maps in parts from pages larger than 2 MiB. */
  hugePages: 0x9000,
  /** Static ops of the dispatcher. */
  dispatchOps: 0x8000,
  /** A byte for each TLB_CHUNK_SIZE bytes of the three TLBs, not 0 where entries may have been filled since they were cleared. */
  tlbChunks: 0x9100,
  tlbChunksEnd: 0x9280,
  /** A bit per page number (hashed to 16 bits) that has entries in a PC cache. */
  pcCachePages: 0xa000,
  pcCachePagesEnd: 0xc000,
  /** A bit per 2 MiB of addresses (hashed to 16 bits) that the TLB maps in parts from a 2 MiB page. */
  largePages: 0xc000,
  largePagesEnd: 0xe000,
  /** A bit per address (hashed to KNOWN_ENTRY_BITS) at which a region begins that has been made already. */
  knownEntries: 0xe000,
  /** The virtual-APIC page: the local APIC's registers as the guest reads them (APIC_PAGE), in whose place an access to the APIC access page reads. */
  virtualApic: 0x1_0000,
  /** The three TLBs are directly behind each other. */
  userTlb: 0x2_0000,
  kernelTlb: 0xa_0000,
  /** The supervisor's TLB while RFLAGS.AC opens user pages to it (SMAP). */
  openTlb: 0x12_0000,
  /** Each PC cache has a return cache behind it (RETURN_CACHE). */
  userPcCache: 0x1a_0000,
  kernelPcCache: 0x1e_1000,
  traceHash: 0x23_0000,
  codePageHash: 0x27_0000,
  codePages: 0x28_0000,
  codePagesEnd: 0x32_0000,
  traces: 0x32_0000,
  tracesEnd: 0x178_0000,
  /** What the lock-step check keeps (LOCK_STEP); untouched where nothing is checked. */
  lockStep: 0x178_0000,
} as const;

/** Entries of each TLB: for 64 MiB, so that programs which use some tens of them, and their stacks and heaps, seldom meet in one entry. */
export const TLB_ENTRIES = 16384;
export const TLB_LIST_MAX = 2048;
export const TLB_CHUNK_SIZE = 4096;
/**
 * TLB entry, 32 bytes: tagRead u64, tagWrite u64, tagExecute u64 (gva of the page; anything with low bits set never
 * matches), addend u32 (frame address minus low 32 bits of the gva page), gfn u32 with TLB_GLOBAL in bit 31.
 */
export const TLB_GLOBAL = 0x8000_0000;
export const TLB_ENTRY_SIZE = 32;
export const TLB_TAG_READ = 0;
export const TLB_TAG_WRITE = 8;
export const TLB_TAG_EXECUTE = 16;
export const TLB_ADDEND = 24;
export const TLB_GFN = 28;
export const PC_CACHE_ENTRIES = 16384;
/** PC cache entry, 16 bytes: rip u64, key u32 (mode and epoch), trace u32. It is at the place that its rip chooses, or at that of the neighbour, place ^ 1. */
export const PC_CACHE_ENTRY_SIZE = 16;

/** In the address of a PC cache that a region gets: it must not go on in another region by itself. It then has a return cache of its own, so far behind the other. */
export const CACHES_SHUT = 0x400;
/**
 * The return cache of a PC cache: where regions have the instructions behind their calls, by the place on the stack of the return address. Entries of 16 bytes: rip u64, place u32 (the region's
 * place in the core's table << 7 | block). What is filled with `empty` has no canonical rip. Forgotten with the PC cache's epoch, and when code is dropped.
 */
export const RETURN_CACHE = { distance: PC_CACHE_ENTRIES * PC_CACHE_ENTRY_SIZE, size: 2 * CACHES_SHUT, mask: CACHES_SHUT - PC_CACHE_ENTRY_SIZE, empty: 0x55 } as const;

/** Segment register slots, in the order of the instruction encoding, then LDTR and TR. 32 bytes each. */
export const SEGMENT_ES = 0;
export const SEGMENT_CS = 1;
export const SEGMENT_SS = 2;
export const SEGMENT_DS = 3;
export const SEGMENT_FS = 4;
export const SEGMENT_GS = 5;
export const SEGMENT_LDTR = 6;
export const SEGMENT_TR = 7;
export const SEGMENT_SIZE = 32;
/** Fields of a segment slot: u16 selector, u32 attributes (descriptor bits 40..55 shifted down: type, S, DPL, P, AVL, L, D/B, G), u64 base, u32 limit (byte granular, expanded). */
export const SEGMENT_SELECTOR = 0;
export const SEGMENT_ATTRIBUTES = 4;
export const SEGMENT_BASE = 8;
export const SEGMENT_LIMIT = 16;

/** One vCPU's architectural and internal state, offsets from its base (VCPU_AREA.state). */
export const VCPU = {
  // Written only by the vCPU's own thread.
  gpr: 0x000, // 16 * u64, RAX RCX RDX RBX RSP RBP RSI RDI R8..R15
  rip: 0x080,
  /** Lazy flags, see flags.ts: result (sign extended), aux (carries), extra (exceptions to the rule, normally 0). */
  flagResult: 0x088,
  flagAux: 0x090,
  flagExtra: 0x098,
  /** RFLAGS without OF SF ZF AF PF CF; bit 1 always set. */
  rflags: 0x0a0,
  /** Always 0: stands for an absent base or index register. */
  zero: 0x0a8,
  /** Result of the address micro-operation. */
  temporaryAddress: 0x0b0,
  /** A second zero-extended scratch slot for micro-operations. */
  temporaryValue: 0x0b8,
  instructionsRetired: 0x0c0, // u64
  /** u32 0..3; SS.DPL / CS.RPL. */
  cpl: 0x0c8,
  /** u32 MODE_*: how code is decoded. */
  mode: 0x0cc,
  /** u32: 1 while interrupts are held back for one instruction (STI, MOV SS, POP SS). */
  interruptShadow: 0x0d0,
  /** u32: 0 or PENDING_INTERRUPT | vector: an external interrupt that waits for IF. With PENDING_FROM_APIC, taking it moves IRR to ISR. */
  pendingInterrupt: 0x0d4,
  segments: 0x100, // 8 * SEGMENT_SIZE
  gdtrBase: 0x200, // u64
  gdtrLimit: 0x208, // u32
  idtrBase: 0x210,
  idtrLimit: 0x218,
  cr0: 0x220,
  cr2: 0x228,
  cr3: 0x230,
  cr4: 0x238,
  cr8: 0x240,
  efer: 0x248,
  star: 0x250,
  lstar: 0x258,
  cstar: 0x260,
  sfmask: 0x268,
  kernelGsBase: 0x270,
  sysenterCs: 0x278,
  sysenterEsp: 0x280,
  sysenterEip: 0x288,
  tscAux: 0x290,
  pat: 0x298,
  dr: 0x2a0, // 8 * u64: DR0..DR7 (4 and 5 unused)
  /** Pending exception: u32 vector (0xffffffff none), u32 error code, u32 has error code. */
  exceptionVector: 0x2e0,
  exceptionErrorCode: 0x2e4,
  exceptionHasErrorCode: 0x2e8,
  /** u32: address of the op that is being executed when a slow path was taken. */
  currentOp: 0x2f0,
  /** u32: 1 while an exception or interrupt is being delivered. */
  delivering: 0x2f4,
  /** The exit to the run loop: u32 reason EXIT_*, and what it needs. */
  exitReason: 0x300,
  /** u32: bytes of the access or of the instruction to skip. */
  exitSize: 0x304,
  /** u32: 1 write, 0 read (EXIT_NPT, EXIT_IO). */
  exitWrite: 0x308,
  /** u64: gpa (EXIT_NPT), port (EXIT_IO). */
  exitAddress: 0x310,
  /** u64: value written. */
  exitData: 0x318,
  /**
   * MMIO latch: the run loop answers an access to a gpa with no memslot by filling it and running the instruction
   * again. u32 state (0 empty, 1 read answered, 2 write accepted), u64 gpa, u64 value.
   */
  mmioState: 0x320,
  mmioAddress: 0x328,
  mmioValue: 0x330,
  /** Epochs that key the PC caches: a flush of a TLB bumps one. u32 each. */
  userEpoch: 0x338,
  kernelEpoch: 0x33c,
  /** SSE and x87. */
  mxcsr: 0x340, // u32
  fpuControl: 0x344, // u32, low 16 bits
  /** u32, low 16 bits, with TOP in bits 13..11. */
  fpuStatus: 0x348,
  /** u32: bit n set = physical register n is in use (not empty), the abridged tag word of FXSAVE. */
  fpuTag: 0x34c,
  fpuOpcode: 0x350, // u32
  fpuInstructionPointer: 0x358, // u64
  fpuDataPointer: 0x360, // u64
  /** 8 * 16 bytes, by physical register number: u64 significand, u16 sign and exponent. */
  fpuRegisters: 0x380,
  xmm: 0x400, // 16 * 16 bytes
  /** Counters of the interpreter, u64 each; those of address translation are below (counterWalkReads). 0x600 is the first. */
  counterTlbFills: 0x600,
  counterTraceLookups: 0x610,
  counterCodeInvalidations: 0x618,
  counterPageFaults: 0x620,
  counterInterrupts: 0x628,
  counterDecodedInstructions: 0x630,
  counterArenaFlushes: 0x638,
  /** Accesses at the local APIC's address that reached the memory behind it: 0 as long as apicAccessFrame is what the NPT says. */
  counterApicMemory: 0x640,
  /** How often a region of translated code was entered; samples of what was about to run, and those of them that were in a region. */
  counterRegionEntries: 0x648,
  counterSamples: 0x650,
  counterRegionSamples: 0x658,
  /**
   * u32: address of the frame of the APIC access page, as the host said last; 0 = the vCPU has no such page. Written by its thread
   * outside guest mode (src/exit/apic-reload.ts); INIT does not touch it.
   */
  apicAccessFrame: 0x680,
  /** u32: the trace in which a region was left. */
  regionTrace: 0x684,
  /** u32: 0, or from which operation the flags come that a region has left (interpreter/region-flags.ts); the flags' words hold its operands then. */
  regionFlags: 0x694,
  /** u32: the TLB that the region went on with. */
  regionTlb: 0x698,
  /** How often a region went on in another one by itself. */
  counterRegionLinks: 0x6a0,
  /** Counters of the translator, u64 each: regions, their traces, bytes of WebAssembly, nanoseconds, and how often all were given up. */
  counterRegions: 0x6c0,
  counterRegionTraces: 0x6c8,
  counterRegionBytes: 0x6d0,
  counterTranslationNs: 0x6d8,
  counterRegionEvictions: 0x6e0,
  /** Regions among them that another vCPU or another start had made. */
  counterRegionsKnown: 0x6e8,
  /** The longest time, in nanoseconds, for which the vCPU stood still to ask for regions or to take them. */
  counterTranslationPauseNs: 0x6f0,
  /** u32: instructions between two samples of what runs, in the mean; 0 = none are taken, nothing is translated. */
  samplePart: 0x688,
  /** u32: samples that make a trace hot. */
  hotSamples: 0x68c,
  /** u32: how many traces are in VCPU_AREA.hotTraces. */
  hotTraces: 0x690,
  /** u32: 1 = a run ends behind exactly its budget of instructions, and not with the trace in which that is used up. */
  exactBudget: 0x674,

  // Shared with other threads; every access atomic. src/exit/requests has the protocol of the request and guest mode words.
  /** i32 bit set REQUEST_*; the vCPU leaves guest mode when it is not 0. Waited on (Atomics.wait) while halted. */
  request: 0x700,
  /** u32: entries of the code log that this vCPU has dealt with. */
  codeLogPosition: 0x708,
  /** i32 STARTUP_*: whether the vCPU runs. Written by its own thread once the threads run. */
  startup: 0x70c,
  /** i32: 0, or 0x100 | page number of the start-up IPI that was sent to it. */
  startupPage: 0x710,
  /** i32: 1 while the vCPU's thread stands at the gate: it does nothing until the gate requests are taken back. Written by that thread. */
  atGate: 0x714,
  /** u32: 1 while the vCPU in guest mode is between two accesses of its instructions and waits for another one. Written by the core (split-lock.ts). */
  standing: 0x718,
  /** i32: bumped at each entry to guest mode and each exit from it, so odd = in guest mode. Written by the vCPU's thread. */
  guestEpoch: 0x740,
  /** i32: threads that sleep, or are about to, until guestEpoch changes. */
  guestEpochWaiters: 0x744,

  // Counters of address translation, u64 each, written by the vCPU's own thread; INIT does not touch them.
  /** Walks of the guest's page tables for accesses that the TLB did not answer, by kind; ACCESS_READ, ACCESS_WRITE, ACCESS_EXECUTE in this order. */
  counterWalkReads: 0x780,
  counterWalkWrites: 0x788,
  counterWalkFetches: 0x790,
  /** Writes among them whose page the TLB had for reading: not dirty yet, with decoded code, or shared on the host. */
  counterWithheldWrites: 0x798,
  /** Look-ups in the nested page table: of page-table pages and of the page itself; and those that found no frame, so that the host had to act. */
  counterNptLookups: 0x7a0,
  counterNptMisses: 0x7a8,
  /** Flushes: of everything; of what is not global (MOV to CR3); of one page (INVLPG); of all frames, on the host's behalf. */
  counterFlushesAll: 0x7b0,
  counterFlushesNonGlobal: 0x7b8,
  counterFlushesPage: 0x7c0,
  counterFlushesFrames: 0x7c8,
  /** u32: 1 = the debugger wants one instruction of this vCPU. Written by the main thread while the vCPU stands at the gate. */
  debugStep: 0x748,
  /** u32 DEBUG_STOP_*: what the debugger is to be told of this vCPU. Written by its thread, taken by the main thread while it stands at the gate. */
  debugStop: 0x74c,
  /** u64: address of the watchpoint that was hit (DEBUG_STOP_WATCHPOINT); u32 its WATCH_* bits. */
  debugWatchAddress: 0x750,
  debugWatchKind: 0x758,
} as const;

export const PENDING_INTERRUPT = 0x100;
export const PENDING_FROM_APIC = 0x200;

/** Guest frame of the APIC access page, where the registers are unless the guest moved or disabled them. */
export const APIC_ACCESS_GFN = 0xfee00;
/**
 * Registers of a local APIC in its virtual-APIC page (VCPU_AREA.virtualApic), u32 each, 16 bytes apart as in xAPIC's page (Intel SDM
 * vol 3 table 11-1). Written by the vCPU's thread; irr by any (atomic). What is computed when it is read is not there.
 */
export const APIC_PAGE = {
  id: 0x20,
  version: 0x30,
  taskPriority: 0x80,
  endOfInterrupt: 0xb0,
  logicalDestination: 0xd0,
  destinationFormat: 0xe0,
  spurious: 0xf0,
  /** 8 registers each, 16 bytes apart. */
  isr: 0x100,
  tmr: 0x180,
  irr: 0x200,
  errorStatus: 0x280,
  icrLow: 0x300,
  icrHigh: 0x310,
  /** Timer, thermal, performance, LINT0, LINT1, error; 16 bytes apart. */
  lvt: 0x320,
  timerInitial: 0x380,
  timerDivide: 0x3e0,
} as const;

/** Code size modes: how instructions are decoded and how addresses wrap. */
export const MODE_16 = 0;
export const MODE_32 = 1;
export const MODE_64 = 2;
