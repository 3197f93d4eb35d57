/**
 * One vCPU's registers and exit record, as they lie in shared memory (abi/layout.ts, VCPU). The registers may be touched
 * only by the vCPU's own thread, or by any thread before it starts; the request word and the guest mode by every thread.
 */
import {
  MODE_16, MODE_32, PAGE_SHIFT, PENDING_FROM_APIC, PENDING_INTERRUPT, REQUEST_INIT, REQUEST_STARTUP, SEGMENT_ATTRIBUTES, SEGMENT_BASE, SEGMENT_CS, SEGMENT_LDTR, SEGMENT_LIMIT, SEGMENT_SELECTOR, SEGMENT_SIZE,
  SEGMENT_TR, VCPU, VCPU_AREA, VCPU_AREA_BASE, VCPU_AREA_STRIDE,
} from "../abi/layout.js";

/** Numbers of the general registers, as instructions encode them. */
export const RAX = 0;
export const RCX = 1;
export const RDX = 2;
export const RBX = 3;
export const RSI = 6;
export const RDI = 7;

const STATE_BYTES = 0x800;
const NO_EXCEPTION = 0xffff_ffff;
const FLAG_CF = 1n;
const FLAG_PF = 4n;
const FLAG_AF = 0x10n;
const FLAG_ZF = 0x40n;
const FLAG_SF = 0x80n;
const FLAG_IF = 0x200n;
const FLAG_OF = 0x800n;
const LIMIT_ALL = 0xffff_ffff;
const CODE_16 = 0x9b;
const DATA_16 = 0x93;
const CODE_32 = 0xc09b;
const DATA_32 = 0xc093;
const TSS_32_BUSY = 0x8b;
const LDT = 0x82;

/** Address of vCPU `index`'s state in host memory. */
export function vcpuStateAddress(index: number): number {
  return VCPU_AREA_BASE + index * VCPU_AREA_STRIDE + VCPU_AREA.state;
}

/** Figures of one vCPU's translator. */
export interface TranslationFigures {
  /** Regions translated, the traces that they took the place of, and their bytes of WebAssembly. */
  readonly regions: number;
  readonly traces: number;
  readonly bytes: number;
  /** Regions among them that were there already: another vCPU, or an earlier start, had made them. */
  readonly known: number;
  /** Time that writing and compiling them took, in whatever thread. */
  readonly milliseconds: number;
  /** The longest time for which a vCPU stood still because of it. */
  readonly longestPauseMs: number;
  /** How often the interpreter has entered a region. */
  readonly entries: number;
  /** How often a region has gone on in another one by itself. */
  readonly links: number;
  /** How often all regions were given up because there were too many. */
  readonly evictions: number;
  /** Samples of what was about to run, and those of them that were in translated code. */
  readonly samples: number;
  readonly samplesTranslated: number;
}

/** Figures of how one vCPU's addresses were translated, all of them counted. Accesses that its TLB answers are not among them. */
export interface AddressTranslationFigures {
  /** Walks of the guest's page tables because the TLB did not answer, by kind of access. */
  readonly walkReads: number;
  readonly walkWrites: number;
  readonly walkFetches: number;
  /** Of walkWrites: those whose page the TLB had for reading, but not for writing. */
  readonly withheldWrites: number;
  /** Entries that the walks put into the TLB. */
  readonly fills: number;
  /** Walks that ended in #PF for the guest. */
  readonly pageFaults: number;
  /** Look-ups in the nested page table, for page-table pages and for the page itself, and those that found no frame. */
  readonly nestedLookups: number;
  readonly nestedMisses: number;
  /** Flushes of the TLB: all of it; what is not global (MOV to CR3); one page (INVLPG); all frames, on the host's behalf. */
  readonly flushesAll: number;
  readonly flushesNonGlobal: number;
  readonly flushesPage: number;
  readonly flushesFrames: number;
}

/** What a vCPU's thread and its controllers see of the vCPU. */
export class VcpuState {
  readonly #u64: BigUint64Array;
  readonly #u32: Uint32Array;
  readonly #i32: Int32Array;

  /** All of the host memory, for the protocols of `exit` that meet in the words of VCPU. */
  readonly words: Int32Array;
  readonly longs: BigInt64Array;

