/** The library's one class: a virtual machine. */
import type { ReadableStream } from "node:stream/web";
import { WritableStream } from "node:stream/web";
import { CONSOLE_AGENT, CONSOLE_SHELL } from "../abi/channels.js";
import { collectGarbageSoon, type SwapFile } from "../platform/node/index.js";
import { AgentJob, GuestAgent } from "./agent.js";
import { consoleInput } from "./console-input.js";
import { type KeptCode, type LoadedCore, loadCore } from "./kept-code.js";
import { ExecTimeoutError, NoAgentError } from "./errors.js";
import { errorForExit, exitFromOutcome, type GuestExit } from "./guest-exit.js";
import type { ExecOptions, GuestProcess } from "./guest-process.js";
import type { DebugTarget } from "./gdb/debug-target.js";
import { GdbServer } from "./gdb/gdb-server.js";
import { runMonitorCommand } from "./gdb/monitor-commands.js";
import { cacheOf, type GuestSource, prepareGuest } from "./guest-source.js";
import { InputChannel } from "./input-channel.js";
import { LogTail } from "./log-tail.js";
import { VirtualMachineMemory } from "./memory/index.js";
import { TIER_DEFAULT } from "../cpu/index.js";
import { checkOptions, MEMORY_BYTES_DEFAULT, PERSONALITY_DEFAULT, type VirtualMachineOptions } from "./options.js";
import { type ProfiledKernel, type SpeedscopeFile, speedscopeFile, type VcpuSamples } from "./profile/index.js";
import { PushedStream } from "./pushed-stream.js";
import { type MachineEnd, RunningMachine } from "./running-machine.js";
import type { MachineStats } from "./stats.js";
import { openSwap } from "./swap.js";
import type { VcpuReport } from "./vcpu-report.js";

/** Console output kept for a first reader of `console.readable`. */
const CONSOLE_KEPT_BYTES = 0x1_0000;
const SHUTDOWN_TIMEOUT_MS = 10_000;

/** The guest's console, hvc0: what the guest writes (to its debug port, too), and what is typed. */
export interface GuestConsole {
  /** While it has a reader, the guest waits when the reader is 8 MiB behind; before that, the last 64 KiB are kept. */
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
}

/** Options of a shutdown. */
export interface ShutdownOptions {
  /** How long the guest may take to power itself off before it is stopped. Default 10 s. */
  readonly timeoutMs?: number;
  /** Stops the guest at once. */
  readonly signal?: AbortSignal;
}

/**
 * A virtual machine that runs in worker threads of this process.
 *
 *     await using vm = await VirtualMachine.create();
 *     const { stdout } = await vm.exec("uname -a");
 */
export class VirtualMachine implements AsyncDisposable {
  /** The guest's console. */
  readonly console: GuestConsole;
  /** The guest's memory, to be seen and steered while the guest runs. */
  readonly memory: VirtualMachineMemory;
  /** What gdb is to be given for `target remote`; undefined = it cannot connect. */
  readonly gdbAddress: string | undefined;
  /** How the guest ended; never rejects. */
  readonly ended: Promise<GuestExit>;
  readonly #options: VirtualMachineOptions;
  readonly #hasAgent: boolean;
  readonly #agent: GuestAgent;
  readonly #log = new LogTail();
  readonly #consoleOutput: PushedStream;
  readonly #consoleInput: InputChannel;
  readonly #agentInput: InputChannel;
  #gdb: GdbServer | undefined;
  #machine: RunningMachine | undefined;
  readonly #profiled: ProfiledKernel | undefined;
  #samples: readonly (VcpuSamples | undefined)[] | undefined;
  #lastStats: MachineStats | undefined;
  #bootMs: number | undefined;
  #settleEnded!: (exit: GuestExit) => void;
  #settleReady!: { resolve(): void; reject(error: unknown): void };
  readonly #ready = new Promise<void>((resolve, reject) => (this.#settleReady = { resolve, reject }));

