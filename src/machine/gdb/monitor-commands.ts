/** What gdb's `monitor` takes: two commands about addresses, named as QEMU's monitor names them, and all commands for a running VM. */
import { parseCommand } from "../control/parse.js";
import { helpLines } from "../control/command-table.js";
import type { ControlTarget } from "../control/control-target.js";
import { toHex } from "./packet.js";
import type { VcpuDebugger } from "./vcpu-debugger.js";

/** What they work on. */
export interface MonitorParts {
  readonly debugger: Pick<VcpuDebugger, "ask">;
  readonly vm: ControlTarget;
}

const READ_BYTES_DEFAULT = 64;
const READ_BYTES_MAX = 4096;
const LINE_BYTES = 16;
const NUMBER = /^(?:0x[\da-f]{1,16}|\d{1,19})$/i;
const OWN_HELP = [
  "xp ADDRESS [BYTES]  guest-physical memory",
  "gva2gpa ADDRESS     guest-physical address of a virtual one, by the page tables of the current thread's vCPU",
];

/** Carries out one line for the vCPU `vcpu`; what it answers ends with a new line. Never rejects. */
export async function runMonitorCommand(parts: MonitorParts, line: string, vcpu: number): Promise<string> {
  const [name = "help", ...words] = line.trim().split(/\s+/).filter((word) => word !== "");
  try {
    if (name === "xp") return await readPhysical(parts, vcpu, words);
    if (name === "gva2gpa") return await translate(parts, vcpu, words);
    if (name === "help") return `${[...OWN_HELP, ...helpLines()].join("\n")}\n`;
    const { command, run } = parseCommand([line.trim()]);
    const result = await run(parts.vm);
    return `${command.refusal(result) ?? command.render(result).join("\n")}\n`;
  } catch (error) {
    // A wrong word, or the VM has ended meanwhile.
    return `${error instanceof Error ? error.message : String(error)}\n`;
  }
}

async function readPhysical({ debugger: vcpus }: MonitorParts, vcpu: number, [address = "", count = String(READ_BYTES_DEFAULT), ...rest]: string[]): Promise<string> {
  const lengthBytes = NUMBER.test(count) ? Number(count) : NaN;
  if (!NUMBER.test(address) || !(lengthBytes <= READ_BYTES_MAX) || rest.length > 0) return `xp takes an address and a number of bytes up to ${READ_BYTES_MAX}\n`;
  const begin = BigInt(address);
  const bytes = await vcpus.ask(vcpu, { name: "read-physical", address: begin, lengthBytes });
  const lines: string[] = [];
  for (let done = 0; done < bytes.length; done += LINE_BYTES) {
    const row = Array.from(bytes.subarray(done, done + LINE_BYTES), (byte) => toHex(Uint8Array.of(byte)));
    lines.push(`${hexAddress(begin + BigInt(done))}: ${row.join(" ")}`);
  }
  if (bytes.length < lengthBytes) lines.push(`${hexAddress(begin + BigInt(bytes.length))}: no memory`);
  return `${lines.join("\n")}\n`;
}

async function translate({ debugger: vcpus }: MonitorParts, vcpu: number, [address = "", ...rest]: string[]): Promise<string> {
  if (!NUMBER.test(address) || rest.length > 0) return "gva2gpa takes an address\n";
  const gpa = await vcpus.ask(vcpu, { name: "translate", address: BigInt(address) });
  return gpa === undefined ? "not mapped\n" : `${hexAddress(BigInt(gpa))}\n`;
}

function hexAddress(address: bigint): string {
  return `0x${address.toString(16).padStart(8, "0")}`;
}
