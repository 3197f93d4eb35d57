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
import { mover } from "./actors.js";
import { $, $now } from "./instrument/runtime.js";
import type { Access } from "./instrument/runtime.js";
import type { ScenarioParts, Setting, ShippedScenario } from "./setting.js";
import { ModelVcpu, walk, wireFlush } from "./vcpu.js";

const FIRST = gfnOf(5);
const SECOND = gfnOf(6);
/** The area's state and entry time are the last bytes of the first page, its times are in the second. */
const IN_FIRST = vcpu_runstate_info.time;
const AREA = SECOND * 4096 - IN_FIRST;
const STATE = 4096 - IN_FIRST + vcpu_runstate_info.state;
const ENTRY = 4096 - IN_FIRST + vcpu_runstate_info.state_entry_time;
const TIMES = [RUNSTATE_running, RUNSTATE_blocked].map((state) => 8 * state);
const CONTENTS = [...TIMES, STATE, ENTRY, ENTRY + 4];
/** The top bit of the entry time, in its upper half. */
const UPDATE = 2 ** 31;
/** When the state changes, and what to. */
const CHANGES = [[5, RUNSTATE_blocked], [9, RUNSTATE_running]] as const;
const STATE_AT = new Map<number, number>([[0, RUNSTATE_running], ...CHANGES]);

const LINEAR: LinearMemory = {
  read: (_, length) => Uint8Array.from({ length }, (_byte, at) => Math.floor(AREA / 2 ** (8 * at))),
  write: () => true, translate: (gva) => gpaOf(Number(gva)),
};

/** The domain as a thread has it, with a clock that stands where it is put. */
function domainOf(setting: Setting): { readonly domain: XenDomain; nowNs: number } {
  const host = setting.attach();
  const parts = { nowNs: 0 };
  const domain = new setting.modules.XenDomain({
    host, guest: setting.guestOf(host), vcpuCount: 1, clock: { nowNs: () => parts.nowNs }, kick: () => undefined, ringDevice: () => undefined,
  });
  return Object.assign(parts, { domain });
}

function prepare(setting: Setting): void {
  const { domain } = domainOf(setting);
  $now(domain.initialise({ consoleGfn: gfnOf(12), xenstoreGfn: gfnOf(13), memoryPages: 16, highestGfn: gfnOf(15), wallClockMs: 0 }));
  $now(domain.hypercall(0, __HYPERVISOR_vm_assist, [0n, BigInt(VMASST_TYPE_runstate_update_flag)], LINEAR));
  const result = $now<bigint>(domain.hypercall(0, __HYPERVISOR_vcpu_op, [BigInt(VCPUOP_register_runstate_memory_area), 0n, 0n], LINEAR));
  if (result !== 0n) throw new Error(`the run state area was refused: ${result}`);
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

/** Guest code on another vCPU. Within one stay in guest mode, so that the area does not move while it reads. */
function reader(setting: Setting, vcpu: ModelVcpu): ScenarioThread {
  const { modules, world } = setting;
  const host = setting.attach();
  const read = function* (pfn: number, offset: number): Access<number> {
    return yield { kind: "plain-load", cell: world.map.cellOf(pfn * 1024 + offset / 4), volatile: true };
  };
  const readArea = function* (first: number, second: number): Access<Found | undefined> {
    const upper = yield* read(first, ENTRY + 4);
    const entry = yield* read(first, ENTRY);
    const state = yield* read(first, STATE);
    const times = [yield* read(second, TIMES[0]!), yield* read(second, TIMES[1]!)];
    const isSame = (yield* read(first, ENTRY)) === entry && (yield* read(first, ENTRY + 4)) === 0 && upper < UPDATE;
    return isSame ? { state, entry, times } : undefined;
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
function endFault(setting: Setting): (view: ModelView) => string | undefined {
  const { map } = setting.world;
  const entries = [FIRST, SECOND].map((gfn) => setting.entryCell(gfn));
  return (view) => {
    const [first, second] = entries.map((cell) => view.value(cell) >>> 12) as [number, number];
    const word = (pfn: number, offset: number): number => view.value(map.cellOf(pfn * 1024 + offset / 4));
    const found = { state: word(first, STATE), entry: word(first, ENTRY), times: TIMES.map((offset) => word(second, offset)) };
    const isLast = word(first, ENTRY + 4) === 0 && found.entry === CHANGES.at(-1)![0];
    return isLast ? fault(found) : `I10: at the end the entry time is 0x${word(first, ENTRY + 4).toString(16)}:${found.entry}`;
  };
}

const COMMON = { contents: CONTENTS, pages: [FIRST, SECOND], prepare } as const;

function make(hasMover: boolean, hasReader: boolean): (setting: Setting) => ScenarioParts {
  return (setting) => {
    const vcpu = new ModelVcpu(setting);
    const threads = [writer(setting)];
    if (hasReader) threads.push(reader(setting, vcpu));
    if (hasMover) threads.push(mover(setting, "mover", [SECOND], (host) => wireFlush(setting, host, vcpu)));
    return { threads, atEnd: endFault(setting) };
  };
}

/** What scenarios of run states there are. */
export const RUNSTATE_SCENARIOS: readonly ShippedScenario[] = [
  { ...COMMON, name: "shipped-runstate-and-reader", says: "a run state over two pages is written twice while another vCPU's guest reads it", make: make(false, true) },
  { ...COMMON, name: "shipped-runstate-and-move", says: "a run state over two pages is written twice while its second page moves and another vCPU's guest reads it", make: make(true, true) },
];