  constructor(memory: WebAssembly.Memory, readonly index: number) {
    const base = vcpuStateAddress(index);
    this.words = new Int32Array(memory.buffer);
    this.longs = new BigInt64Array(memory.buffer);
    this.#u64 = new BigUint64Array(memory.buffer, base, STATE_BYTES / 8);
    this.#u32 = new Uint32Array(memory.buffer, base, STATE_BYTES / 4);
    this.#i32 = new Int32Array(memory.buffer, base, STATE_BYTES / 4);
  }

  /** Index in `words` of the 32-bit field of the state at byte offset `offset` (one of VCPU). */
  wordIndex(offset: number): number {
    return (vcpuStateAddress(this.index) + offset) >>> 2;
  }

  /** The u64 field of the state at byte offset `offset` (one of VCPU). */
  readU64(offset: number): bigint {
    return this.#u64[offset >> 3]!;
  }

  writeU64(offset: number, value: bigint): void {
    this.#u64[offset >> 3] = value;
  }

  /** The u32 field of the state at byte offset `offset` (one of VCPU). */
  readU32(offset: number): number {
    return this.#u32[offset >> 2]!;
  }

  writeU32(offset: number, value: number): void {
    this.#u32[offset >> 2] = value;
  }

  /** General register `n` (0..15). */
  gpr(n: number): bigint {
    return this.#u64[(VCPU.gpr >> 3) + n]!;
  }

  setGpr(n: number, value: bigint): void {
    this.#u64[(VCPU.gpr >> 3) + n] = value;
  }

  /** Low 32 bits of general register `n`. */
  gpr32(n: number): number {
    return this.#u32[(VCPU.gpr >> 2) + 2 * n]!;
  }

  /** Writes `value` (unsigned 32-bit) zero-extended, as every 32-bit result is. */
  setGpr32(n: number, value: number): void {
    this.#u64[(VCPU.gpr >> 3) + n] = BigInt(value >>> 0);
  }

  get rip(): bigint {
    return this.#u64[VCPU.rip >> 3]!;
  }

  set rip(value: bigint) {
    this.#u64[VCPU.rip >> 3] = value;
  }

  get cpl(): number {
    return this.#u32[VCPU.cpl >> 2]!;
  }

  /** MODE_16, MODE_32 or MODE_64. */
  get mode(): number {
    return this.#u32[VCPU.mode >> 2]!;
  }

