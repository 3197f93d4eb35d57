/** Control words that the machine's threads share (abi/channels.ts). */
import { ACKNOWLEDGED_BASE, CONTROL, MACHINE_BLOCK_BASE, VCPU_COUNTERS_BASE } from "../abi/channels.js";

/** View of the control words; every thread has its own over the same memory. */
export class ControlBlock {
  readonly #words: Int32Array;

  constructor(memory: WebAssembly.Memory) {
    this.#words = new Int32Array(memory.buffer, MACHINE_BLOCK_BASE, VCPU_COUNTERS_BASE / 4);
  }

  /** Tells the device thread to look around. Any thread. Pairs with waitForDoorbell. */
  ringDoorbell(): void {
    Atomics.add(this.#words, CONTROL.deviceDoorbell >> 2, 1);
    Atomics.notify(this.#words, CONTROL.deviceDoorbell >> 2);
  }

  get doorbell(): number {
    return Atomics.load(this.#words, CONTROL.deviceDoorbell >> 2);
  }

  /** Device thread: sleeps until the doorbell is no longer `seen`, read before the work was looked for. */
  waitForDoorbell(seen: number): void {
    Atomics.wait(this.#words, CONTROL.deviceDoorbell >> 2, seen);
  }

  /** Asks the device thread to deliver what is left and to end. */
  stopDevices(): void {
    Atomics.store(this.#words, CONTROL.deviceStop >> 2, 1);
    this.ringDoorbell();
  }

  get devicesStopping(): boolean {
    return Atomics.load(this.#words, CONTROL.deviceStop >> 2) !== 0;
  }

  /** Any thread: the guest's kernel is to power off. */
  requestShutdown(): void {
    Atomics.store(this.#words, CONTROL.shutdownRequest >> 2, 1);
    this.ringDoorbell();
  }

  /** Device thread: whether requestShutdown was called since the last look. */
  takeShutdownRequest(): boolean {
    return Atomics.exchange(this.#words, CONTROL.shutdownRequest >> 2, 0) !== 0;
  }

  /** Main thread, before the start. */
  setOnlineVcpus(count: number): void {
    Atomics.store(this.#words, CONTROL.onlineVcpus >> 2, count);
  }

  /** vCPU thread: one vCPU more is online. */
  vcpuCameOnline(): void {
    Atomics.add(this.#words, CONTROL.onlineVcpus >> 2, 1);
  }

  /** vCPU thread: one vCPU less is online. True when it was the last. */
  vcpuWentOffline(): boolean {
    return Atomics.sub(this.#words, CONTROL.onlineVcpus >> 2, 1) === 1;
  }

  /** Main thread: `lengthBytes` more bytes of console `index` are dealt with. */
  acknowledge(index: number, lengthBytes: number): void {
    Atomics.add(this.#words, (ACKNOWLEDGED_BASE >> 2) + index, lengthBytes);
  }

  /** Free-running u32 count of the bytes of console `index` that the main thread has dealt with. */
  acknowledged(index: number): number {
    return Atomics.load(this.#words, (ACKNOWLEDGED_BASE >> 2) + index) >>> 0;
  }
}
