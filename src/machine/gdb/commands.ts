/** The packets of gdb that are understood, one table: how each begins, and what it does. What is not in the table gets an empty answer, as the protocol has it. */
import type { DebugTarget } from "./debug-target.js";
import { bytesOf, fromHex, PACKET_BYTES_MAX, textOf, toHex } from "./packet.js";
import { placeOfRegister, REGISTERS_BYTES } from "./registers.js";
import { type RunControl, threadId } from "./run-control.js";
import { TARGET_DESCRIPTION } from "./target-description.js";
import { parseActions, parseThread } from "./vcont.js";

/** What a command works on. */
export interface CommandContext {
  readonly target: DebugTarget;
  readonly run: RunControl;
  /** Sends a packet before the answer. */
  send(data: string): void;
  /** Packets are no longer acknowledged, from behind the answer on. */
  stopAcknowledging(): void;
}

/** Answers one packet; undefined = nothing is to be sent. `rest` is what follows the beginning by which it was found. */
type Command = (context: CommandContext, rest: string) => string | undefined | Promise<string | undefined>;

/** errno values, which gdb shows as numbers. */
const ERROR_FAULT = "E0e";
/** A packet that cannot be understood (EINVAL). */
export const ERROR_INVALID = "E16";
const ERROR_FULL = "E1c";
const OK = "OK";
const NUMBER = "[0-9a-f]{1,16}";
const RANGE = new RegExp(`^(${NUMBER}),(${NUMBER})(?::([^]*))?$`, "i");
const BREAKPOINT = new RegExp(`^(\\d),(${NUMBER}),(${NUMBER})$`, "i");
const REGISTER_WRITE = new RegExp(`^(${NUMBER})=([0-9a-f]+)$`, "i");
/** Two digits a byte, and the packet's own. */
const READ_BYTES_MAX = PACKET_BYTES_MAX / 2 - 8;
const OUTPUT_BYTES_MAX = PACKET_BYTES_MAX / 2 - 8;
const FEATURES = [
  `PacketSize=${PACKET_BYTES_MAX.toString(16)}`, "qXfer:features:read+", "QStartNoAckMode+", "vContSupported+", "swbreak+", "hwbreak+",
].join(";");

async function readAll({ target, run }: CommandContext): Promise<Uint8Array> {
  return await target.debugger.ask(run.current, { name: "read-registers" });
}

async function writeAll({ target, run }: CommandContext, packed: Uint8Array): Promise<string> {
  return await target.debugger.ask(run.current, { name: "write-registers", packed }) ? OK : ERROR_INVALID;
}

const readRegisters: Command = async (context) => toHex(await readAll(context));

const writeRegisters: Command = async (context, rest) => {
  const packed = fromHex(rest);
  return packed?.length === REGISTERS_BYTES ? await writeAll(context, packed) : ERROR_INVALID;
};

const readRegister: Command = async (context, rest) => {
  const place = new RegExp(`^${NUMBER}$`, "i").test(rest) ? placeOfRegister(Number.parseInt(rest, 16)) : undefined;
  if (place === undefined) return ERROR_INVALID;
  return toHex((await readAll(context)).subarray(place.offset, place.offset + place.lengthBytes));
};

const writeRegister: Command = async (context, rest) => {
  const [, number = "", digits = ""] = REGISTER_WRITE.exec(rest) ?? [];
  const place = placeOfRegister(Number.parseInt(number, 16));
  const value = fromHex(digits);
  if (place === undefined || value?.length !== place.lengthBytes) return ERROR_INVALID;
  const packed = Uint8Array.from(await readAll(context));
  packed.set(value, place.offset);
  return await writeAll(context, packed);
};

/** Address, length and what follows them. */
function parseRange(rest: string): { address: bigint; lengthBytes: number; data: string } | undefined {
  const [, address, length, data = ""] = RANGE.exec(rest) ?? [];
  if (address === undefined || length === undefined) return undefined;
  return { address: BigInt(`0x${address}`), lengthBytes: Number.parseInt(length, 16), data };
}

const readMemory: Command = async ({ target, run }, rest) => {
  const range = parseRange(rest);
  if (range === undefined) return ERROR_INVALID;
  const { address } = range;
  const lengthBytes = Math.min(range.lengthBytes, READ_BYTES_MAX);
  const bytes = await target.debugger.ask(run.current, { name: "read-memory", address, lengthBytes });
  return bytes.length === 0 && lengthBytes > 0 ? ERROR_FAULT : toHex(bytes);
};

function writeMemory(decode: (data: string) => Uint8Array | undefined): Command {
  return async ({ target, run }, rest) => {
    const range = parseRange(rest);
    const bytes = range && decode(range.data);
    if (range === undefined || bytes?.length !== range.lengthBytes) return ERROR_INVALID;
    return await target.debugger.ask(run.current, { name: "write-memory", address: range.address, bytes }) ? OK : ERROR_FAULT;
  };
}

function parseBreakpoint(rest: string): { type: number; address: bigint; size: number } | undefined {
  const [, type, address, size] = BREAKPOINT.exec(rest) ?? [];
  if (type === undefined) return undefined;
  return { type: Number(type), address: BigInt(`0x${address!}`), size: Number.parseInt(size!, 16) };
}

