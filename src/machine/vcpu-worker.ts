/** Thread of one vCPU: the core, the run loop, and this thread's handles on the shared parts. */
import { REQUEST_CODE_INVALIDATE, REQUEST_DEBUG_MESSAGE, REQUEST_DEBUG_STOP, REQUEST_EVENT } from "../abi/layout.js";
import { createCore, type Translation, type TranslatorOptions, translatorOptions, VcpuState } from "../cpu/index.js";
import { type ApicSignals, LocalApic } from "../device/index.js";
import {
  createLinearMemory, type MachineCalls, makeAllVcpusRequest, runVcpu, VcpuCounters, type VcpuOutcome,
} from "../exit/index.js";
import { GuestMemory } from "../guest-page/index.js";
import { collectGarbage, createRunDelayMeter, monotonicNs, postToOwner, receiveFromOwner, receiveFromPipe, takeNativeCode, threadData } from "../platform/node/index.js";
import { findApicFrame } from "./apic-access.js";
import { ControlBlock } from "./control-block.raw.js";
import { runDebugCommand, type DebugParts } from "./gdb/debug-commands.js";
import type { DebugRequest } from "./gdb/messages.js";
import type { VcpuMessage, VcpuThreadStart } from "./messages.js";
import { VcpuSampler } from "./profile/sampler.js";
import { createVcpuPersonality, endOfInterrupt } from "./personality.js";
import { attachHost } from "./thread-host.js";

const DEBUG_LINE_MAX = 256;
/** Behind so many instructions V8 has optimised what of the core is hot. */
const INSTRUCTIONS_FOR_CODE = 200e6;
const NEW_LINE = 10;

/** Collects what the guest writes to its debug port, a line a message. */
class DebugPort {
  #line: number[] = [];

  put(byte: number): void {
    this.#line.push(byte);
    if (byte === NEW_LINE || this.#line.length >= DEBUG_LINE_MAX) this.flush();
  }

  flush(): void {
    if (this.#line.length > 0) post({ type: "debug", bytes: Uint8Array.from(this.#line) });
    this.#line = [];
  }
}

function post(message: VcpuMessage): void {
  postToOwner(message);
}

/** What IPIs do, and EOIs of levels. NMIs are not delivered: Linux sends them only to print other CPUs' stacks, and gives up after a while. */
function ipiSignals(vcpus: readonly VcpuState[], ended: (vector: number) => void): ApicSignals {
  return {
    ended,
    kick: (target) => vcpus[target]!.postRequest(REQUEST_EVENT),
    init: (target) => vcpus[target]!.sendInit(),
    startup: (target, page) => vcpus[target]!.sendStartup(page),
    nmi: () => {},
  };
}

/** Translations are made by a thread for all vCPUs; this is this vCPU's end of the pipe to it. */
function createTranslator({ tier, translations }: VcpuThreadStart): TranslatorOptions | undefined {
  if (translations === undefined) return undefined;
  return translatorOptions(tier, {
    submit: (job) => translations.postMessage(job),
    receive: () => receiveFromPipe<Translation>(translations),
  }, collectGarbage);
}

/** Carries out what the debugger has sent. The bit is taken first: a message that comes meanwhile sets it anew. */
function serveDebugger(parts: DebugParts): void {
  if (parts.state.takeRequests(REQUEST_DEBUG_MESSAGE) === 0) return;
  for (let request = receiveFromOwner<DebugRequest>(); request !== undefined; request = receiveFromOwner<DebugRequest>()) {
    post({ type: "debug-answer", id: request.id, result: runDebugCommand(parts, request.command) });
  }
}

function run(start: VcpuThreadStart): VcpuOutcome {
  const { memory, module, vcpuIndex: index, vcpuCount, originNs, personality } = start;
  const nowNs = (): number => monotonicNs() - originNs;
  const vcpus = Array.from({ length: vcpuCount }, (_, n) => new VcpuState(memory, n));
  const others = vcpus.filter((vcpu) => vcpu.index !== index);
  const host = attachHost(start, vcpus);
  const core = createCore({ module, memory, vcpuIndex: index, timestamp: nowNs, translator: createTranslator(start) });
  const guest = new GuestMemory(host, {
    pageAccess: start.pageAccess,
    onCodeWrite: (gfn) => {
      core.invalidateCode(gfn);
      makeAllVcpusRequest(others, REQUEST_CODE_INVALIDATE);
    },
  });
  const control = new ControlBlock(memory);
  const debugPort = new DebugPort();
  const machine: MachineCalls = {
    faultIn: (gfn, write) => host.faultIn(gfn, write),
    findApicFrame: () => findApicFrame(host),
    nowNs,
    wentOffline: () => control.vcpuWentOffline(),
    cameOnline: () => control.vcpuCameOnline(),
    paused: () => post({ type: "paused" }),
    stopForDebugger: () => void makeAllVcpusRequest(vcpus, REQUEST_DEBUG_STOP),
    serveDebugger: () => serveDebugger({ state, core, linear, memory: guest }),
    debugByte: (byte) => debugPort.put(byte),
  };
  const guestParts = {
    host, guest, vcpuCount,
    clock: { nowNs },
    kick: (target: number) => vcpus[target]!.postRequest(REQUEST_EVENT),
    ringDevice: () => control.ringDoorbell(),
  };
  const signals = ipiSignals(vcpus, endOfInterrupt(personality, guestParts));
  const apic = new LocalApic(memory, index, { clock: { nowNs }, vcpuCount, signals });
  const state = vcpus[index]!;
  const linear = createLinearMemory({ core, state, memory: guest, machine });
  const sampler = start.sampling && new VcpuSampler({ state, linear, tasks: start.sampling.tasks, random: Math.random });
  const outcome = runVcpu({
    index, vcpuCount, core, state, machine, apic,
    ...createVcpuPersonality(personality, guestParts, { apic, flushTlb: () => core.flushTlb(), runDelayNs: createRunDelayMeter() }),
    memory: guest,
    linear, sampler,
    counters: new VcpuCounters(memory, index),
  });
  debugPort.flush();
  if (start.wantsCode && state.instructionsRetired > INSTRUCTIONS_FOR_CODE) {
    const code = takeNativeCode(module, core.entry, true);
    if (code !== undefined) post({ type: "code", code });
  }
  if (sampler !== undefined) post({ type: "samples", vcpuIndex: index, samples: sampler.result() });
  return outcome;
}

post({ type: "ended", outcome: run(threadData<VcpuThreadStart>()) });
