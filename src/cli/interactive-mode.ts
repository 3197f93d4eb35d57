/** A terminal on the guest's console. */
import { GuestEndedError, type VirtualMachine } from "../machine/index.js";
import { Terminal, writeOutput } from "../platform/node/index.js";
import { ESCAPE_HELP, type EscapeCommand, EscapeKeys } from "./escape-keys.js";
import { type RunContext, statusAtEnd } from "./modes.js";
import { Monitor } from "./monitor.js";

/** Input that the guest has not taken yet; typing beyond is answered with a bell. */
const UNTAKEN_BYTES_MAX = 0x1_0000;
const BELL = "\x07";

/** Runs until the guest or the operator ends it. */
export async function runInteractive({ args, signal, boot }: RunContext): Promise<number> {
  const { rows, columns } = Terminal.size();
  const vm = await boot({ mode: "shell", shell: { rows, columns }, verbose: args.verbose });
  const session = new ConsoleSession(vm);
  try {
    await session.copyOutput();
    return session.hasQuit ? 0 : await statusAtEnd(vm, signal);
  } finally {
    session.close();
  }
}

/** The terminal, the keys behind Ctrl-A, and the monitor, around one VM. */
class ConsoleSession {
  readonly #vm: VirtualMachine;
  readonly #keys = new EscapeKeys();
  readonly #monitor: Monitor;
  readonly #terminal: Terminal | undefined;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  #isInMonitor = false;
  #untakenBytes = 0;
  #hasQuit = false;

  constructor(vm: VirtualMachine) {
    this.#vm = vm;
    this.#writer = vm.console.writable.getWriter();
    this.#monitor = new Monitor(vm, {
      print: (text) => this.#print(text),
      leave: () => this.#leaveMonitor(),
      quit: () => this.#quit(),
    });
    this.#terminal = Terminal.open({
      onInput: (bytes) => void this.#takeInput(bytes),
      onResize: ({ rows, columns }) => vm.resize(rows, columns),
    });
    void vm.ready().then(() => this.#sendSize(), () => undefined);
  }

  /** True when the operator ended the guest. */
  get hasQuit(): boolean {
    return this.#hasQuit;
  }

  async copyOutput(): Promise<void> {
    for await (const bytes of this.#vm.console.readable) {
      this.#terminal?.noteOutput(bytes);
      await writeOutput("stdout", bytes);
    }
  }

  close(): void {
    this.#terminal?.close();
  }

  async #takeInput(input: Uint8Array): Promise<void> {
    for (const event of this.#keys.split(input)) {
      if ("command" in event) this.#obey(event.command);
      else if (this.#isInMonitor) await this.#monitor.type(event.bytes);
      else this.#send(event.bytes);
    }
  }

  #obey(command: EscapeCommand): void {
    if (command === "quit") this.#quit();
    else if (command === "help") this.#print(`\n${ESCAPE_HELP.join("\n")}\n`);
    else if (this.#isInMonitor) this.#leaveMonitor();
    else {
      this.#isInMonitor = true;
      this.#monitor.enter();
    }
  }

  /** Never waits: a guest that takes no input must not keep the keys behind Ctrl-A from working. */
  #send(bytes: Uint8Array): void {
    if (this.#untakenBytes + bytes.length > UNTAKEN_BYTES_MAX) {
      this.#print(BELL);
      return;
    }
    this.#untakenBytes += bytes.length;
    const taken = (): void => void (this.#untakenBytes -= bytes.length);
    this.#writer.write(bytes).then(taken, (error: unknown) => {
      taken();
      if (!(error instanceof GuestEndedError)) this.#vm.log();
    });
  }

  #sendSize(): void {
    const { rows, columns } = Terminal.size();
    this.#vm.resize(rows, columns);
  }

  #leaveMonitor(): void {
    this.#isInMonitor = false;
    this.#print("\n");
  }

  #quit(): void {
    this.#hasQuit = true;
    void this.#vm.dispose();
  }

  /** Our own text; raw mode needs the carriage returns. */
  #print(text: string): void {
    void writeOutput("stdout", text.replaceAll("\n", "\r\n")).catch(() => undefined);
  }
}
