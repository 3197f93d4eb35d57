/** The monitor behind Ctrl-A c: a prompt of its own on the same terminal. */
import { helpLines, parseCommand } from "../machine/control/index.js";
import type { MachineStats, VirtualMachine } from "../machine/index.js";
import { ESCAPE_HELP } from "./escape-keys.js";

/** What the monitor may do to the program around it. */
export interface MonitorCalls {
  print(text: string): void;
  /** Back to the guest's console. */
  leave(): void;
  /** End the guest and the program. */
  quit(): void;
}

interface MonitorCommand {
  readonly says: string;
  run(monitor: MonitorTarget): void | Promise<void>;
}

interface MonitorTarget extends MonitorCalls {
  readonly vm: VirtualMachine;
}

/** Width of the longest command and its argument in the help. */
const HELP_NAME_WIDTH = Math.max(...helpLines().map((line) => line.search(/ {2,}\S/) + 2));
const PROMPT = "(unpinned) ";
const MIB = 2 ** 20;
const PAGES_PER_MIB = 256;

/** What the monitor has besides the commands that every control has. */
const OWN_COMMANDS: Readonly<Record<string, MonitorCommand>> = {
  exits: { says: "exits from guest mode, by reason", run: (monitor) => monitor.print(tableText(monitor.vm.stats().exits)) },
  hypercalls: { says: "hypercalls, by name", run: (monitor) => monitor.print(tableText(monitor.vm.stats().hypercalls)) },
  info: { says: "what the guest has used so far", run: (monitor) => monitor.print(infoText(monitor.vm.stats())) },
  poweroff: { says: "let the guest power itself off", run: (monitor) => void monitor.vm.shutdown() },
  console: { says: "back to the guest's console", run: (monitor) => monitor.leave() },
  quit: { says: "end the guest at once", run: (monitor) => monitor.quit() },
};

const ENTER = /[\r\n]/;
const BACKSPACE = /[\b\x7f]/;
const CONTROL_C = "\x03";
const CONTROL_D = "\x04";

/** One session of the monitor: a line editor and its commands. */
export class Monitor {
  readonly #target: MonitorTarget;
  #line = "";
  /** What was typed is dealt with in order, and behind the command before it. */
  #work: Promise<void> = Promise.resolve();

  constructor(vm: VirtualMachine, calls: MonitorCalls) {
    this.#target = { ...calls, vm };
  }

  /** Shows the prompt. */
  enter(): void {
    this.#line = "";
    this.#target.print(`\n${PROMPT}`);
  }

  /** Takes what was typed. Resolves when all of it is dealt with. */
  async type(bytes: Uint8Array): Promise<void> {
    this.#work = this.#work.then(async () => await this.#typeInOrder(bytes));
    await this.#work;
  }

  async #typeInOrder(bytes: Uint8Array): Promise<void> {
    for (const character of new TextDecoder().decode(bytes)) {
      if (ENTER.test(character)) await this.#runLine();
      else if (BACKSPACE.test(character)) this.#eraseLast();
      else if (character === CONTROL_C) this.enter();
      else if (character === CONTROL_D) this.#target.leave();
      else if (character >= " ") {
        this.#line += character;
        this.#target.print(character);
      }
    }
  }

  #eraseLast(): void {
    if (this.#line === "") return;
    this.#line = this.#line.slice(0, -1);
    this.#target.print("\b \b");
  }

  async #runLine(): Promise<void> {
    const name = this.#line.trim().toLowerCase();
    this.#line = "";
    this.#target.print("\n");
    const isLeaving = name === "console" || name === "quit";
    if (Object.hasOwn(OWN_COMMANDS, name)) await OWN_COMMANDS[name]!.run(this.#target);
    else if (name === "help") this.#target.print(helpText());
    else if (name !== "") this.#target.print(await runControlCommand(this.#target.vm, name));
    if (!isLeaving) this.#target.print(PROMPT);
  }
}

/** What the operator reads after a command that is not the monitor's own. */
async function runControlCommand(vm: VirtualMachine, line: string): Promise<string> {
  try {
    const { command, run } = parseCommand([line]);
    const result = await run(vm);
    const refusal = command.refusal(result);
    return `${refusal ?? command.render(result).join("\n")}\n`;
  } catch (error) {
    // A wrong word, or the guest has ended meanwhile.
    return `${error instanceof Error ? error.message : String(error)}\n`;
  }
}

function helpText(): string {
  const own = Object.entries(OWN_COMMANDS).map(([name, { says }]) => `${name.padEnd(HELP_NAME_WIDTH)}${says}`);
  return `${[...helpLines(), ...own, ...ESCAPE_HELP].join("\n")}\n`;
}

function infoText(stats: MachineStats): string {
  const { memory, vcpus, bootMs, uptimeMs } = stats;
  const boot = bootMs === undefined ? "not there yet" : `${(bootMs / 1000).toFixed(2)} s`;
  return [
    `up            ${(uptimeMs / 1000).toFixed(1)} s, init after ${boot}`,
    `memory        ${(memory.pagesTouched / PAGES_PER_MIB).toFixed(1)} MiB touched of ${memory.guestBytes / MIB} MiB`,
    `frames        ${memory.framesInUse} in use of ${memory.framesTotal}`,
    ...vcpus.map((vcpu, index) => `vcpu ${index}        ${vcpu.instructions} instructions, halted ${(vcpu.haltedMs / 1000).toFixed(1)} s`),
    "",
  ].join("\n");
}

function tableText(counts: Readonly<Record<string, number>>): string {
  const rows = Object.entries(counts).filter(([, count]) => count > 0).sort((a, b) => b[1] - a[1]);
  return rows.map(([name, count]) => `${name.padEnd(44)}${count}\n`).join("");
}
