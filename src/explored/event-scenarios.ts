/**
 * Scenarios of event delivery: senders that may not sleep or may, pages that move under them, and a vCPU that takes the events as Linux does,
 * in guest mode, and sleeps by the shipped HLT when there are none. Each send is told by a number that was written before: an event that
 * got lost leaves the vCPU asleep for a number that it never sees, which is a deadlock (I9).
 */
import { gfnOf } from "../abi/address.js";
import type { Gfn } from "../abi/address.js";
import { REQUEST_EVENT, REQUEST_TLB_FLUSH } from "../abi/layout.js";
import {
  __HYPERVISOR_memory_op, __HYPERVISOR_sched_op, __HYPERVISOR_vcpu_op, DOMID_SELF, sched_poll, SCHEDOP_poll, shared_info, vcpu_info,
  vcpu_register_vcpu_info, VCPUOP_register_vcpu_info, xen_add_to_physmap, XENMAPSPACE_shared_info, XENMEM_add_to_physmap,
} from "../abi/xen/index.js";
import type { ScenarioThread } from "../explore/index.js";
import type { HostMemory } from "../host-memory/index.js";
import type { LinearMemory, SchedulingRequest, XenDomain } from "../hypercall/index.js";
import { mover, sleepless } from "./actors.js";
import { $, $now } from "./instrument/runtime.js";
import type { Access } from "./instrument/runtime.js";
import type { Setting, ShippedScenario } from "./setting.js";
import { contextOf, ModelVcpu, walk, wireFlush } from "./vcpu.js";

const SHARED = gfnOf(1);
const INFO = gfnOf(2);
const INFO_OFFSET = 64;
/** Pages of the back ends' rings; nobody touches them. */
const CONSOLE = gfnOf(12);
const XENSTORE = gfnOf(13);
/** The ports that the back ends have from the start: xenstore's and the console's. */
const PORTS = [1, 2] as const;
type Port = (typeof PORTS)[number];
const SELECTOR = vcpu_info.evtchn_pending_sel;
/** Words of both vcpu_infos, and of shared_info the first of the pending and of the mask bits. */
const CONTENTS = [0, SELECTOR, INFO_OFFSET, INFO_OFFSET + SELECTOR, shared_info.evtchn_pending, shared_info.evtchn_mask];
/** Words of no room, in which senders say how often they have sent. */
const SENT_WORDS = 2 ** 21;

/** A structure from (offset, size in bytes, value) triples. */
function structOf(size: number, ...values: readonly (readonly [number, 2 | 4 | 8, number])[]): Uint8Array {
  const bytes = new Uint8Array(size);
  for (const [offset, width, value] of values) for (let byte = 0; byte < width; byte++) bytes[offset + byte] = Math.floor(value / 2 ** (8 * byte));
  return bytes;
}

/** The calling vCPU's memory: what a hypercall reads begins at linear address 0. */
function argument(bytes: Uint8Array): LinearMemory {
  return { read: (gva, length) => bytes.slice(Number(gva), Number(gva) + length), write: () => true, translate: () => undefined };
}

/** Names of the words of events, for pictures. */
function nameWords(setting: Setting): void {
  const { map } = setting.world;
  for (const port of PORTS) map.name(SENT_WORDS + port, `sent ${port}`);
  for (const [gfn, offset, name] of [[SHARED, 0, "upcall"], [SHARED, SELECTOR, "selector"], [SHARED, shared_info.evtchn_pending, "pending"]] as const) {
    map.name(setting.pageWord(gfn, offset), `${name}, first frame`);
  }
}

/** The domain as one thread has it. */
class DomainThread {
  readonly host: HostMemory;
  readonly domain: XenDomain;

  constructor(setting: Setting, vcpu = new ModelVcpu(setting)) {
    this.host = setting.attach();
    this.domain = new setting.modules.XenDomain({
      host: this.host, guest: setting.guestOf(this.host), vcpuCount: 1, clock: { nowNs: () => 0 },
      kick: (() => vcpu.postRequest(REQUEST_EVENT)) as never, ringDevice: () => undefined,
    });
  }

