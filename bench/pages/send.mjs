/** Part send: from a back end's send to the pending bit in the guest's memory, while the host moves that memory. */
import { gfnOf, gpaOfGfn } from "../../dist/abi/address.js";
import { __HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, __HYPERVISOR_memory_op } from "../../dist/abi/xen/index.js";
import { RAM_PAGES, structOf, TestDomain } from "../../dist/hypercall/testing/test-domain.js";
import { spreadOf } from "../statistics.mjs";
import { formatNumber, formatSpread, formatTable } from "../table.mjs";
import { PAGE_ACCESSES } from "./page-accesses.mjs";
import { BenchThread } from "./workers.mjs";

const RATES = [0, 1000, 10_000, "max"];
const FORMS = [{ name: "may sleep", isSleepable: true }, { name: "may not", isSleepable: false }];
const SHARED_GFN = 1;
const XENMEM_add_to_physmap = 7;
const STOP = 0;
const KICKS = 1;
const MOVES = 2;

/** @param {import("../rounds.mjs").BenchContext} context */
export async function benchSend({ runs, isSmoke, say }) {
  const durationMs = isSmoke ? 20 : 500;
  /** @type {Record<string, object[]>} */
  const samples = {};
  for (const pageAccess of PAGE_ACCESSES) {
    const cell = await Cell.create(pageAccess);
    await cell.measure({ rate: 0, isSleepable: true, durationMs });
    await cell.measure({ rate: 0, isSleepable: false, durationMs });
    for (let round = 0; round < runs; round++) {
      for (const rate of RATES) {
        for (const { name, isSleepable } of FORMS) {
          say(`event send, ${pageAccess}, ${rate} moves/s, round ${round + 1} of ${runs}`);
          (samples[`${pageAccess}, ${name}, ${rate}`] ??= []).push(await cell.measure({ rate, isSleepable, durationMs }));
        }
      }
    }
    await cell.end();
  }
  return samples;
}

/** A domain with one event channel to its back ends, and three threads. */
class Cell {
  #setup;
  #control = new SharedArrayBuffer(64);
  #threads;

  /** @param {TestDomain} setup @param {string} pageAccess @param {number} port */
  constructor(setup, pageAccess, port) {
    this.#setup = setup;
    const make = (/** @type {string} */ role) => new BenchThread("send-worker.mjs", {
      memory: setup.host.memory, role, pageAccess, control: this.#control, port, sharedGfn: SHARED_GFN, ramPages: RAM_PAGES,
    });
    this.#threads = { sender: make("sender"), mover: make("mover"), vcpu: make("vcpu") };
  }

  /** @param {string} pageAccess */
  static async create(pageAccess) {
    const setup = new TestDomain(1);
    for (let gfn = 0; gfn < RAM_PAGES; gfn++) setup.host.faultIn(gfnOf(gfn), true);
    setup.put(structOf(24, [0, 2, 0x7ff0], [16, 8, SHARED_GFN]));
    if (setup.call(__HYPERVISOR_memory_op, [XENMEM_add_to_physmap, 0x10_0000]) !== 0) throw new Error("expected shared_info to be mapped");
    setup.put(structOf(8, [0, 2, 0x7ff0], [2, 2, 0]));
    if (setup.call(__HYPERVISOR_event_channel_op, [EVTCHNOP_alloc_unbound, 0x10_0000]) !== 0) throw new Error("expected a port");
    const port = setup.answer(8).u32(4);
    if (!setup.domain.bindPort(port)) throw new Error("expected a port that can be bound");
    return new Cell(setup, pageAccess, port);
  }

  /** @param {{ rate: number | string, isSleepable: boolean, durationMs: number }} how */
  async measure({ rate, isSleepable, durationMs }) {
    const words = new Int32Array(this.#control);
    Atomics.store(words, STOP, 0);
    const movesBefore = Atomics.load(words, MOVES);
    const others = [this.#threads.vcpu.ask({}), ...(rate === 0 ? [] : [this.#threads.mover.ask({ rate })])];
    const result = await this.#threads.sender.ask({ durationMs, isSleepable });
    Atomics.store(words, STOP, 1);
    Atomics.notify(words, STOP);
    Atomics.add(words, KICKS, 1);
    Atomics.notify(words, KICKS);
    await Promise.all(others);
    return { ...result, movesPerSecond: (Atomics.load(words, MOVES) - movesBefore) / (durationMs / 1000) };
  }

  async end() {
    await Promise.all(Object.values(this.#threads).map((thread) => thread.end()));
    this.#setup.close();
  }
}

/** @param {Awaited<ReturnType<typeof benchSend>>} samples */
export function formatSend(samples) {
  const rows = Object.entries(samples).map(([key, runs]) => {
    const of = (/** @type {(run: any) => number} */ pick) => spreadOf(runs.map(pick));
    return [
      key, formatSpread(of((run) => run.calls.p50)), formatSpread(of((run) => run.calls.p99)), formatSpread(of((run) => run.visible.p50)),
      formatSpread(of((run) => run.visible.p99)), formatNumber((of((run) => run.deferred / run.sends)?.median ?? NaN) * 100),
      formatNumber(of((run) => run.movesPerSecond)?.median),
    ];
  });
  return formatTable(["event send, by moves/s asked for", "evtchn_send_ns_p50", "evtchn_send_ns_p99", "evtchn_arrive_ns_p50", "evtchn_arrive_ns_p99",
    "deferred %", "moves/s"], rows);
}
