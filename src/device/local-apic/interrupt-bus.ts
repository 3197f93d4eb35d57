/** How interrupts of devices reach local APICs, from any thread (Intel SDM vol 3 §11.11, the fields of an interrupt message). */
import { APIC_PAGE } from "../../abi/layout.js";
import { ApicRegisters } from "./apic-registers.raw.js";
import { decodeCommand, findTargets } from "./interrupt-command.js";

const SOFTWARE_ENABLE = 0x100;
const LOWEST_PRIORITY = 1;
const TRIGGER_LEVEL = 1 << 15;
const FIRST_LEGAL_VECTOR = 16;
const NO_SENDER = -1;

/** All local APICs of a VM, as one thread reaches them. */
export class InterruptBus {
  readonly #all: readonly ApicRegisters[];
  readonly #kick: (vcpu: number) => void;

  /** `kick` makes a vCPU look for interrupts; it may not sleep. */
  constructor(memory: { readonly buffer: ArrayBufferLike }, vcpuCount: number, kick: (vcpu: number) => void) {
    this.#all = Array.from({ length: vcpuCount }, (_, vcpu) => new ApicRegisters(memory, vcpu));
    this.#kick = kick;
  }

  /**
   * Sends what `low` says (vector, delivery mode, destination mode, in the bits of the interrupt command register) to
   * `destination`, 8 bits. Only fixed interrupts and those of lowest priority do anything; the latter go to the first of the targets.
   * Returns whether there was one that takes interrupts.
   */
  send(low: number, destination: number): boolean {
    const command = decodeCommand(low);
    if (command.kind !== "fixed" || command.vector < FIRST_LEGAL_VECTOR) return false;
    const enabled = findTargets(low, destination, { self: NO_SENDER, all: this.#all, isX2apic: false })
      .filter((vcpu) => (this.#all[vcpu]!.load(APIC_PAGE.spurious) & SOFTWARE_ENABLE) !== 0);
    const targets = ((low >>> 8) & 7) === LOWEST_PRIORITY ? enabled.slice(0, 1) : enabled;
    for (const vcpu of targets) {
      if (this.#all[vcpu]!.request(command.vector, (low & TRIGGER_LEVEL) !== 0)) this.#kick(vcpu);
    }
    return targets.length > 0;
  }
}