const insertBreakpoint: Command = ({ run }, rest) => {
  const breakpoint = parseBreakpoint(rest);
  if (breakpoint === undefined) return ERROR_INVALID;
  switch (run.breakpoints.insert(breakpoint)) {
    case "unsupported": return "";
    case "invalid": return ERROR_INVALID;
    case "full": return ERROR_FULL;
    default: return OK;
  }
};

const removeBreakpoint: Command = ({ run }, rest) => {
  const breakpoint = parseBreakpoint(rest);
  if (breakpoint === undefined) return ERROR_INVALID;
  return run.breakpoints.remove(breakpoint) ? OK : "";
};

const resume: Command = async ({ target, run }, rest) => {
  const actions = parseActions(rest, target.debugger.vcpuCount, run.current);
  return actions === undefined ? ERROR_INVALID : await run.resume(actions);
};

/** c, s and those with a signal, which a processor has none of: of the current vCPU when it is a step, else of all. */
function resumeOld(action: "c" | "s"): Command {
  return (context, rest) => (/^(?:[0-9a-f]{2})?$/i.test(rest) ? resume(context, action === "c" ? ";c" : `;s:${threadId(context.run.current)}`) : ERROR_INVALID);
}

/** H: which thread the packets that follow are for. All of them: it is left as it is. */
const selectThread: Command = ({ target, run }, rest) => {
  const thread = parseThread(rest.slice(1), target.debugger.vcpuCount);
  if (thread === undefined || !/^[cg]/.test(rest)) return ERROR_INVALID;
  if (typeof thread === "number" && rest.startsWith("g")) run.current = thread;
  return OK;
};

const isThreadAlive: Command = ({ target }, rest) => (typeof parseThread(rest, target.debugger.vcpuCount) === "number" ? OK : ERROR_INVALID);

const describeThread: Command = ({ target }, rest) => {
  const thread = parseThread(rest, target.debugger.vcpuCount);
  return typeof thread === "number" ? toHex(bytesOf(target.describe(thread))) : ERROR_INVALID;
};

const readDescription: Command = (_context, rest) => {
  const range = parseRange(rest);
  if (range === undefined || range.address > TARGET_DESCRIPTION.length) return ERROR_INVALID;
  const end = Number(range.address) + Math.min(range.lengthBytes, READ_BYTES_MAX);
  return `${end >= TARGET_DESCRIPTION.length ? "l" : "m"}${TARGET_DESCRIPTION.slice(Number(range.address), end)}`;
};

const monitor: Command = async ({ target, run, send }, rest) => {
  const line = fromHex(rest);
  if (line === undefined) return ERROR_INVALID;
  const output = new TextEncoder().encode(await target.monitor(textOf(line), run.current));
  for (let done = 0; done < output.length; done += OUTPUT_BYTES_MAX) send(`O${toHex(output.subarray(done, done + OUTPUT_BYTES_MAX))}`);
  return OK;
};

const detach: Command = async ({ run }) => {
  await run.detach();
  return OK;
};

/** By how the packet begins; the longest that fits counts. */
const COMMANDS: Readonly<Record<string, Command>> = {
  "?": ({ run }) => run.lastReply,
  g: readRegisters,
  G: writeRegisters,
  p: readRegister,
  P: writeRegister,
  m: readMemory,
  M: writeMemory(fromHex),
  X: writeMemory(bytesOf),
  Z: insertBreakpoint,
  z: removeBreakpoint,
  H: selectThread,
  T: isThreadAlive,
  c: resumeOld("c"),
  C: resumeOld("c"),
  s: resumeOld("s"),
  S: resumeOld("s"),
  D: detach,
  k: ({ target }) => void target.kill(),
  "vCont?": () => "vCont;c;C;s;S",
  vCont: resume,
  vKill: ({ target }) => {
    target.kill();
    return OK;
  },
  qSupported: () => FEATURES,
  QStartNoAckMode(context) {
    context.stopAcknowledging();
    return OK;
  },
  "qXfer:features:read:target.xml:": readDescription,
  // Quitting gdb leaves the guest running.
  qAttached: () => "1",
  qC: ({ run }) => `QC${threadId(run.current)}`,
  qfThreadInfo: ({ target }) => `m${Array.from({ length: target.debugger.vcpuCount }, (_, vcpu) => threadId(vcpu)).join(",")}`,
  qsThreadInfo: () => "l",
  "qThreadExtraInfo,": describeThread,
  "qRcmd,": monitor,
  qSymbol: () => OK,
};
const BEGINNINGS = Object.keys(COMMANDS).sort((a, b) => b.length - a.length);

/** The answer to the packet `data`; undefined = none. Rejects when the VM has ended. */
export async function runCommand(context: CommandContext, data: string): Promise<string | undefined> {
  const beginning = BEGINNINGS.find((one) => (one.length === 1 || /[:,?]$/.test(one) ? data.startsWith(one) : /^[A-Za-z]*/.exec(data)![0] === one));
  if (beginning === undefined) return "";
  return await COMMANDS[beginning]!(context, data.slice(beginning.length));
}
