import assert from "node:assert/strict";
import { test } from "node:test";
import { atomicStore } from "#sync";
import {
  DEBUG_STOP_STEP, FRAMES_BASE, REQUEST_CODE_INVALIDATE, REQUEST_DEBUG_MESSAGE, REQUEST_DEBUG_STOP, REQUEST_TLB_FLUSH, VCPU, WATCH_WRITE,
} from "../../abi/layout.js";
import { VcpuState } from "../../cpu/index.js";
import { makeAllVcpusRequest } from "../../exit/index.js";
import { createTestMemory } from "../../exit/test-memory.raw.js";
import type { DebugRequest } from "./messages.js";
import { VcpuDebugger } from "./vcpu-debugger.js";

const NOTHING = { breakpoints: [], watchpoints: [] };
const FLUSHES = REQUEST_CODE_INVALIDATE | REQUEST_TLB_FLUSH;

/** A vCPU of which the test knows when its words are looked for. */
class WatchedState extends VcpuState {
  onLook: (() => void) | undefined;

  override wordIndex(offset: number): number {
    if (offset === VCPU.request) this.onLook?.();
    return super.wordIndex(offset);
  }
}

function makeDebugger(): { vcpus: WatchedState[]; debug: VcpuDebugger; sent: [number, DebugRequest][] } {
  const memory = createTestMemory(FRAMES_BASE);
  const vcpus = [0, 1].map((index) => new WatchedState(memory, index));
  const sent: [number, DebugRequest][] = [];
  return { vcpus, sent, debug: new VcpuDebugger({ memory, vcpus, send: (vcpu, request) => void sent.push([vcpu, request]) }) };
}

function stand(vcpu: VcpuState, isAtGate: boolean): void {
  atomicStore(vcpu.words, vcpu.wordIndex(VCPU.atGate), isAtGate ? 1 : 0);
}

test("all are stopped when each has the bit and is at the gate, whoever comes last", async () => {
  const { vcpus, debug } = makeDebugger();
  debug.requestStop();
  let isStopped = false;
  const stopped = debug.stopped().then(() => (isStopped = true));
  stand(vcpus[1]!, true);
  debug.look();
  await Promise.resolve();
  assert.equal(isStopped, false);
  stand(vcpus[0]!, true);
  debug.look();
  await stopped;
  await debug.stopped();
});

test("a vCPU that hits something before all others are let go stops them too", () => {
  const { vcpus, debug } = makeDebugger();
  debug.requestStop();
  for (const vcpu of vcpus) stand(vcpu, true);
  vcpus[1]!.onLook = () => {
    // vCPU 1 is about to be let go; vCPU 0 has been, and its step is done.
    vcpus[1]!.onLook = undefined;
    assert.equal(vcpus[0]!.requests & REQUEST_DEBUG_STOP, 0);
    vcpus[0]!.debugStop = DEBUG_STOP_STEP;
    makeAllVcpusRequest(vcpus, REQUEST_DEBUG_STOP);
  };
  debug.resume(["step", "continue"], NOTHING);
  assert.deepEqual(vcpus.map(({ requests }) => requests & REQUEST_DEBUG_STOP), [REQUEST_DEBUG_STOP, REQUEST_DEBUG_STOP]);
  assert.deepEqual(debug.events().map(({ vcpu, kind }) => [vcpu, kind]), [[0, DEBUG_STOP_STEP]]);
});

test("only those that are to go on are let go, and only those that are to step do", () => {
  const { vcpus, debug } = makeDebugger();
  debug.requestStop();
  debug.resume(["stay", "step"], NOTHING);
  assert.deepEqual(vcpus.map(({ requests, isStepping }) => [requests & REQUEST_DEBUG_STOP, isStepping]), [[REQUEST_DEBUG_STOP, false], [0, true]]);
  debug.resume(["continue", "continue"], NOTHING);
  assert.deepEqual(vcpus.map(({ requests, isStepping }) => [requests & REQUEST_DEBUG_STOP, isStepping]), [[0, false], [0, false]]);
});

test("code is decoded anew when breakpoints change and somebody runs, translations go when watchpoints change", () => {
  const { vcpus, debug } = makeDebugger();
  const flushes = (): number[] => vcpus.map((vcpu) => vcpu.takeRequests(FLUSHES));
  debug.resume(["continue", "continue"], NOTHING);
  assert.deepEqual(flushes(), [0, 0]);
  debug.resume(["continue", "stay"], { breakpoints: [1n, 2n], watchpoints: [] });
  assert.deepEqual(flushes(), [REQUEST_CODE_INVALIDATE, REQUEST_CODE_INVALIDATE]);
  debug.resume(["step", "stay"], NOTHING);
  assert.deepEqual(flushes(), [0, 0], "a step over a breakpoint");
  debug.resume(["continue", "continue"], { breakpoints: [2n, 1n], watchpoints: [] });
  assert.deepEqual(flushes(), [0, 0], "they are what they were");
  debug.resume(["step", "stay"], { breakpoints: [], watchpoints: [{ address: 8n, lengthBytes: 4, kind: WATCH_WRITE }] });
  assert.deepEqual(flushes(), [REQUEST_TLB_FLUSH, REQUEST_TLB_FLUSH]);
  debug.resume(["continue", "continue"], NOTHING);
  assert.deepEqual(flushes(), [FLUSHES, FLUSHES]);
});

test("answers find their questions, and the end of the VM ends all of them", async () => {
  const { vcpus, debug, sent } = makeDebugger();
  const first = debug.ask(1, { name: "translate", address: 1n });
  const second = debug.ask(1, { name: "read-registers" });
  assert.notEqual(vcpus[1]!.requests & REQUEST_DEBUG_MESSAGE, 0);
  assert.deepEqual(sent.map(([vcpu, { command }]) => [vcpu, command.name]), [[1, "translate"], [1, "read-registers"]]);
  debug.take(sent[1]![1].id, new Uint8Array(3));
  debug.take(sent[0]![1].id, 7);
  assert.deepEqual([await first, (await second).length], [7, 3]);
  const waiting = [debug.ask(0, { name: "read-registers" }), debug.stopped()];
  debug.fail(new Error("the guest has ended"));
  for (const one of [...waiting, debug.stopped(), debug.ask(0, { name: "read-registers" })]) await assert.rejects(one, { message: "the guest has ended" });
  const { requests } = vcpus[0]!;
  debug.requestStop();
  assert.equal(vcpus[0]!.requests, requests, "the memory is not entered any more");
});