  /** A hypercall of vCPU 0 with a structure as its last argument; undone by the caller's thread if it fails. */
  *call(number: number, args: readonly number[], bytes: Uint8Array): Access<void> {
    const result = (yield* $(this.domain.hypercall(0, number, [...args, 0].map(BigInt), argument(bytes)) as unknown)) as bigint;
    if (result !== 0n) throw new Error(`hypercall ${number} answered ${BigInt.asIntN(64, result)}`);
  }

  mapSharedInfo(): Access<void> {
    return this.call(__HYPERVISOR_memory_op, [XENMEM_add_to_physmap], structOf(24, [xen_add_to_physmap.domid, 2, DOMID_SELF],
      [xen_add_to_physmap.space, 4, XENMAPSPACE_shared_info], [xen_add_to_physmap.gpfn, 8, SHARED]));
  }

  registerVcpuInfo(): Access<void> {
    return this.call(__HYPERVISOR_vcpu_op, [VCPUOP_register_vcpu_info, 0], structOf(16, [vcpu_register_vcpu_info.mfn, 8, INFO], [vcpu_register_vcpu_info.offset, 4, INFO_OFFSET]));
  }

  poll(port: Port): Access<void> {
    const list = sched_poll.size;
    return this.call(__HYPERVISOR_sched_op, [SCHEDOP_poll], structOf(list + 4, [sched_poll.ports, 8, list], [sched_poll.nr_ports, 4, 1], [list, 4, port]));
  }
}

/** What the domain is at the start. */
interface Start {
  readonly isMapped: boolean;
  readonly hasOwnInfo?: boolean;
}

function prepare({ isMapped, hasOwnInfo = false }: Start): (setting: Setting) => void {
  return (setting) => {
    const parts = new DomainThread(setting);
    $now(parts.domain.initialise({ consoleGfn: CONSOLE, xenstoreGfn: XENSTORE, memoryPages: 16, highestGfn: gfnOf(15), wallClockMs: 0 }));
    if (isMapped) $now(parts.mapSharedInfo());
    if (hasOwnInfo) {
      $now(parts.registerVcpuInfo());
      // A registration marks everything pending; here the guest has seen that.
      for (const offset of [INFO_OFFSET, INFO_OFFSET + SELECTOR]) setting.poke(INFO, offset, 0);
      setting.world.carryOut({ kind: "store", cell: new ModelVcpu(setting).requestCell, value: 0 });
    }
    nameWords(setting);
  };
}

/** How a sender sends. */
interface SenderParts {
  readonly port: Port;
  readonly maySleep?: boolean;
  /** Whether it has the pages of delivery mapped. Otherwise a sender that may not sleep reaches none of them, and leaves notes. */
  readonly isMapped?: boolean;
}

function sender(setting: Setting, vcpu: ModelVcpu, { port, maySleep = false, isMapped = true }: SenderParts): ScenarioThread {
  const { domain } = new DomainThread(setting, vcpu);
  if (isMapped) $now(domain.refreshDelivery());
  const cell = setting.world.map.cellOf(SENT_WORDS + port);
  const thread: ScenarioThread = {
    name: `sender ${port}`,
    *run() {
      yield { kind: "update", cell, by: (sent) => sent + 1 };
      const isConnected = (yield* $((maySleep ? domain.raisePort(port) : domain.raisePortNoSleep(port)) as unknown)) as boolean;
      yield { kind: "claim", holds: isConnected, says: `port ${port} is not connected` };
    },
  };
  return maySleep ? thread : sleepless(thread);
}

/** What the vCPU does before it looks for events. */
type Before = (parts: DomainThread) => Access<void>;

