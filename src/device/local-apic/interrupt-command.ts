/** The interrupt command register: which APICs an IPI goes to and what it does there (Intel SDM vol 3 §11.6, §11.12.9). */
import { APIC_PAGE } from "../../abi/layout.js";
import type { ApicRegisters } from "./apic-registers.raw.js";

/** What an IPI does. */
export type InterruptCommand =
  | { readonly kind: "fixed"; readonly vector: number }
  | { readonly kind: "startup"; readonly vector: number }
  | { readonly kind: "nmi" | "init" | "none" };

const SHORTHAND_SELF = 1;
const SHORTHAND_ALL = 2;
const SHORTHAND_OTHERS = 3;
const LOGICAL = 1 << 11;
const LEVEL_ASSERT = 1 << 14;
const TRIGGER_LEVEL = 1 << 15;

/** Reads delivery mode and vector of the register's low word. */
export function decodeCommand(low: number): InterruptCommand {
  const vector = low & 0xff;
  switch ((low >>> 8) & 7) {
    case 0:
    case 1:
      return { kind: "fixed", vector };
    case 4:
      return { kind: "nmi" };
    case 5:
      // INIT level de-assert only synchronises arbitration ids, which nothing has had for long.
      return { kind: (low & TRIGGER_LEVEL) !== 0 && (low & LEVEL_ASSERT) === 0 ? "none" : "init" };
    case 6:
      return { kind: "startup", vector };
    default:
      return { kind: "none" };
  }
}

/** One sender, and the APICs there are. */
export interface Destinations {
  readonly self: number;
  readonly all: readonly ApicRegisters[];
  readonly isX2apic: boolean;
}

/** The vCPUs that the register's words address, ascending, APIC id = vCPU; `destination` is 8 bits wide, 32 with x2APIC. */
export function findTargets(low: number, destination: number, { self, all, isX2apic }: Destinations): number[] {
  const everybody = all.map((_, vcpu) => vcpu);
  switch ((low >>> 18) & 3) {
    case SHORTHAND_SELF:
      return [self];
    case SHORTHAND_ALL:
      return everybody;
    case SHORTHAND_OTHERS:
      return everybody.filter((vcpu) => vcpu !== self);
  }
  if (destination === (isX2apic ? 0xffff_ffff : 0xff)) return everybody;
  if ((low & LOGICAL) === 0) return everybody.filter((vcpu) => vcpu === destination);
  return everybody.filter((vcpu) =>
    isX2apic ? matchesX2apicLogical(vcpu, destination) : matchesLogical(all[vcpu]!, destination));
}

/** The logical id that x2APIC mode derives from an APIC id: cluster in the high half, one bit in the low. */
export function x2apicLogicalId(id: number): number {
  return (((id >>> 4) << 16) | (1 << (id & 15))) >>> 0;
}

function matchesX2apicLogical(id: number, destination: number): boolean {
  return destination >>> 16 === id >>> 4 && (x2apicLogicalId(id) & destination & 0xffff) !== 0;
}

function matchesLogical(registers: ApicRegisters, destination: number): boolean {
  const logical = registers.load(APIC_PAGE.logicalDestination) >>> 24;
  const isFlat = registers.load(APIC_PAGE.destinationFormat) >>> 28 === 0xf;
  return isFlat ? (logical & destination) !== 0 : logical >>> 4 === destination >>> 4 && (logical & destination & 0xf) !== 0;
}
