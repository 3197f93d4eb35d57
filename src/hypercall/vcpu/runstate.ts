/**
 * How long each vCPU ran, waited and slept, and the copy of that in the area the guest registered (Xen public/vcpu.h).
 *
 * With VMASST_TYPE_runstate_update_flag the guest may read the area of another vCPU: the top bit of state_entry_time is
 * set before and cleared after the change, so a reader that sees it, or two different entry times, reads again.
 */
import {
  Fields, RUNSTATE_running, vcpu_runstate_info, VMASST_TYPE_runstate_update_flag,
} from "../../abi/xen/index.js";
import { XEN_DOMAIN, XEN_VCPU } from "../../abi/xen-block.js";
import type { GuestMemory } from "../../guest-page/index.js";
import type { LinearMemory } from "../interfaces.js";
import type { DomainState } from "../state/domain-state.js";
import { vcpuField } from "../state/domain-state.js";
import { GuestArea, registerAreaLocked } from "../state/guest-area.js";
import type { AreaFields } from "../state/guest-area.js";

/** Offset of the byte of state_entry_time that holds the update flag, and the flag in it. */
const FLAG_BYTE = vcpu_runstate_info.state_entry_time + 7;
const FLAG = 0x80;

function areaFields(vcpu: number): AreaFields {
  return {
    gpa: vcpuField(vcpu, XEN_VCPU.runstateGpa), gpaRest: vcpuField(vcpu, XEN_VCPU.runstateGpaRest),
    firstBytes: vcpuField(vcpu, XEN_VCPU.runstateFirstBytes),
  };
}

/** One thread's view of the run states. */
export class Runstates {
  readonly #state: DomainState;
  readonly #guest: GuestMemory;
  readonly #areas: readonly GuestArea[];

  constructor(state: DomainState, guest: GuestMemory, vcpuCount: number) {
    this.#state = state;
    this.#guest = guest;
    this.#areas = Array.from({ length: vcpuCount }, (_, vcpu) =>
      new GuestArea(state, guest, { user: "runstate", fields: areaFields(vcpu), size: vcpu_runstate_info.size }));
  }

  /** Registers the area at `gva` and fills it; false = not mapped. */
  register(vcpu: number, gva: bigint, linear: LinearMemory, nowNs: number): boolean {
    return this.#state.withRunstateLock(vcpu, () => {
      const area = { gva, size: vcpu_runstate_info.size, linear, guest: this.#guest };
      if (!registerAreaLocked(this.#state, areaFields(vcpu), area)) return false;
      this.#accountLocked(vcpu, nowNs);
      this.#publishLocked(vcpu);
      return true;
    });
  }

  /** `vcpu` enters `next` (RUNSTATE_*) at `nowNs`. */
  change(vcpu: number, next: number, nowNs: number): void {
    this.#state.withRunstateLock(vcpu, () => {
      if (this.#state.u32(vcpuField(vcpu, XEN_VCPU.runstate)) === next) return;
      this.#accountLocked(vcpu, nowNs);
      this.#state.setU32(vcpuField(vcpu, XEN_VCPU.runstate), next);
      if (this.#areas[vcpu]!.isRegistered) this.#publishLocked(vcpu);
    });
  }

  /** Puts `vcpu` into `first` without accounting, before start. */
  begin(vcpu: number, first: number, nowNs: number): void {
    this.#state.setU32(vcpuField(vcpu, XEN_VCPU.runstate), first);
    this.#state.setNumber(vcpuField(vcpu, XEN_VCPU.runstateEntry), nowNs);
  }

  /** struct vcpu_runstate_info with the time up to `nowNs` accounted. */
  snapshot(vcpu: number, nowNs: number): Fields {
    return this.#state.withRunstateLock(vcpu, () => {
      const fields = this.#fieldsLocked(vcpu);
      const state = fields.u32(vcpu_runstate_info.state);
      const slot = vcpu_runstate_info.time + 8 * state;
      const elapsed = BigInt(Math.floor(nowNs)) - fields.u64(vcpu_runstate_info.state_entry_time);
      return fields.setU64(slot, fields.u64(slot) + (elapsed > 0n ? elapsed : 0n));
    });
  }

  /** Adds the time since the last change to the current state and starts a new span. */
  #accountLocked(vcpu: number, nowNs: number): void {
    const now = BigInt(Math.floor(nowNs));
    const entry = vcpuField(vcpu, XEN_VCPU.runstateEntry);
    const elapsed = now - this.#state.u64(entry);
    if (elapsed <= 0n) return;
    const state = this.#state.u32(vcpuField(vcpu, XEN_VCPU.runstate));
    const slot = vcpuField(vcpu, XEN_VCPU.runstateTimes) + 8 * state;
    this.#state.setU64(slot, this.#state.u64(slot) + elapsed);
    this.#state.setU64(entry, now);
  }

  #fieldsLocked(vcpu: number): Fields {
    const fields = Fields.zeroed(vcpu_runstate_info.size);
    fields.setU32(vcpu_runstate_info.state, this.#state.u32(vcpuField(vcpu, XEN_VCPU.runstate)));
    fields.setU64(vcpu_runstate_info.state_entry_time, this.#state.u64(vcpuField(vcpu, XEN_VCPU.runstateEntry)));
    for (let state = RUNSTATE_running; state < 4; state++) {
      const time = this.#state.u64(vcpuField(vcpu, XEN_VCPU.runstateTimes) + 8 * state);
      fields.setU64(vcpu_runstate_info.time + 8 * state, time);
    }
    return fields;
  }

  #publishLocked(vcpu: number): void {
    const area = this.#areas[vcpu]!;
    const fields = this.#fieldsLocked(vcpu);
    const isFlagged = (this.#state.u32(XEN_DOMAIN.vmAssist) & (1 << VMASST_TYPE_runstate_update_flag)) !== 0;
    if (!isFlagged) return area.write(fields.bytes);
    const settled = fields.bytes[FLAG_BYTE]! & ~FLAG;
    fields.bytes[FLAG_BYTE] = settled | FLAG;
    area.storeByte(FLAG_BYTE, settled | FLAG);
    area.write(fields.bytes);
    area.storeByte(FLAG_BYTE, settled);
  }
}
