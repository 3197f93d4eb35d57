/**
 * A local APIC, xAPIC by its register page and x2APIC by MSRs (Intel SDM vol 3 chapter 11). Register numbers below are those of
 * x2APIC, MSR - 0x800; the offset in the page is 16 times that.
 *
 * State is in shared memory. The owning vCPU's thread does everything except delivery: IRR bits may be set by any
 * thread. A vector goes IRR, then by accept ISR, then by EOI nowhere, and is offered while its class is above the PPR's.
 */
import { APIC_PAGE, VCPU_COUNT_MAX } from "../../abi/layout.js";
import { XEN_APIC } from "../../abi/xen-block.js";
import type { DeviceClock } from "../interfaces.js";
import { ApicRegisters } from "./apic-registers.raw.js";
import { ApicTimer } from "./apic-timer.js";
import { decodeCommand, findTargets, x2apicLogicalId } from "./interrupt-command.js";

/** What IPIs do to other vCPUs, and EOIs to I/O APICs; `machine` wires it. Called by the sender's thread; may not sleep. */
export interface ApicSignals {
  /** An interrupt became pending at `vcpu`: it has to look. */
  kick(vcpu: number): void;
  /** INIT: `vcpu` waits for a startup IPI; its thread resets its own state, this APIC included (`reset`). */
  init(vcpu: number): void;
  /** Startup: a waiting `vcpu` begins in real mode at `page` << 12. */
  startup(vcpu: number, page: number): void;
  /** Non-maskable interrupt. */
  nmi(vcpu: number): void;
  /** This vCPU has ended an interrupt of `vector` that it took as a level: what I/O APICs are told. */
  ended?(vector: number): void;
}

/** The machine around the APIC. */
export interface LocalApicOptions {
  /** Drives the timer; without it the timer never expires. */
  readonly clock?: DeviceClock;
  /** vCPUs that IPIs can reach; default the owner only, or as many as its index needs. */
  readonly vcpuCount?: number;
  /** Without them only fixed IPIs are delivered. */
  readonly signals?: ApicSignals;
}

const NO_SIGNALS: ApicSignals = { kick: () => {}, init: () => {}, startup: () => {}, nmi: () => {} };

/** Register numbers. */
const ID = 0x02;
const VERSION = 0x03;
const TASK_PRIORITY = 0x08;
const ARBITRATION_PRIORITY = 0x09;
const PROCESSOR_PRIORITY = 0x0a;
const END_OF_INTERRUPT = 0x0b;
const LOGICAL_DESTINATION = 0x0d;
const DESTINATION_FORMAT = 0x0e;
const SPURIOUS = 0x0f;
const IN_SERVICE = 0x10;
const TRIGGER_MODE = 0x18;
const REQUESTED = 0x20;
const ERROR_STATUS = 0x28;
const COMMAND_LOW = 0x30;
const COMMAND_HIGH = 0x31;
const LVT_FIRST = 0x32;
const LVT_LAST = 0x37;
const INITIAL_COUNT = 0x38;
const CURRENT_COUNT = 0x39;
const DIVIDE = 0x3e;
const SELF_IPI = 0x3f;

const MSR_APIC_BASE = 0x1b;
const MSR_TSC_DEADLINE = 0x6e0;
const MSR_X2APIC_FIRST = 0x800;
const MSR_X2APIC_LAST = 0x8ff;

/** APIC_BASE bits. */
const BASE_BOOT_PROCESSOR = 0x100;
const BASE_X2APIC = 0x400;
const BASE_ENABLE = 0x800;
const BASE_ADDRESS = 0xfee0_0000;
const BASE_ADDRESS_LIMIT = 2 ** 40;

/** Integrated APIC, six LVT entries. */
const VERSION_VALUE = 0x0005_0014;
const SOFTWARE_ENABLE = 0x100;
const LVT_MASKED = 0x1_0000;
const ERROR_SEND_ILLEGAL_VECTOR = 0x20;
const ERROR_ILLEGAL_REGISTER = 0x80;
const FIRST_LEGAL_VECTOR = 16;
/** Writable bits of the LVT entries: timer, thermal, performance, LINT0, LINT1, error. */
const LVT_WRITABLE = [0x7_00ff, 0x1_07ff, 0x1_07ff, 0x1_a7ff, 0x1_a7ff, 0x1_00ff] as const;
const LVT_ERROR = 5;

