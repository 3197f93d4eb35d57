/**
 * Thread of the device back ends: consoles and xenstore. Sleeps until its doorbell rings; carries bytes between the guest's rings
 * and the main thread, and takes no more from the guest than the main thread keeps up with.
 */
import { CONSOLE_AGENT, CONSOLE_COUNT, INPUT_RING_COUNT, OUTPUT_WINDOW } from "../abi/channels.js";
import { REQUEST_EVENT } from "../abi/layout.js";
import { VcpuState } from "../cpu/index.js";
import { GuestMemory } from "../guest-page/index.js";
import { monotonicNs, postToOwner, threadData } from "../platform/node/index.js";
import { ByteRing } from "./byte-ring.raw.js";
import { ControlBlock } from "./control-block.raw.js";
import type { DeviceMessage, ThreadStart } from "./messages.js";
import { createBackends, type GuestBackends } from "./personality.js";
import { attachHost } from "./thread-host.js";

/** Most bytes offered to a guest's ring at once; the ring itself is smaller. */
const INPUT_CHUNK = 1024;

/** Output of all consoles on its way to the main thread. */
class OutputGate {
  readonly #sentBytes = new Array<number>(CONSOLE_COUNT).fill(0);
  #agentChunks: Uint8Array[] = [];
  /** While set, the window is not looked at. */
  isOpen = false;

  constructor(readonly control: ControlBlock) {}

  /** How many bytes of `console` may be taken from the guest now. */
  space(console: number): number {
    const onTheWay = (this.#sentBytes[console]! - this.control.acknowledged(console)) >>> 0;
    return this.isOpen ? OUTPUT_WINDOW : Math.max(0, OUTPUT_WINDOW - onTheWay);
  }

  take(console: number, bytes: Uint8Array): void {
    this.#sentBytes[console] = (this.#sentBytes[console]! + bytes.length) >>> 0;
    if (console === CONSOLE_AGENT) this.#agentChunks.push(bytes);
    else postOutput(console, bytes);
  }

  get holdsAgentChunks(): boolean {
    return this.#agentChunks.length > 0;
  }

  releaseAgentChunks(): void {
    for (const bytes of this.#agentChunks.splice(0)) postOutput(CONSOLE_AGENT, bytes);
  }
}

function post(message: DeviceMessage, transfer: ArrayBuffer[] = []): void {
  postToOwner(message, transfer);
}

function postOutput(console: number, bytes: Uint8Array): void {
  post({ type: "output", console, bytes }, [bytes.buffer as ArrayBuffer]);
}

/** One look at everything; true = there was something to do. */
function service(backends: GuestBackends, gate: OutputGate, inputs: readonly ByteRing[]): boolean {
  let didWork = backends.service();
  if (gate.holdsAgentChunks) {
    // What commands wrote before the agent's lines is in their rings: take it, whatever the window says.
    gate.isOpen = true;
    backends.service();
    gate.isOpen = false;
    gate.releaseAgentChunks();
    didWork = true;
  }
  for (const [console, ring] of inputs.entries()) didWork = passInput(backends, console, ring) || didWork;
  return didWork;
}

function passInput(backends: GuestBackends, console: number, ring: ByteRing): boolean {
  const bytes = ring.peek(INPUT_CHUNK);
  const taken = backends.pushInput(console, bytes);
  if (taken === 0) return false;
  ring.take(taken);
  post({ type: "input-taken", console });
  return true;
}

function run(start: ThreadStart): void {
  const { memory, originNs, vcpuCount, personality } = start;
  const clock = { nowNs: () => monotonicNs() - originNs };
  const control = new ControlBlock(memory);
  const vcpus = Array.from({ length: vcpuCount }, (_, index) => new VcpuState(memory, index));
  const host = attachHost(start, vcpus);
  const guest = new GuestMemory(host, { pageAccess: start.pageAccess });
  const guestParts = {
    host, guest, vcpuCount, clock,
    kick: (vcpu: number) => vcpus[vcpu]!.postRequest(REQUEST_EVENT),
    ringDevice: () => control.ringDoorbell(),
  };
  const gate = new OutputGate(control);
  const backends = createBackends(personality, guestParts, {
    vcpuCount,
    consoleCount: CONSOLE_COUNT,
    onOutput: (console, bytes) => gate.take(console, bytes),
    outputSpace: (console) => gate.space(console),
  });
  const inputs = Array.from({ length: INPUT_RING_COUNT }, (_, index) => new ByteRing(memory, index));
  while (!control.devicesStopping) {
    const seen = control.doorbell;
    backends.refresh();
    if (control.takeShutdownRequest()) backends.requestPowerOff();
    while (service(backends, gate, inputs)) continue;
    if (!control.devicesStopping) control.waitForDoorbell(seen);
  }
  gate.isOpen = true;
  while (service(backends, gate, inputs)) continue;
}

run(threadData<ThreadStart>());