  /**
   * Boots a guest. Resolves when its processor begins to run; `ready` and `exec` wait for its init. Throws InvalidOptionError,
   * InputFileError, GuestImageError, SwapFileError or GdbServerError, and the signal's reason.
   */
  static async create(options: VirtualMachineOptions = {}): Promise<VirtualMachine> {
    checkOptions(options);
    options.signal?.throwIfAborted();
    const gdb = options.gdb === undefined ? undefined : await GdbServer.listen(options.gdb);
    try {
      return await VirtualMachine.#boot(options, gdb);
    } catch (error) {
      await gdb?.close();
      throw error;
    }
  }

  static async #boot(options: VirtualMachineOptions, gdb: GdbServer | undefined): Promise<VirtualMachine> {
    const cache = cacheOf(options);
    const core = loadCore(cache);
    // Both at a time; what is wrong with the guest's files is said first.
    core.catch(() => undefined);
    const source = await prepareGuest(options, options.vcpus ?? 1, cache);
    let swap: SwapFile | undefined;
    try {
      options.signal?.throwIfAborted();
      const loaded = await core;
      const kept = cache && { folder: cache.folder, kernel: source.kernelHash ?? "any" };
      swap = openSwap(options);
      return new VirtualMachine(options, { source, core: loaded, kept, swap, gdb });
    } catch (error) {
      swap?.close();
      throw error;
    } finally {
      source.release();
      // The kernel is in guest memory now; what it was unpacked from, and to, is some 70 MiB.
      collectGarbageSoon();
    }
  }

  private constructor(options: VirtualMachineOptions, { source, core, kept, swap, gdb }: VirtualMachineParts) {
    this.#gdb = gdb;
    this.gdbAddress = gdb?.address;
    this.#options = options;
    this.#hasAgent = source.hasAgent;
    this.#profiled = source.profiled;
    this.ended = new Promise((resolve) => (this.#settleEnded = resolve));
    this.#ready.catch(() => undefined);
    this.#consoleOutput = new PushedStream({
      keptUnreadBytes: CONSOLE_KEPT_BYTES,
      onTaken: (lengthBytes) => this.#machine?.acknowledge(CONSOLE_SHELL, lengthBytes),
    });
    this.#agent = new GuestAgent({
      send: (line) => void this.#agentInput.write(new TextEncoder().encode(`${line}\n`)).catch(() => undefined),
      onReady: () => this.#agentReady(),
      acknowledge: (console, lengthBytes) => this.#machine?.acknowledge(console, lengthBytes),
    });
    const machine = new RunningMachine({
      image: source.image, module: core.module, keepCore: core.keep, kept, vcpuCount: options.vcpus ?? 1,
      memoryBytes: options.memoryBytes ?? MEMORY_BYTES_DEFAULT,
      memoryLimitBytes: options.memoryLimitBytes, swap,
      storm: { rate: options.storm ?? 0, seed: options.stormSeed ?? globalThis.crypto.getRandomValues(new Uint32Array(1))[0]! },
      pageAccess: options.pageAccess ?? "revocable",
      personality: options.personality ?? PERSONALITY_DEFAULT,
      tier: options.tier ?? TIER_DEFAULT,
      sampling: source.profiled && { tasks: source.profiled.tasks },
      startsStopped: options.gdbWait === true,
      lockStep: options.lockStep ?? 0,
      events: {
        onOutput: (console, bytes) => this.#takeOutput(console, bytes),
        onInputTaken: (console) => (console === CONSOLE_SHELL ? this.#consoleInput : this.#agentInput).flush(),
        onDebugOutput: (bytes) => {
          this.#takeLog(bytes);
          this.#consoleOutput.pushTaken(bytes);
        },
        onStall: (reason) => options.onStall?.(reason),
        onEnded: (end) => this.#takeEnd(end),
      },
    });
    this.#machine = machine;
    this.memory = new VirtualMachineMemory(machine.memory);
    gdb?.serve(debugTarget(this, machine));
    this.#consoleInput = new InputChannel(machine.inputRing(CONSOLE_SHELL), () => this.#machine?.ringDoorbell());
    this.#agentInput = new InputChannel(machine.inputRing(CONSOLE_AGENT), () => this.#machine?.ringDoorbell());
    this.console = {
      readable: this.#consoleOutput.readable,
      writable: new WritableStream<Uint8Array>({ write: (bytes) => this.#consoleInput.write(consoleInput(bytes, options)) }),
    };
    options.signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  /**
   * Runs `command` by the guest's shell. The result is a promise of exit code and output, and can be read as it comes.
   * Rejects with NoAgentError when the guest is not ours, ExecTimeoutError, the signal's reason, or the error of the guest's end.
   */
  exec(command: string, options: ExecOptions = {}): GuestProcess {
    const job = new AgentJob(command, this.#agent, options.buffer ?? true);
    if (!this.#hasAgent) {
      job.control.failed(new NoAgentError("commands need the default guest's init: leave initrd out"));
      return job.process;
    }
    if (options.signal?.aborted === true) {
      job.control.failed(options.signal.reason);
      return job.process;
    }
    this.#agent.submit(job);
    this.#limitJob(job, options);
    return job.process;
  }

  /** Resolves when the default guest's init takes commands. Rejects when the guest ends before, or is not ours. */
  async ready(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    if (!this.#hasAgent) throw new NoAgentError("only the default guest's init says that it is ready");
    await abortable(this.#ready, options.signal);
  }

  /** Tells the default guest the size of the terminal behind its console. */
  resize(rows: number, columns: number): void {
    this.#agent.resize(rows, columns);
  }

  /** A snapshot of the VM's counters; the last one once it has ended. */
  stats(): MachineStats {
    if (this.#machine !== undefined) this.#lastStats = { ...this.#machine.stats(), bootMs: this.#bootMs };
    return this.#lastStats!;
  }

  /** Where each vCPU is and what it is asked to do; empty once the VM has ended. */
  vcpus(): readonly VcpuReport[] {
    return this.#machine?.vcpus() ?? [];
  }

  /**
   * What the guest has executed, as speedscope reads it: samples of instructions, by privilege, task and function, a profile for each vCPU. There once
   * the VM has ended, however it did; undefined before that, and where options.profile was not asked for.
   */
  profile(): SpeedscopeFile | undefined {
    if (this.#profiled === undefined || this.#samples === undefined) return undefined;
    return speedscopeFile(this.#samples, this.#profiled);
  }

  /** The last part (up to 64 KiB) of what the guest wrote to its console. */
  log(): string {
    return this.#log.text();
  }

  /** Holds the guest's processor. Resolves when it stands still. Its clock goes on. */
  async pause(): Promise<void> {
    await this.#machine?.pause();
  }

  /** Lets a paused guest go on. */
  resume(): void {
    this.#machine?.resume();
  }

  /**
   * Lets the guest power itself off, through our init or else by Xen's control/shutdown, and stops it when it has not done so
   * in time. Resolves with how it ended.
   */
  async shutdown(options: ShutdownOptions = {}): Promise<GuestExit> {
    const stop = (): void => this.#machine?.stop();
    options.signal?.addEventListener("abort", stop, { once: true });
    const timer = setTimeout(stop, options.timeoutMs ?? SHUTDOWN_TIMEOUT_MS);
    if (options.signal?.aborted === true) stop();
    else if (this.#agent.isReady) this.#agent.powerOff();
    else this.#machine?.requestShutdown();
    const exit = await this.ended;
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", stop);
    return exit;
  }

  /** Stops the guest where it is and waits until all its threads are gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#machine?.stop();
    await this.ended;
  }

  /** As Symbol.asyncDispose, for callers without `await using`. */
  async dispose(): Promise<void> {
    await this[Symbol.asyncDispose]();
  }

  readonly #onAbort = (): void => this.#machine?.stop();

  #limitJob(job: AgentJob, { signal, timeoutMs }: ExecOptions): void {
    const end = (reason: unknown): void => {
      this.#agent.kill(job, reason);
      job.control.failed(reason);
    };
    const onAbort = (): void => end(signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    const timer = timeoutMs === undefined
      ? undefined
      : setTimeout(() => end(new ExecTimeoutError(`the command did not end within ${timeoutMs} ms`)), timeoutMs);
    const forget = (): void => {
      signal?.removeEventListener("abort", onAbort);
      clearTimeout(timer);
    };
    job.process.then(forget, forget);
  }

  #agentReady(): void {
    this.#bootMs = this.#machine!.nowNs() / 1e6;
    this.#settleReady.resolve();
  }

  #takeOutput(console: number, bytes: Uint8Array): void {
    if (console === CONSOLE_SHELL) {
      this.#takeLog(bytes);
      this.#consoleOutput.push(bytes);
      if (this.#log.isPanickedForever) this.#machine?.stop();
    } else if (console === CONSOLE_AGENT) {
      this.#machine?.acknowledge(CONSOLE_AGENT, bytes.length);
      this.#agent.takeLines(bytes);
    } else {
      this.#agent.takeOutput(console, bytes);
    }
  }

  #takeLog(bytes: Uint8Array): void {
    this.#log.push(bytes);
    this.#options.onLog?.(bytes);
  }

  #takeEnd(end: MachineEnd): void {
    const log = this.#log.text();
    const exit: GuestExit = "outcome" in end
      ? exitFromOutcome(end.outcome, log)
      : { reason: "internal-error", log, cause: end.failure };
    this.stats();
    const { memory, debugger: vcpus } = this.#machine!;
    this.#samples = this.#machine!.samples();
    this.#machine = undefined;
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
    const { signal } = this.#options;
    const error: unknown = signal?.aborted === true && exit.reason === "stopped" ? signal.reason : errorForExit(exit);
    this.#agent.fail(error);
    memory.fail(error);
    vcpus.fail(error);
    this.#consoleInput.fail(error);
    this.#agentInput.fail(error);
    this.#consoleOutput.close();
    this.#settleReady.reject(error);
    void this.#endDebugging(exit);
  }

  /** A client of the debugger is told before the VM counts as ended, so that nothing of it is left then. */
  async #endDebugging(exit: GuestExit): Promise<void> {
    const gdb = this.#gdb;
    // What it holds of the machine goes with it.
    this.#gdb = undefined;
    await gdb?.end(exit);
    collectGarbageSoon();
    this.#settleEnded(exit);
  }
}

/** What a VM is made from besides its options. */
interface VirtualMachineParts {
  readonly source: GuestSource;
  readonly core: LoadedCore;
  readonly kept: KeptCode | undefined;
  readonly swap: SwapFile | undefined;
  readonly gdb: GdbServer | undefined;
}

/** The VM as a debugger has it. */
function debugTarget(vm: VirtualMachine, machine: RunningMachine): DebugTarget {
  return {
    debugger: machine.debugger,
    describe: (vcpu) => `vCPU ${vcpu}: ${vm.vcpus()[vcpu]?.mode ?? "gone"}`,
    monitor: async (line, vcpu) => await runMonitorCommand({ debugger: machine.debugger, vm }, line, vcpu),
    kill: () => machine.stop(),
  };
}

/** `promise`, or a rejection with the signal's reason if that comes first. */
async function abortable<Value>(promise: Promise<Value>, signal: AbortSignal | undefined): Promise<Value> {
  if (signal === undefined) return await promise;
  signal.throwIfAborted();
  let onAbort: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort!);
  }
}