/** vCPU 0: takes events until it has seen each sender's. */
function vcpuThread(setting: Setting, vcpu: ModelVcpu, ports: readonly Port[], infoGfn: Gfn = SHARED, before?: Before): ScenarioThread {
  const { modules } = setting;
  const parts = new DomainThread(setting, vcpu);
  const context = contextOf(vcpu, parts.domain);
  return {
    name: "vCPU",
    *run() {
      if (before !== undefined) yield* before(parts);
      const guest = new Guest(setting, parts.host, infoGfn);
      while (!ports.every((port) => guest.seen.has(port))) {
        yield* $(modules.sleepUntilEvent(context));
        yield* vcpu.takeRequests(REQUEST_TLB_FLUSH);
        if ((yield* $(modules.enterGuestMode(vcpu as never))) !== true) continue;
        const missing = yield* guest.takeEvents();
        yield* $(modules.leaveGuestMode(vcpu as never));
        if (missing !== undefined) yield* $(parts.host.faultIn(missing, true) as unknown);
      }
    },
  };
}

/** Guest code on the vCPU: upcall byte, selector, pending bits, as Linux' evtchn_2l_handle_events. */
class Guest {
  /** Ports whose send was seen. */
  readonly seen = new Set<Port>();
  readonly #setting: Setting;
  readonly #host: HostMemory;
  readonly #infoGfn: Gfn;

  constructor(setting: Setting, host: HostMemory, infoGfn: Gfn) {
    this.#setting = setting;
    this.#host = host;
    this.#infoGfn = infoGfn;
  }

