/** The monitor behind Ctrl-A c: a prompt of its own on the same terminal. */
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

const PROMPT = "(unpinned) ";
const MIB = 2 ** 20;
const PAGES_PER_MIB = 256;

/** The monitor's commands, by name. */
const COMMANDS: Readonly<Record<string, MonitorCommand>> = {
  help: { says: "this list", run: (monitor) => monitor.print(helpText()) },
  info: { says: "what the guest has used so far", run: (monitor) => monitor.print(infoText(monitor.vm.stats())) },
  exits: { says: "exits from guest mode, by reason", run: (monitor) => monitor.print(tableText(monitor.vm.stats().exits)) },
  hypercalls: { says: "hypercalls, by name", run: (monitor) => monitor.print(tableText(monitor.vm.stats().hypercalls)) },
  pause: { says: "hold the guest's processor", run: async (monitor) => await monitor.vm.pause() },
  resume: { says: "let it go on", run: (monitor) => monitor.vm.resume() },
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

  constructor(vm: VirtualMachine, calls: MonitorCalls) {
    this.#target = { ...calls, vm };
  }

  /** Shows the prompt. */
  enter(): void {
    this.#line = "";
    this.#target.print(`\n${PROMPT}`);
  }

  /** Takes what was typed. */
  async type(bytes: Uint8Array): Promise<void> {
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
    let isLeaving = false;
    const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
    if (command !== undefined) {
      isLeaving = name === "console" || name === "quit";
      await command.run(this.#target);
    } else if (name !== "") {
      this.#target.print(`no command "${name}": try help\n`);
    }
    if (!isLeaving) this.#target.print(PROMPT);
  }
}

function helpText(): string {
  const commands = Object.entries(COMMANDS).map(([name, { says }]) => `${name.padEnd(11)}${says}`);
  return `${[...commands, ...ESCAPE_HELP].join("\n")}\n`;
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