/** Registers x2APIC mode can write, and those it can read; the others are #GP. */
const X2APIC_READABLE = registerSet(ID, VERSION, TASK_PRIORITY, PROCESSOR_PRIORITY, LOGICAL_DESTINATION, SPURIOUS,
  [IN_SERVICE, REQUESTED + 7], ERROR_STATUS, COMMAND_LOW, [LVT_FIRST, CURRENT_COUNT], DIVIDE);
const X2APIC_WRITABLE = registerSet(TASK_PRIORITY, END_OF_INTERRUPT, SPURIOUS, ERROR_STATUS, COMMAND_LOW,
  [LVT_FIRST, INITIAL_COUNT], DIVIDE, SELF_IPI);
/** Registers of which x2APIC mode takes only zero. */
const X2APIC_ZERO_ONLY = registerSet(END_OF_INTERRUPT, ERROR_STATUS);

function registerSet(...ranges: readonly (number | readonly [number, number])[]): ReadonlySet<number> {
  const numbers = new Set<number>();
  for (const range of ranges) {
    const [first, last] = typeof range === "number" ? [range, range] : range;
    for (let register = first; register <= last; register++) numbers.add(register);
  }
  return numbers;
}

/** The local APIC of one vCPU. */
export class LocalApic {
  readonly #vcpu: number;
  readonly #registers: ApicRegisters;
  readonly #all: readonly ApicRegisters[];
  readonly #signals: ApicSignals;
  readonly #timer: ApicTimer;
  readonly #clock: DeviceClock;

  /** Takes the state in `memory` as it is, or puts a fresh one into its reset state. The APIC id is `vcpu`. */
  constructor(memory: { readonly buffer: ArrayBufferLike }, vcpu: number, options: LocalApicOptions = {}) {
    const vcpuCount = Math.min(Math.max(options.vcpuCount ?? 1, vcpu + 1), VCPU_COUNT_MAX);
    this.#vcpu = vcpu;
    this.#all = Array.from({ length: vcpuCount }, (_, index) => new ApicRegisters(memory, index));
    this.#registers = this.#all[vcpu]!;
    this.#signals = options.signals ?? NO_SIGNALS;
    this.#clock = options.clock ?? { nowNs: () => 0 };
    this.#timer = new ApicTimer(this.#registers, this.#clock);
    if (this.#registers.base === 0) this.#powerUp();
  }

  #powerUp(): void {
    const boot = this.#vcpu === 0 ? BASE_BOOT_PROCESSOR : 0;
    this.reset();
    this.#registers.storeNumber(XEN_APIC.base, BASE_ADDRESS + BASE_ENABLE + boot);
  }