  /** In guest mode. A page that the processor cannot reach ends it at once, with nothing done. */
  *takeEvents(): Access<Gfn | undefined> {
    const { world } = this.#setting;
    const sharedPfn = yield* walk(this.#host, SHARED);
    if (sharedPfn === undefined) return SHARED;
    const infoPfn = this.#infoGfn === SHARED ? sharedPfn : yield* walk(this.#host, this.#infoGfn);
    if (infoPfn === undefined) return this.#infoGfn;
    const info = infoPfn * 1024 + (this.#infoGfn === SHARED ? 0 : INFO_OFFSET / 4);
    const clear = (index: number, bits: number): Access<number> => clearBits(world.map.cellOf(index), bits);
    yield* clear(info, 0xff);
    if (((yield* clear(info + SELECTOR / 4, -1)) & 1) === 0) return undefined;
    for (const port of PORTS) {
      if (((yield* clear(sharedPfn * 1024 + shared_info.evtchn_pending / 4, 1 << port)) & (1 << port)) === 0) continue;
      if ((yield { kind: "load", cell: world.map.cellOf(SENT_WORDS + port) }) !== 0) this.seen.add(port);
    }
    return undefined;
  }
}

function* clearBits(cell: number, bits: number): Access<number> {
  return yield { kind: "update", cell, by: (value) => (value & ~bits) >>> 0 };
}

/** Moves pages of delivery under the vCPU. */
function pageMover(setting: Setting, vcpu: ModelVcpu, gfns: readonly Gfn[]): ScenarioThread {
  return mover(setting, "mover", gfns, (host) => wireFlush(setting, host, vcpu));
}

/** The vCPU polls the console's port, which is masked, and sleeps as the run loop does. */
function poller(setting: Setting, vcpu: ModelVcpu): ScenarioThread {
  const { modules } = setting;
  const parts = new DomainThread(setting, vcpu);
  const context = contextOf(vcpu, parts.domain);
  return {
    name: "vCPU",
    *run() {
      yield* parts.poll(2);
      const request = (yield* $(parts.domain.takeSchedulingRequest(0) as unknown)) as SchedulingRequest;
      if (request.kind !== "poll") return;
      yield* $(modules.sleepUntil(context, () => parts.domain.pollReady(0), Infinity));
      yield* $(parts.domain.endPoll(0) as unknown);
    },
  };
}

const MAPPED = { contents: CONTENTS, pages: [SHARED], prepare: prepare({ isMapped: true }) } as const;

/** What scenarios of events there are. */
export const EVENT_SCENARIOS: readonly ShippedScenario[] = [
  {
    ...MAPPED, name: "shipped-event-and-move", says: "an event is sent by who may not sleep while shared_info moves, and a vCPU takes it",
    make: (setting) => {
      const vcpu = new ModelVcpu(setting);
      return { threads: [pageMover(setting, vcpu, [SHARED]), sender(setting, vcpu, { port: 1 }), vcpuThread(setting, vcpu, [1])] };
    },
  },
  {
    name: "shipped-event-and-vcpu-info", says: "an event is sent by who may not sleep while the vCPU's own vcpu_info moves, and a vCPU takes it",
    contents: CONTENTS, pages: [SHARED, INFO], prepare: prepare({ isMapped: true, hasOwnInfo: true }),
    make: (setting) => {
      const vcpu = new ModelVcpu(setting);
      return { threads: [pageMover(setting, vcpu, [INFO]), sender(setting, vcpu, { port: 1 }), vcpuThread(setting, vcpu, [1], INFO)] };
    },
  },
  {
    ...MAPPED, name: "shipped-two-senders", says: "one sender that may not sleep meets one that may, and a vCPU takes both events",
    make: (setting) => {
      const vcpu = new ModelVcpu(setting);
      return { threads: [sender(setting, vcpu, { port: 1 }), sender(setting, vcpu, { port: 2, maySleep: true }), vcpuThread(setting, vcpu, PORTS)] };
    },
  },
  {
    ...MAPPED, name: "shipped-notes", says: "two senders that may not sleep and have no page mapped leave notes, and a vCPU sends for them",
    make: (setting) => {
      const vcpu = new ModelVcpu(setting);
      const senders = PORTS.map((port) => sender(setting, vcpu, { port, isMapped: false }));
      return { threads: [...senders, vcpuThread(setting, vcpu, PORTS)] };
    },
  },
  {
    name: "shipped-event-and-registration", says: "the vCPU gives itself a vcpu_info of its own while an event is sent by who may not sleep",
    contents: CONTENTS, pages: [SHARED, INFO], prepare: prepare({ isMapped: true }),
    make: (setting) => {
      const vcpu = new ModelVcpu(setting);
      return { threads: [sender(setting, vcpu, { port: 1 }), vcpuThread(setting, vcpu, [1], INFO, (parts) => parts.registerVcpuInfo())] };
    },
  },
  {
    name: "shipped-registration-and-sender", says: "the vCPU gives itself a vcpu_info of its own while an event is sent by who may sleep",
    contents: CONTENTS, pages: [SHARED, INFO], prepare: prepare({ isMapped: true }),
    make: (setting) => {
      const vcpu = new ModelVcpu(setting);
      return { threads: [sender(setting, vcpu, { port: 1, maySleep: true }), vcpuThread(setting, vcpu, [1], INFO, (parts) => parts.registerVcpuInfo())] };
    },
  },
  {
    name: "shipped-event-and-shared-info", says: "the vCPU maps shared_info while an event is sent by who may not sleep",
    contents: CONTENTS, pages: [SHARED], prepare: prepare({ isMapped: false }),
    make: (setting) => {
      const vcpu = new ModelVcpu(setting);
      return { threads: [sender(setting, vcpu, { port: 1 }), vcpuThread(setting, vcpu, [1], SHARED, (parts) => parts.mapSharedInfo())] };
    },
  },
  {
    name: "shipped-event-and-poll", says: "a vCPU polls a port that is masked while its event is sent",
    contents: CONTENTS, pages: [SHARED],
    prepare: (setting) => {
      prepare({ isMapped: true })(setting);
      setting.poke(SHARED, shared_info.evtchn_mask, 1 << 2);
    },
    make: (setting) => {
      const vcpu = new ModelVcpu(setting);
      return { threads: [sender(setting, vcpu, { port: 2 }), poller(setting, vcpu)] };
    },
  },
];
