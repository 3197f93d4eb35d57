/**
 * Scenarios of run states: a vCPU's thread changes a run state whose area crosses into a second page, that page moves, and the guest on another
 * vCPU reads the area by the rules of VMASST_TYPE_runstate_update_flag.
 */
import { gfnOf, gpaOf } from "../abi/address.js";
import {
  __HYPERVISOR_vcpu_op, __HYPERVISOR_vm_assist, RUNSTATE_blocked, RUNSTATE_running, vcpu_runstate_info, VCPUOP_register_runstate_memory_area,
  VMASST_TYPE_runstate_update_flag,
} from "../abi/xen/index.js";
import type { ModelView, ScenarioThread } from "../explore/index.js";
import type { LinearMemory, XenDomain } from "../hypercall/index.js";
import { mover, threadOf } from "./actors.js";
import { $, $now } from "./instrument/runtime.js";
import type { Access } from "./instrument/runtime.js";
import { MemoryWords } from "./invariants.js";
import type { ScenarioParts, Setting, ShippedScenario } from "./setting.js";
import { ModelVcpu, walk, wireFlush } from "./vcpu.js";

const FIRST = gfnOf(5);
const SECOND = gfnOf(6);
const { state: STATE, state_entry_time: ENTRY, time: TIME } = vcpu_runstate_info;
/** State and entry time are the last bytes of the first page, the times are in the second. */
const CROSSING = SECOND * 4096 - TIME;
/** Two areas in one page. */
const INSIDE = FIRST * 4096 + 0x100;
const ELSEWHERE = FIRST * 4096 + 0x200;
/** The words of an area that are ever other than 0: state, entry time, times of the two states. */
const TIMES = [RUNSTATE_running, RUNSTATE_blocked].map((state) => TIME + 8 * state);
const WORDS = [STATE, ENTRY, ENTRY + 4, ...TIMES];
/** When the state changes, and what to. */
const CHANGES = [[5, RUNSTATE_blocked], [9, RUNSTATE_running]] as const;
const STATE_AT = new Map<number, number>([[0, RUNSTATE_running], ...CHANGES]);

/** Offsets of the words of frames that areas have. */
function contentsOf(...areas: readonly number[]): number[] {
  return [...new Set(areas.flatMap((area) => WORDS.map((word) => (area + word) % 4096)))].sort((a, b) => a - b);
}

/** The calling vCPU's memory: linear addresses are physical ones, and what a hypercall reads is the address of an area. */
function naming(area: number): LinearMemory {
  return {
    read: (_, length) => Uint8Array.from({ length }, (_byte, at) => Math.floor(area / 2 ** (8 * at))), write: () => true, translate: (gva) => gpaOf(Number(gva)),
  };
}

/** A hypercall that registers an area. */
function* register(domain: XenDomain, area: number): Access<void> {
  const result = (yield* $(domain.hypercall(0, __HYPERVISOR_vcpu_op, [BigInt(VCPUOP_register_runstate_memory_area), 0n, 0n], naming(area)) as unknown)) as bigint;
  if (result !== 0n) throw new Error(`the run state area was refused: ${result}`);
}

/** The domain as a thread has it, with a clock that stands where it is put. */
function domainOf(setting: Setting): { readonly domain: XenDomain; nowNs: number } {
  const host = setting.attach();
  const parts = { nowNs: 0 };
  const domain = new setting.modules.XenDomain({
    host, guest: setting.guestOf(host), vcpuCount: 1, clock: { nowNs: () => parts.nowNs }, kick: () => undefined, ringDevice: () => undefined,
  });
  return Object.assign(parts, { domain });
}

function prepare(area: number): (setting: Setting) => void {
  return (setting) => {
    const { domain } = domainOf(setting);
    $now(domain.initialise({ consoleGfn: gfnOf(12), xenstoreGfn: gfnOf(13), memoryPages: 16, highestGfn: gfnOf(15), wallClockMs: 0 }));
    $now(domain.hypercall(0, __HYPERVISOR_vm_assist, [0n, BigInt(VMASST_TYPE_runstate_update_flag)], naming(area)));
    $now(register(domain, area));
  };
}

/** The vCPU whose run state it is. */
function writer(setting: Setting): ScenarioThread {
  const parts = domainOf(setting);
  return {
    name: "writer",
    *run() {
      for (const [now, state] of CHANGES) {
        parts.nowNs = now;
        yield* $(parts.domain.setRunstate(0, state) as unknown);
      }
    },
  };
}

/** What a reader found. */
interface Found {
  readonly state: number;
  readonly entry: number;
  readonly times: readonly number[];
}