  /** The state after INIT; id and APIC_BASE stay. */
  reset(): void {
    const registers = this.#registers;
    for (const field of [APIC_PAGE.irr, APIC_PAGE.isr, APIC_PAGE.tmr]) registers.clearVectors(field);
    for (const field of [APIC_PAGE.taskPriority, APIC_PAGE.errorStatus, APIC_PAGE.icrLow, APIC_PAGE.icrHigh,
      APIC_PAGE.logicalDestination]) registers.store(field, 0);
    registers.takeErrors();
    registers.store(APIC_PAGE.id, (this.#vcpu << 24) >>> 0);
    registers.store(APIC_PAGE.version, VERSION_VALUE);
    registers.store(APIC_PAGE.destinationFormat, 0xffff_ffff);
    registers.store(APIC_PAGE.spurious, 0xff);
    for (let entry = 0; entry < LVT_WRITABLE.length; entry++) registers.storeLvt(entry, LVT_MASKED);
    this.#timer.reset();
  }

  get #isX2apic(): boolean {
    return (this.#registers.base & BASE_X2APIC) !== 0;
  }

  get #isSoftwareEnabled(): boolean {
    return (this.#registers.load(APIC_PAGE.spurious) & SOFTWARE_ENABLE) !== 0;
  }

  /** Address of the register page; undefined = disabled, or in x2APIC mode, which has none. */
  mmioBase(): number | undefined {
    const base = this.#registers.base;
    return (base & BASE_ENABLE) !== 0 && (base & BASE_X2APIC) === 0 ? base - (base % 4096) : undefined;
  }

  /** Reads the register at `offset` of the page. Without a page all bits are ones, as on an empty bus. */
  readMmio(offset: number): number {
    if (this.mmioBase() === undefined) return 0xffff_ffff;
    // The part of a register beyond its 32 bits is reserved.
    return (offset & 0xc) !== 0 ? 0 : this.#read(offset >>> 4);
  }

  /** Writes the register at `offset` of the page. */
  writeMmio(offset: number, value: number): void {
    if (this.mmioBase() === undefined || (offset & 0xc) !== 0) return;
    const register = offset >>> 4;
    if (register === COMMAND_HIGH) this.#registers.store(APIC_PAGE.icrHigh, value);
    else if (register === COMMAND_LOW) this.#sendCommand(value >>> 0, this.#registers.load(APIC_PAGE.icrHigh) >>> 24);
    else if (register === LOGICAL_DESTINATION) this.#registers.store(APIC_PAGE.logicalDestination, value & 0xff00_0000);
    else if (register === DESTINATION_FORMAT) this.#registers.store(APIC_PAGE.destinationFormat, value | 0x0fff_ffff);
    else this.#write(register, value >>> 0);
  }

  /** Reads APIC_BASE, TSC_DEADLINE or an x2APIC register; undefined = #GP. */
  readMsr(msr: number): bigint | undefined {
    if (msr === MSR_APIC_BASE) return BigInt(this.#registers.base);
    if (msr === MSR_TSC_DEADLINE) return this.#timer.readDeadline();
    const register = msr - MSR_X2APIC_FIRST;
    if (!this.#isX2apic || !X2APIC_READABLE.has(register)) return undefined;
    const high = register === COMMAND_LOW ? this.#registers.load(APIC_PAGE.icrHigh) : 0;
    return (BigInt(high) << 32n) | BigInt(this.#read(register));
  }

  /** Writes APIC_BASE, TSC_DEADLINE or an x2APIC register; false = #GP. */
  writeMsr(msr: number, value: bigint): boolean {
    if (msr === MSR_APIC_BASE) return this.#writeBase(value);
    if (msr === MSR_TSC_DEADLINE) {
      this.#timer.writeDeadline(value);
      return true;
    }
    const register = msr - MSR_X2APIC_FIRST;
    if (msr > MSR_X2APIC_LAST || !this.#isX2apic || !X2APIC_WRITABLE.has(register)) return false;
    const low = Number(value & 0xffff_ffffn);
    const high = Number(value >> 32n);
    if (register === COMMAND_LOW) {
      this.#registers.store(APIC_PAGE.icrHigh, high);
      this.#sendCommand(low, high);
      return true;
    }
    if (high !== 0 || (X2APIC_ZERO_ONLY.has(register) && low !== 0)) return false;
    if (register === SELF_IPI) this.#raiseAt(this.#vcpu, low & 0xff);
    else this.#write(register, low);
    return true;
  }

  /**
   * APIC_BASE: off, xAPIC and x2APIC are left and entered in a ring only: off → xAPIC → x2APIC → off, or xAPIC → off.
   */
  #writeBase(value: bigint): boolean {
    const before = this.#registers.base;
    const wanted = Number(value);
    const modeBits = BASE_ENABLE | BASE_X2APIC;
    const reserved = 0xfff & ~(modeBits | BASE_BOOT_PROCESSOR);
    if (value >= BigInt(BASE_ADDRESS_LIMIT) || (wanted & reserved) !== 0) return false;
    const from = before & modeBits;
    const to = wanted & modeBits;
    if (to === BASE_X2APIC) return false;
    if (from === modeBits && to === BASE_ENABLE) return false;
    if (from === 0 && to === modeBits) return false;
    if (to === 0 && from !== 0) this.reset();
    const address = wanted - (wanted % 4096);
    this.#registers.storeNumber(XEN_APIC.base, address + to + (before & BASE_BOOT_PROCESSOR));
    return true;
  }

  #read(register: number): number {
    const registers = this.#registers;
    if (register >= IN_SERVICE && register < ERROR_STATUS) return registers.load(register << 4);
    if (register >= LVT_FIRST && register <= LVT_LAST) return registers.lvt(register - LVT_FIRST);
    switch (register) {
      case ID: return this.#isX2apic ? this.#vcpu : (this.#vcpu << 24) >>> 0;
      case VERSION: return VERSION_VALUE;
      case TASK_PRIORITY: return registers.load(APIC_PAGE.taskPriority);
      case ARBITRATION_PRIORITY:
      case PROCESSOR_PRIORITY: return this.#processorPriority();
      case LOGICAL_DESTINATION: return this.#logicalDestination();
      case DESTINATION_FORMAT: return registers.load(APIC_PAGE.destinationFormat);
      case SPURIOUS: return registers.load(APIC_PAGE.spurious);
      case ERROR_STATUS: return registers.load(APIC_PAGE.errorStatus);
      case COMMAND_LOW: return registers.load(APIC_PAGE.icrLow);
      case COMMAND_HIGH: return registers.load(APIC_PAGE.icrHigh);
      case INITIAL_COUNT: return registers.load(APIC_PAGE.timerInitial);
      case CURRENT_COUNT: return this.#timer.currentCount();
      case DIVIDE: return registers.load(APIC_PAGE.timerDivide);
      case END_OF_INTERRUPT: return 0;
      default:
        registers.noteErrors(ERROR_ILLEGAL_REGISTER);
        return 0;
    }
  }

  #logicalDestination(): number {
    return this.#isX2apic ? x2apicLogicalId(this.#vcpu) : this.#registers.load(APIC_PAGE.logicalDestination);
  }

  #write(register: number, value: number): void {
    if (register >= LVT_FIRST && register <= LVT_LAST) return this.#writeLvt(register - LVT_FIRST, value);
    switch (register) {
      case TASK_PRIORITY: return this.#registers.store(APIC_PAGE.taskPriority, value & 0xff);
      case END_OF_INTERRUPT: return this.endInterrupt();
      case SPURIOUS: return this.#writeSpurious(value);
      case ERROR_STATUS:
        return this.#registers.store(APIC_PAGE.errorStatus, this.#registers.takeErrors());
      case INITIAL_COUNT: return this.#timer.writeInitialCount(value);
      case DIVIDE: return this.#timer.writeDivide(value);
      case ID:
      case VERSION:
      case ARBITRATION_PRIORITY:
      case PROCESSOR_PRIORITY:
      case CURRENT_COUNT: return;
      default: this.#registers.noteErrors(ERROR_ILLEGAL_REGISTER);
    }
  }

  #writeLvt(entry: number, value: number): void {
    const kept = value & LVT_WRITABLE[entry]!;
    const effective = this.#isSoftwareEnabled ? kept : kept | LVT_MASKED;
    if (entry === 0) this.#timer.writeLvt(effective);
    else this.#registers.storeLvt(entry, effective);
  }

  #writeSpurious(value: number): void {
    this.#registers.store(APIC_PAGE.spurious, value & 0x3ff);
    if (this.#isSoftwareEnabled) return;
    for (let entry = 0; entry < LVT_WRITABLE.length; entry++) this.#registers.storeLvt(entry, this.#registers.lvt(entry) | LVT_MASKED);
  }

  /** The interrupt in service with the highest vector ends: what a write to the EOI register does. */
  endInterrupt(): void {
    const vector = this.#registers.highestVector(APIC_PAGE.isr);
    if (vector < 0) return;
    this.#registers.clearVector(APIC_PAGE.isr, vector);
    if (this.#registers.hasVector(APIC_PAGE.tmr, vector)) this.#signals.ended?.(vector);
  }

  #processorPriority(): number {
    const task = this.#registers.load(APIC_PAGE.taskPriority);
    const inService = Math.max(this.#registers.highestVector(APIC_PAGE.isr), 0);
    return task >>> 4 >= inService >>> 4 ? task : inService & 0xf0;
  }

  #sendCommand(low: number, destination: number): void {
    // Delivery is done when the write is: the status bit always reads idle.
    this.#registers.store(APIC_PAGE.icrLow, low & ~0x1000);
    const command = decodeCommand(low);
    const targets = findTargets(low, destination, { self: this.#vcpu, all: this.#all, isX2apic: this.#isX2apic });
    for (const target of targets) {
      if (command.kind === "fixed") this.#raiseAt(target, command.vector);
      else if (command.kind === "startup") this.#signals.startup(target, command.vector);
      else if (command.kind === "init") this.#signals.init(target);
      else if (command.kind === "nmi") this.#signals.nmi(target);
    }
  }

  #raiseAt(target: number, vector: number): void {
    if (vector < FIRST_LEGAL_VECTOR) return this.#noteError(ERROR_SEND_ILLEGAL_VECTOR);
    const registers = this.#all[target]!;
    if ((registers.load(APIC_PAGE.spurious) & SOFTWARE_ENABLE) === 0) return;
    if (registers.request(vector, false)) this.#signals.kick(target);
  }

  #noteError(bit: number): void {
    this.#registers.noteErrors(bit);
    const entry = this.#registers.lvt(LVT_ERROR);
    if ((entry & LVT_MASKED) === 0 && (entry & 0xff) >= FIRST_LEGAL_VECTOR) this.raise(entry & 0xff);
  }

  /** Requests the interrupt `vector` (16..255) at this APIC; ignored while it is software-disabled. Any thread. */
  raise(vector: number): void {
    this.#raiseAt(this.#vcpu, vector);
  }

  /** The vector to interrupt the vCPU with: the highest requested one if its class is above the PPR's; -1 = none. */
  pendingVector(): number {
    if (!this.#isSoftwareEnabled || (this.#registers.base & BASE_ENABLE) === 0) return -1;
    const vector = this.#registers.highestVector(APIC_PAGE.irr);
    return vector >= 0 && vector >>> 4 > this.#processorPriority() >>> 4 ? vector : -1;
  }

  /** Moves `vector` from requested to in service. Precondition: it is what `pendingVector` gave, and the vCPU takes it now. */
  accept(vector: number): void {
    this.#registers.clearVector(APIC_PAGE.irr, vector);
    this.#registers.setVector(APIC_PAGE.isr, vector);
  }

  /**
   * Whether the next EOI can only mean one interrupt: `offeredVector`, which waits to be delivered (-1 = none does), or else the one in
   * service; nothing else is requested or in service, and nobody else has to be told of its end.
   */
  hasSoleInterrupt(offeredVector: number): boolean {
    const { irr, isr, tmr } = APIC_PAGE;
    const registers = this.#registers;
    const [first, second] = offeredVector < 0 ? [isr, irr] : [irr, isr];
    if (registers.countVectors(first) !== 1 || registers.countVectors(second) !== 0) return false;
    const vector = registers.highestVector(first);
    return (offeredVector < 0 || vector === offeredVector) && !registers.hasVector(tmr, vector);
  }

  /** CR8: the task priority's class. */
  get taskPriorityClass(): number {
    return this.#registers.load(APIC_PAGE.taskPriority) >>> 4;
  }

  /** Sets the task priority through CR8, 0..15. */
  set taskPriorityClass(value: number) {
    this.#registers.store(APIC_PAGE.taskPriority, (value & 15) << 4);
  }

  /** Absolute ns at which `fireTimer` has something to do, Infinity = never. */
  timerDeadlineNs(): number {
    return this.#timer.deadlineNs();
  }

  /** Raises the timer's interrupt if it is due; returns whether it was. */
  fireTimer(): boolean {
    if (!this.#timer.fire(this.#clock.nowNs())) return false;
    this.raise(this.#registers.lvt(0) & 0xff);
    return true;
  }
}
