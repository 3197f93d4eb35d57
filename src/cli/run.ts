/** `unpinned run`: from arguments to exit status. */
import { VirtualMachine, type VirtualMachineOptions } from "../machine/index.js";
import { ClosedOutputError, onEndingSignal, writeOutput } from "../platform/node/index.js";
import type { RunArguments } from "./arguments.js";
import { SignalError, TimeoutError } from "./errors.js";
import { runExec } from "./exec-mode.js";
import { statusOfError } from "./exit-status.js";
import { runInteractive } from "./interactive-mode.js";
import type { RunMode } from "./modes.js";
import { runPiped } from "./piped-mode.js";
import { RunProfile } from "./profile-arguments.js";
import { ProgressLine } from "./progress-line.js";
import { RunControl } from "./run-control.js";
import { errorLines, reportRun } from "./report.js";

/** Boots and runs the guest, prints what there is to say at the end, and resolves with the exit status. Never throws. */
export async function run(args: RunArguments): Promise<number> {
  const limits = new RunLimits(args.timeoutMs);
  const progress = new ProgressLine();
  const control = new RunControl(args.control);
  const profile = new RunProfile(args.profileFile);
  let vm: VirtualMachine | undefined;
  const boot = async (options: VirtualMachineOptions): Promise<VirtualMachine> => {
    const { onLog } = options;
    await profile.prepare();
    await control.listen();
    vm = await VirtualMachine.create({
      ...machineOptions(args), ...options, signal: limits.signal,
      onProgress: (step) => progress.show(step),
      onLog: (bytes) => {
        progress.clear();
        onLog?.(bytes);
      },
      onStall: (reason) => void say("stderr", stallLine(reason)),
    });
    control.serve(vm);
    if (vm.gdbAddress !== undefined) {
      progress.clear();
      await say("stderr", gdbLine(vm.gdbAddress, args.gdbWait === true));
    }
    progress.show(args.gdbWait === true ? "waiting for gdb" : "booting Linux");
    vm.ready().then(() => progress.clear(), () => undefined);
    return vm;
  };
  let status: number;
  let failure: unknown;
  try {
    status = await chooseMode(args)({ args, signal: limits.signal, boot });
  } catch (error) {
    failure = limits.signal.aborted ? limits.signal.reason : error;
    status = statusOfError(failure);
  }
  await vm?.dispose();
  try {
    await profile.finish(vm);
  } catch (error) {
    failure ??= error;
    status = status === 0 ? statusOfError(error) : status;
  }
  await control.close();
  progress.clear();
  limits.close();
  // Who closed our output wants to hear no more; other programs end without a word, too.
  if (failure !== undefined && !(failure instanceof ClosedOutputError)) await say("stderr", `${errorLines(failure).join("\n")}\n`);
  if (args.json) await say("stdout", `${JSON.stringify(reportRun(status, vm?.stats(), failure))}\n`);
  return status;
}

function chooseMode(args: RunArguments): RunMode {
  if (args.exec !== undefined) return runExec;
  return process.stdin.isTTY ? runInteractive : runPiped;
}

/** The options that go to the machine as they are. */
function machineOptions({ exec: _exec, timeoutMs: _timeoutMs, control: _control, profileFile: _profileFile, json: _json, ...options }: RunArguments): VirtualMachineOptions {
  return options;
}

/** How gdb is told to connect. */
function gdbLine(address: string, isWaiting: boolean): string {
  return `unpinned: in gdb: target remote ${address}${isWaiting ? ", then continue" : ""}${process.stdin.isRaw ? "\r" : ""}\n`;
}

/** What the operator reads when the guest stands still for want of memory, and when it goes on. */
function stallLine(reason: string | undefined): string {
  const says = reason === undefined ? "the guest goes on" : `the guest waits: ${reason}; it goes on when that is over`;
  // A terminal in raw mode needs the carriage return.
  return `unpinned: ${says}${process.stdin.isRaw ? "\r" : ""}\n`;
}

/** --timeout and signals, as one abort signal. */
class RunLimits {
  readonly #abort = new AbortController();
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #stopListening: () => void;

  constructor(timeoutMs: number | undefined) {
    if (timeoutMs !== undefined) {
      const error = new TimeoutError(`not done within ${timeoutMs / 1000} s`);
      this.#timer = setTimeout(() => this.#abort.abort(error), timeoutMs);
    }
    this.#stopListening = onEndingSignal((name) => this.#abort.abort(new SignalError(name)));
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#stopListening();
  }
}

/** Says it if anybody listens. */
async function say(target: "stdout" | "stderr", text: string): Promise<void> {
  await writeOutput(target, text).catch(() => undefined);
}
