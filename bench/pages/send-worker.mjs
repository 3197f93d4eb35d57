/** Threads of benchmark "pages", part send: the sender, the mover, and the vCPU that finishes what a sender could not. */
import { parentPort, workerData } from "node:worker_threads";
import { gfnOf, gpaOfGfn } from "../../dist/abi/address.js";
import { shared_info, vcpu_info } from "../../dist/abi/xen/index.js";
import { GuestMemory } from "../../dist/guest-page/index.js";
import { HostMemory } from "../../dist/host-memory/index.js";
import { XenDomain } from "../../dist/hypercall/xen-domain.js";
import { StormPace } from "../../dist/machine/memory/storm-pace.js";

const { memory, role, pageAccess, control, port, sharedGfn, ramPages } = workerData;
/** Control words: the others' end, kicks of the vCPU, moves made. */
const STOP = 0;
const KICKS = 1;
const MOVES = 2;
const words = new Int32Array(control);
const nowNs = () => performance.now() * 1e6;
/** The sender gives the other threads a processor now and then. */
const PAUSE_EACH = 64;
const PAUSE_MS = 0.2;
const SLEEP_MS = 5;

const host = HostMemory.attach(memory);
host.setClock(nowNs);
const guest = new GuestMemory(host, { pageAccess });
const domain = new XenDomain({
  host, guest, vcpuCount: 1, clock: { nowNs }, ringDevice: () => {},
  kick: () => {
    Atomics.add(words, KICKS, 1);
    Atomics.notify(words, KICKS);
  },
});

/** Sends for `durationMs`; each time until the call is back, and until the guest would see the pending bit. */
function send({ durationMs, isSleepable }) {
  const page = guest.openPage(gpaOfGfn(gfnOf(sharedGfn)), 4096, "test");
  if (page === undefined) throw new Error("expected shared_info");
  const isPending = () => page.access((view) => view.testBit(port, shared_info.evtchn_pending)) === true;
  const acknowledge = () => page.access((view) => {
    view.exchangeU8(shared_info.vcpu_info + vcpu_info.evtchn_upcall_pending, 0);
    view.exchangeU64(shared_info.vcpu_info + vcpu_info.evtchn_pending_sel, 0n);
    view.testAndClearBit(port, shared_info.evtchn_pending);
  });
  const calls = [];
  const visible = [];
  let deferred = 0;
  const end = nowNs() + durationMs * 1e6;
  while (nowNs() < end) {
    const begun = nowNs();
    const isSent = isSleepable ? domain.raisePort(port) : domain.raisePortNoSleep(port);
    const back = nowNs();
    if (!isSent) throw new Error("expected a connected port");
    if (!isPending()) {
      deferred++;
      for (let spin = 0; !isPending(); spin++) if (spin > 200) Atomics.wait(words, STOP, 0, 0.05);
      visible.push(nowNs() - begun);
    } else visible.push(back - begun);
    calls.push(back - begun);
    acknowledge();
    // As the device thread does when it may sleep: so that the next send that may not finds its pages.
    if (!isSleepable) domain.refreshDelivery();
    if (calls.length % PAUSE_EACH === 0) Atomics.wait(words, STOP, 0, PAUSE_MS);
  }
  page.deactivate();
  return { sends: calls.length, deferred, calls: quantiles(calls), visible: quantiles(visible) };
}

/** @param {number[]} values */
function quantiles(values) {
  values.sort((a, b) => a - b);
  return { p50: values[values.length >> 1], p99: values[Math.floor(values.length * 0.99)] };
}

/** Moves the page of shared_info in each batch, and others with it, as many a second as told. */
function move({ rate }) {
  const pace = new StormPace(rate, nowNs());
  let next = 0;
  while (Atomics.load(words, STOP) === 0) {
    const due = pace.due(nowNs());
    if (due > 0) {
      const gfns = [gfnOf(sharedGfn)];
      for (; gfns.length < due; next = (next + 1) % ramPages) if (next !== sharedGfn) gfns.push(gfnOf(next));
      const { moved, pinned } = host.moveFrames(gfns);
      pace.note(moved + pinned);
      Atomics.add(words, MOVES, moved);
    }
    const waitMs = pace.waitNs(nowNs()) / 1e6;
    if (waitMs > 0.02) Atomics.wait(words, STOP, 0, Math.min(waitMs, SLEEP_MS));
  }
  return {};
}

/** What a vCPU owes before it enters guest mode: sleeps until it is kicked, then finishes what is deferred. */
function runVcpu() {
  while (Atomics.load(words, STOP) === 0) {
    const kicks = Atomics.load(words, KICKS);
    domain.upcallPending(0);
    Atomics.wait(words, KICKS, kicks, SLEEP_MS);
  }
  return {};
}

const ROLES = { sender: send, mover: move, vcpu: runVcpu };
parentPort?.on("message", (message) => {
  const answer = ROLES[role](message);
  if (message.isLast) {
    domain.close();
    host.detach();
  }
  parentPort?.postMessage(answer);
});
