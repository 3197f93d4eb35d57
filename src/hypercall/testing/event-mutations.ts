/** Faults in event delivery and run states: the rest of M1 to M40 (guest-page/testing/page-mutations.ts), and our own E1 and following. */
import type { Mutation } from "../../guest-page/testing/mutation.js";
import { catcher, caught, edit, from, harmless, impossible } from "../../guest-page/testing/mutation.js";

const DELIVERY = "hypercall/event-channel/delivery.js";
const PORTS = "hypercall/event-channel/ports.js";
const STATE = "hypercall/state/domain-state.js";
const RUNSTATE = "hypercall/vcpu/runstate.js";

const scenario = (name: string): ReturnType<typeof catcher> => catcher("hypercall/testing/event-scenarios.js", name);
const check = (name: string): ReturnType<typeof catcher> => catcher("hypercall/testing/event-checks.js", name);
const events = scenario("events in shared_info, a guest and a mover");
const ownInfo = scenario("events with a vcpu_info of its own, a guest and a mover");
const notes = scenario("notes of senders that may not sleep, and a guest");
const poller = scenario("a poller and senders");
const runstates = scenario("run states over two pages, a reader and a mover");

const MARK = `            if (view.testAndSetBit(selectorBit, info.base + vcpu_info.evtchn_pending_sel))
                return false;
            return view.exchangeU8(info.base + vcpu_info.evtchn_upcall_pending, 1) === 0;`;
const NOTE = `        this.#state.setBit(XEN_DOMAIN.deferredSends, port);
        this.#state.setU32(XEN_DOMAIN.deferredSendsHint, 1);
        this.#kick(this.#isUp(vcpu) ? vcpu : this.#firstVcpuUp());`;

/** Of the historic list. */
const HISTORIC: readonly Mutation[] = [
  caught("M22", "keep a mapping without regard to the offset", check("run state areas in one page are told apart"),
    edit("hypercall/state/page-slot.js", "return gfn === this.#gfn && offset === this.#offset ? this.#page : undefined;", "return gfn === this.#gfn ? this.#page : undefined;")),
  caught("M23", "clear all noted bits instead of those that were copied", notes,
    edit(STATE, "const bits = this.exchangeU32(offset + word * 4, 0);", "const bits = this.u32(offset + word * 4); this.u32(offset); this.setU32(offset + word * 4, 0);")),
  harmless("M23a", "clear all noted selector bits instead of those that were copied", "selector bits are noted and copied under eventLock alone", ownInfo,
    edit(DELIVERY, "this.#state.andU64(shadow, ALL_ONES ^ bits);", "this.#state.setU64(shadow, 0n);")),
  caught("M24", "raise the upcall flag before the selector bit", from(3970, events), edit(DELIVERY, MARK, `
            const isNew = view.exchangeU8(info.base + vcpu_info.evtchn_upcall_pending, 1) === 0;
            return !view.testAndSetBit(selectorBit, info.base + vcpu_info.evtchn_pending_sel) && isNew;`)),
  caught("M25", "write a versioned structure without its sign of change", runstates,
    edit(RUNSTATE, "area.storeByte(FLAG_BYTE, settled | FLAG);", ""), edit(RUNSTATE, "fields.bytes[FLAG_BYTE] = settled | FLAG;", "")),
  caught("M25a", "take the sign of change back before the rest is written", runstates,
    edit(RUNSTATE, "fields.bytes[FLAG_BYTE] = settled | FLAG;", "fields.bytes[FLAG_BYTE] = settled;")),
  caught("M34", "wait for a lock where nobody may sleep", check("a send that may not sleep takes no lock that is held"),
    edit(PORTS, "const result = this.#state.withEventLockIfFree(() => {", "const result = this.#state.withEventLock(() => {")),
  impossible("M35", "read the guest's word size twice", "guests are 64-bit: there is one layout of shared_info"),
  caught("M36", "check the length behind the activation", check("a vcpu_info that leaves its page is refused"),
    edit("hypercall/vcpu/vcpu-op.js", "offset > PAGE_SIZE - vcpu_info.size || ", "")),
  impossible("M37", "lock the second of two pages first", "pages have no locks; the two pieces of an area are written in two accesses, one behind the other"),
  harmless("M38", "check for pending ports before saying that one polls", "the run loop looks once more behind the publication, before it sleeps", poller,
    edit("hypercall/sched/scheduling.js", "        this.#polledPorts[vcpu] = ports;", "        this.#polledPorts[vcpu] = ports; const isReady = this.pollReady(vcpu);"),
    edit("hypercall/sched/scheduling.js", "if (this.pollReady(vcpu) || ", "if (isReady || ")),
];

/** Our own. */
const OWN: readonly Mutation[] = [
  caught("E1", "wake the vCPU before the note is written", from(3560, notes), edit(DELIVERY, NOTE, `
        this.#kick(this.#isUp(vcpu) ? vcpu : this.#firstVcpuUp());
        this.#state.setBit(XEN_DOMAIN.deferredSends, port);
        this.#state.setU32(XEN_DOMAIN.deferredSendsHint, 1);`)),
  caught("E2", "take the notes before the sign that there are any", notes, edit(DELIVERY,
    `this.#state.exchangeU32(deferredSendsHint, 0) === 0)
            return [];
        return this.#state.takeBits(deferredSends, EVTCHN_2L_NR_CHANNELS);`,
    `deferredSends === 0)
            return [];
        const taken = this.#state.takeBits(deferredSends, EVTCHN_2L_NR_CHANNELS);
        this.#state.setU32(deferredSendsHint, 0);
        return taken;`)),
  caught("E3", "drop the selector bit when vcpu_info is revoked", ownInfo,
    edit(DELIVERY, "this.#state.orU64(vcpuField(vcpu, XEN_VCPU.shadowSelector), 1n << BigInt(selectorBit));", "")),
  caught("E4", "look a page up in a send that may not sleep", check("a send that may not sleep looks no page up"),
    edit(DELIVERY, "const outcome = this.#openSharedInfo()?.tryAccess((view) => setPendingBit(view, port));", "const outcome = this.#openSharedInfo()?.access((view) => setPendingBit(view, port));")),
  caught("E5", "set a pending bit by a plain read and write", from(550, events), edit(DELIVERY, "if (view.testAndSetBit(port, shared_info.evtchn_pending))\n        return \"was pending\";",
    "const byte = view.readU8(shared_info.evtchn_pending + (port >>> 3)); view.loadU8(0);\n    view.writeU8(shared_info.evtchn_pending + (port >>> 3), byte | (1 << (port & 7)));\n    if ((byte & (1 << (port & 7))) !== 0)\n        return \"was pending\";")),
  caught("E6", "do not wake a poller whose port is masked", poller,
    edit(DELIVERY, "if (outcome !== \"was pending\")", "if (outcome === \"unmasked\")")),
];

/** All of the Xen side. */
export const EVENT_MUTATIONS: readonly Mutation[] = [...HISTORIC, ...OWN];