/** What is wrong with an area that was read whole (I10, I11). */
function fault({ state, entry, times }: Found): string | undefined {
  const sum = times.reduce((total, time) => total + time, 0);
  if (sum !== entry) return `I11: run state times ${times.join(" + ")}, the entry time is ${entry}`;
  return STATE_AT.get(entry) === state ? undefined : `I10: run state ${state} at entry time ${entry}`;
}

/** The entry time, read whole by its halves as Linux' get64 does where it has no access of 64 bits; undefined = it is being changed. */
function* entryTime(at: (word: number) => Access<number>): Access<number | undefined> {
  const upper = yield* at(ENTRY + 4);
  const lower = yield* at(ENTRY);
  return upper === 0 && (yield* at(ENTRY + 4)) === 0 ? lower : undefined;
}

/** Guest code on another vCPU. Within one stay in guest mode, so that the area does not move while it reads. */
function reader(setting: Setting, vcpu: ModelVcpu): ScenarioThread {
  const { modules, world } = setting;
  const host = setting.attach();
  const read = function* (pfn: number, offset: number): Access<number> {
    return yield { kind: "plain-load", cell: world.map.cellOf(pfn * 1024 + offset / 4), volatile: true };
  };
  const readArea = function* (first: number, second: number): Access<Found | undefined> {
    const at = (word: number): Access<number> => {
      const place = (CROSSING + word) % 4096;
      return read(word < TIME ? first : second, place);
    };
    const before = yield* entryTime(at);
    const state = yield* at(STATE);
    const times = [yield* at(TIMES[0]!), yield* at(TIMES[1]!)];
    const isSame = before !== undefined && before === (yield* entryTime(at));
    return isSame ? { state, entry: before, times } : undefined;
  };
  return {
    name: "guest",
    *run() {
      if ((yield* $(modules.enterGuestMode(vcpu as never))) !== true) return;
      const [first, second] = [yield* walk(host, FIRST), yield* walk(host, SECOND)];
      const found = first === undefined || second === undefined ? undefined : yield* readArea(first, second);
      yield* $(modules.leaveGuestMode(vcpu as never));
      const says = found && fault(found);
      yield { kind: "claim", holds: says === undefined, says: says ?? "" };
    },
  };
}

/** When all have ended the area shows the last change (I10). */
function endFault(setting: Setting, area: number): (view: ModelView) => string | undefined {
  const { map } = setting.world;
  return (view) => {
    const memory = new MemoryWords(map, view);
    const word = (offset: number): number => {
      const entry = memory.entryAt(Math.floor((area + offset) / 4096)) ?? 0;
      return memory.word((entry >>> 12) * 1024 + ((area + offset) % 4096) / 4);
    };
    const found = { state: word(STATE), entry: word(ENTRY), times: TIMES.map(word) };
    const isLast = word(ENTRY + 4) === 0 && found.entry === CHANGES.at(-1)![0];
    return isLast ? fault(found) : `I10: at the end the entry time is 0x${word(ENTRY + 4).toString(16)}:${found.entry}`;
  };
}

function crossing(threads: (setting: Setting, vcpu: ModelVcpu) => readonly ScenarioThread[]): Omit<ShippedScenario, "name" | "says"> {
  return {
    contents: contentsOf(CROSSING), pages: [FIRST, SECOND], prepare: prepare(CROSSING),
    make: (setting): ScenarioParts => ({ threads: threads(setting, new ModelVcpu(setting)), atEnd: endFault(setting, CROSSING) }),
  };
}

function secondPageMover(setting: Setting, vcpu: ModelVcpu): ScenarioThread {
  return mover(setting, "mover", [SECOND], (host) => wireFlush(setting, host, vcpu));
}

/** Another vCPU registers the area somewhere else in its page. */
function registrar(setting: Setting): ScenarioThread {
  const { domain } = domainOf(setting);
  return threadOf("registrar", () => register(domain, ELSEWHERE));
}

/** What scenarios of run states there are. */
export const RUNSTATE_SCENARIOS: readonly ShippedScenario[] = [
  {
    name: "shipped-runstate-and-reader", says: "a run state over two pages is written twice while another vCPU's guest reads it",
    ...crossing((setting, vcpu) => [writer(setting), reader(setting, vcpu)]),
  },
  {
    name: "shipped-runstate-and-move", says: "a run state over two pages is written twice while its second page moves and another vCPU's guest reads it",
    ...crossing((setting, vcpu) => [writer(setting), reader(setting, vcpu), secondPageMover(setting, vcpu)]),
  },
  {
    name: "shipped-runstate-and-registration", says: "a run state is written twice while its area is registered elsewhere in its page",
    contents: contentsOf(INSIDE, ELSEWHERE), pages: [FIRST], prepare: prepare(INSIDE),
    make: (setting) => ({ threads: [writer(setting), registrar(setting)], atEnd: endFault(setting, ELSEWHERE) }),
  },
];