  get interruptsEnabled(): boolean {
    return (this.#u64[VCPU.rflags >> 3]! & FLAG_IF) !== 0n;
  }

  /** What of this vCPU's code has been translated, and how much of what runs is. */
  get translation(): TranslationFigures {
    const counter = (offset: number): number => Number(this.#u64[offset >> 3]!);
    return {
      regions: counter(VCPU.counterRegions), known: counter(VCPU.counterRegionsKnown), traces: counter(VCPU.counterRegionTraces), bytes: counter(VCPU.counterRegionBytes),
      milliseconds: counter(VCPU.counterTranslationNs) / 1e6, longestPauseMs: counter(VCPU.counterTranslationPauseNs) / 1e6, entries: counter(VCPU.counterRegionEntries), links: counter(VCPU.counterRegionLinks), evictions: counter(VCPU.counterRegionEvictions),
      samples: counter(VCPU.counterSamples), samplesTranslated: counter(VCPU.counterRegionSamples),
    };
  }

  /** How addresses were translated. Read by another thread, the figures are of slightly different moments. */
  get addressTranslation(): AddressTranslationFigures {
    const counter = (offset: number): number => Number(this.#u64[offset >> 3]!);
    return {
      walkReads: counter(VCPU.counterWalkReads), walkWrites: counter(VCPU.counterWalkWrites), walkFetches: counter(VCPU.counterWalkFetches),
      withheldWrites: counter(VCPU.counterWithheldWrites), fills: counter(VCPU.counterTlbFills), pageFaults: counter(VCPU.counterPageFaults),
      nestedLookups: counter(VCPU.counterNptLookups), nestedMisses: counter(VCPU.counterNptMisses),
      flushesAll: counter(VCPU.counterFlushesAll), flushesNonGlobal: counter(VCPU.counterFlushesNonGlobal), flushesPage: counter(VCPU.counterFlushesPage),
      flushesFrames: counter(VCPU.counterFlushesFrames),
    };
  }

  get instructionsRetired(): number {
    return Number(this.#u64[VCPU.instructionsRetired >> 3]!);
  }

  get exitReason(): number {
    return this.#u32[VCPU.exitReason >> 2]!;
  }

  get exitSize(): number {
    return this.#u32[VCPU.exitSize >> 2]!;
  }

  get exitWrite(): boolean {
    return this.#u32[VCPU.exitWrite >> 2]! !== 0;
  }

  /** Whether the access of the exit reads before it writes, so that a device must be read first (EXIT_NPT). */
  get exitReadsFirst(): boolean {
    return this.#u32[VCPU.exitWrite >> 2]! === 2;
  }

  /** Port or guest-physical address of the exit; always fits a number. */
  get exitAddress(): number {
    return Number(this.#u64[VCPU.exitAddress >> 3]!);
  }

  get exitData(): bigint {
    return this.#u64[VCPU.exitData >> 3]!;
  }

  /** Guest frame number of the exit's address. */
  get exitGfn(): number {
    return Number(this.#u64[VCPU.exitAddress >> 3]! >> BigInt(PAGE_SHIFT));
  }

  /** Moves RIP behind the instruction that exited (length in the low byte of exitSize). */
  skipInstruction(): void {
    const next = this.rip + BigInt(this.exitSize & 0xff);
    this.rip = this.mode === 2 ? next & 0xffff_ffff_ffff_ffffn : next & 0xffff_ffffn;
  }

  /** Base address held in segment slot `slot` (SEGMENT_*). */
  segmentBase(slot: number): bigint {
    return this.#u64[(VCPU.segments + slot * SEGMENT_SIZE + SEGMENT_BASE) >> 3]!;
  }

  setSegmentBase(slot: number, base: bigint): void {
    this.#u64[(VCPU.segments + slot * SEGMENT_SIZE + SEGMENT_BASE) >> 3] = base;
  }

  /** RFLAGS with the six arithmetic flags that the core keeps lazily (interpreter/flags.ts). */
  get rflags(): bigint {
    const result = this.#u64[VCPU.flagResult >> 3]!;
    const aux = this.#u64[VCPU.flagAux >> 3]!;
    const extra = this.#u64[VCPU.flagExtra >> 3]!;
    let value = this.#u64[VCPU.rflags >> 3]! | (aux >> 63n) | ((aux & 8n) << 1n);
    if (result === 0n) value |= FLAG_ZF;
    if ((result ^ extra) >> 63n) value |= FLAG_SF;
    if ((aux >> 63n) ^ ((aux >> 62n) & 1n)) value |= FLAG_OF;
    if (hasEvenParity(Number((result ^ extra) & 0xffn))) value |= FLAG_PF;
    return value;
  }

  /** Sets the six arithmetic flags from their places in RFLAGS; other bits of `value` are ignored. */
  setArithmeticFlags(value: bigint): void {
    const carry = value & FLAG_CF;
    const overflow = (value & FLAG_OF) >> 11n;
    this.#u64[VCPU.flagAux >> 3] = (carry << 63n) | ((carry ^ overflow) << 62n) | ((value & FLAG_AF) >> 1n);
    const isZero = (value & FLAG_ZF) !== 0n;
    const parityDiffers = ((value & FLAG_PF) !== 0n) !== isZero;
    this.#u64[VCPU.flagResult >> 3] = isZero ? 0n : 1n;
    this.#u64[VCPU.flagExtra >> 3] = ((value & FLAG_SF) << 56n) | (parityDiffers ? 1n : 0n);
  }

  /** Lets the core raise exception `vector` at the current RIP when it next runs. */
  injectException(vector: number, errorCode?: number): void {
    this.writeU32(VCPU.exceptionVector, vector);
    this.writeU32(VCPU.exceptionErrorCode, errorCode ?? 0);
    this.writeU32(VCPU.exceptionHasErrorCode, errorCode === undefined ? 0 : 1);
  }

  /** Whether the core is to raise an exception before it runs on. */
  get hasPendingException(): boolean {
    return this.#u32[VCPU.exceptionVector >> 2] !== NO_EXCEPTION;
  }

  /** The external interrupt that waits for IF: its vector, or undefined to take it back. One of the local APIC is moved to its ISR when it is taken. */
  setPendingInterrupt(vector: number | undefined, isFromApic = false): void {
    this.#u32[VCPU.pendingInterrupt >> 2] = vector === undefined ? 0 : PENDING_INTERRUPT | (isFromApic ? PENDING_FROM_APIC : 0) | vector;
  }

  /** False once the core has delivered what setPendingInterrupt offered. */
  get hasPendingInterrupt(): boolean {
    return this.#u32[VCPU.pendingInterrupt >> 2] !== 0;
  }

  /** Address of the frame of the APIC access page, 0 = none: VCPU.apicAccessFrame. vCPU thread, outside guest mode. */
  get apicAccessFrame(): number {
    return this.#u32[VCPU.apicAccessFrame >> 2]!;
  }

  set apicAccessFrame(address: number) {
    this.#u32[VCPU.apicAccessFrame >> 2] = address;
  }

  /** Answers a read from a guest-physical address without memory; the instruction is then run again. */
  answerMmioRead(gpa: bigint, value: bigint): void {
    this.#fillMmioLatch(1, gpa, value);
  }

  /** Says that a write to a guest-physical address without memory was taken. */
  acceptMmioWrite(gpa: bigint): void {
    this.#fillMmioLatch(2, gpa, 0n);
  }

  /** An instruction that reads, changes and writes one register needs both answers, so the other one stays. */
  #fillMmioLatch(state: number, gpa: bigint, value: bigint): void {
    const kept = this.#u64[VCPU.mmioAddress >> 3] === gpa ? this.#u32[VCPU.mmioState >> 2]! : 0;
    this.#u64[VCPU.mmioAddress >> 3] = gpa;
    if (state === 1) this.#u64[VCPU.mmioValue >> 3] = value;
    this.#u32[VCPU.mmioState >> 2] = kept | state;
  }

  /** vCPU thread: sets bits of its own request word, to be looked at before the next entry. */
  repeatRequest(bits: number): void {
    Atomics.or(this.#i32, VCPU.request >> 2, bits);
  }

  /** Sets bits of the request word and wakes the vCPU. Any thread. Pairs with takeRequests and waitForRequest. */
  postRequest(bits: number): void {
    Atomics.or(this.#i32, VCPU.request >> 2, bits);
    Atomics.notify(this.#i32, VCPU.request >> 2);
  }

  /** Reads the request word. Any thread. */
  get requests(): number {
    return Atomics.load(this.#i32, VCPU.request >> 2);
  }

  /** Clears `bits` of the request word; returns which of them were set. To be done before the work that they ask for. */
  takeRequests(bits: number): number {
    return Atomics.and(this.#i32, VCPU.request >> 2, ~bits) & bits;
  }

  /** Sleeps while the request word is `expected`, at most `timeoutMs` (may be Infinity). Never on the main thread. */
  waitForRequest(expected: number, timeoutMs: number): void {
    Atomics.wait(this.#i32, VCPU.request >> 2, expected, timeoutMs);
  }

  /** Whether the debugger wants one instruction: VCPU.debugStep. Set while the vCPU stands at the gate, by who holds it there. */
  get isStepping(): boolean {
    return Atomics.load(this.#i32, VCPU.debugStep >> 2) !== 0;
  }

  set isStepping(value: boolean) {
    Atomics.store(this.#i32, VCPU.debugStep >> 2, value ? 1 : 0);
  }

  /** DEBUG_STOP_*: what the debugger is to be told of this vCPU. */
  get debugStop(): number {
    return Atomics.load(this.#i32, VCPU.debugStop >> 2);
  }

  set debugStop(value: number) {
    Atomics.store(this.#i32, VCPU.debugStop >> 2, value);
  }

  /** STARTUP_*. */
  get startup(): number {
    return Atomics.load(this.#i32, VCPU.startup >> 2);
  }

  set startup(value: number) {
    Atomics.store(this.#i32, VCPU.startup >> 2, value);
  }

  /**
   * Any thread: sends INIT, which forgets a start-up IPI from before it. Forgotten here and not where INIT is dealt with, because the
   * start-up IPIs that follow may be there by then: Linux sends them right behind INIT.
   */
  sendInit(): void {
    Atomics.store(this.#i32, VCPU.startupPage >> 2, 0);
    this.postRequest(REQUEST_INIT);
  }

  /** Any thread: sends a start-up IPI for real mode at `page` << 12 (0..255). */
  sendStartup(page: number): void {
    Atomics.store(this.#i32, VCPU.startupPage >> 2, 0x100 | page);
    this.postRequest(REQUEST_STARTUP);
  }

  /** vCPU thread: the page of a start-up IPI that was sent since the last look. */
  takeStartupPage(): number | undefined {
    const sent = Atomics.exchange(this.#i32, VCPU.startupPage >> 2, 0);
    return sent === 0 ? undefined : sent & 0xff;
  }

  /** Values after a reset that every start needs: nothing pending, default control words. Counters and the epochs of the PC caches go on. */
  reset(): void {
    const retired = this.#u64[VCPU.instructionsRetired >> 3]!;
    const epochs = this.#u64[VCPU.userEpoch >> 3]!;
    this.#u32.fill(0, 0, VCPU.counterTlbFills >> 2);
    this.#u64[VCPU.instructionsRetired >> 3] = retired;
    this.#u64[VCPU.userEpoch >> 3] = epochs;
    this.#u64[VCPU.rflags >> 3] = 2n;
    this.#u64[VCPU.flagResult >> 3] = 1n;
    this.#u64[VCPU.flagExtra >> 3] = 1n;
    this.#u64[VCPU.cr0 >> 3] = 0x11n;
    this.#u64[VCPU.pat >> 3] = 0x0007_0406_0007_0406n;
    this.#u64[(VCPU.dr >> 3) + 6] = 0xffff_0ff0n;
    this.#u64[(VCPU.dr >> 3) + 7] = 0x400n;
    this.writeU32(VCPU.exceptionVector, NO_EXCEPTION);
    this.writeU32(VCPU.gdtrLimit, 0xffff);
    this.writeU32(VCPU.idtrLimit, 0xffff);
    this.writeU32(VCPU.mxcsr, 0x1f80);
    this.writeU32(VCPU.fpuControl, 0x37f);
  }

  /** The state at a PVH entry: flat 32-bit protected mode, paging off, EBX = gpa of hvm_start_info. */
  resetForPvh(entry: number, startInfo: number): void {
    this.reset();
    for (let slot = 0; slot < SEGMENT_LDTR; slot++) {
      this.setSegment(slot, slot === SEGMENT_CS ? 8 : 16, slot === SEGMENT_CS ? CODE_32 : DATA_32, LIMIT_ALL);
    }
    this.setSegment(SEGMENT_LDTR, 0, LDT, 0);
    this.setSegment(SEGMENT_TR, 0x18, TSS_32_BUSY, 0x67);
    this.writeU32(VCPU.mode, MODE_32);
    this.rip = BigInt(entry);
    this.setGpr(RBX, BigInt(startInfo));
  }

  /** The state behind INIT and a start-up IPI: real mode at `page` << 12 (SDM vol 3 table 10-1 and §9.4.3). */
  resetForStartup(page: number): void {
    this.reset();
    this.#u64[VCPU.cr0 >> 3] = 0x6000_0010n;
    for (let slot = 0; slot < SEGMENT_LDTR; slot++) {
      this.setSegment(slot, slot === SEGMENT_CS ? page << 8 : 0, slot === SEGMENT_CS ? CODE_16 : DATA_16, 0xffff);
    }
    this.writeU64(VCPU.segments + SEGMENT_CS * SEGMENT_SIZE + SEGMENT_BASE, BigInt(page) << 12n);
    this.setSegment(SEGMENT_LDTR, 0, LDT, 0xffff);
    this.setSegment(SEGMENT_TR, 0, TSS_32_BUSY, 0xffff);
    this.writeU32(VCPU.mode, MODE_16);
  }

  /** Loads segment slot `slot` (SEGMENT_*) with base 0. */
  setSegment(slot: number, selector: number, attributes: number, limit: number): void {
    const address = VCPU.segments + slot * SEGMENT_SIZE;
    this.writeU32(address + SEGMENT_SELECTOR, selector);
    this.writeU32(address + SEGMENT_ATTRIBUTES, attributes);
    this.writeU64(address + SEGMENT_BASE, 0n);
    this.writeU32(address + SEGMENT_LIMIT, limit);
  }
}

function hasEvenParity(byte: number): boolean {
  let folded = byte ^ (byte >> 4);
  folded ^= folded >> 2;
  return ((folded ^ (folded >> 1)) & 1) === 0;
}
