/**
 * The host's side of the guest's agent, line by line over hvc1:
 *
 *   to the guest    exec SLOT BASE64_COMMAND · kill SLOT · resize ROWS COLS · poweroff
 *   from the guest  ready · exit SLOT STATUS
 *
 * A slot is a pair of consoles for the output of one command. There are EXEC_SLOT_COUNT; further commands queue.
 */
import { EXEC_SLOT_COUNT, slotConsole } from "../abi/channels.js";
import { GuestEndedError } from "./errors.js";
import { type ExecChunk, GuestProcess, type GuestProcessControl } from "./guest-process.js";

/** What the agent is given. */
export interface AgentParts {
  readonly send: (line: string) => void;
  /** The agent has said that it is ready for commands. */
  readonly onReady: () => void;
  /** So many bytes of a console's output are dealt with. */
  readonly acknowledge: (consoleIndex: number, lengthBytes: number) => void;
}

/** A command on its way: queued, or running in a slot. */
export class AgentJob {
  readonly process: GuestProcess;
  readonly control: GuestProcessControl;
  /** Index of its slot while it has one. */
  slot: number | undefined;
  /** Bytes of its output that have arrived and are not dealt with yet. */
  readonly outstandingBytes = { stdout: 0, stderr: 0 };

  constructor(readonly command: string, agent: GuestAgent, keepsOutput: boolean) {
    this.process = new GuestProcess({
      keepsOutput,
      kill: () => agent.kill(this, new GuestEndedError("the command was killed before it began")),
      onTaken: (source, lengthBytes) => agent.outputTaken(this, source, lengthBytes),
    });
    this.control = this.process.control();
  }
}

const SOURCES = ["stdout", "stderr"] as const;

/** The commands of one guest. */
export class GuestAgent {
  readonly #parts: AgentParts;
  readonly #slots: (AgentJob | undefined)[] = new Array<undefined>(EXEC_SLOT_COUNT).fill(undefined);
  readonly #queue: AgentJob[] = [];
  readonly #decoder = new TextDecoder();
  #partialLine = "";
  #isReady = false;
  #endedWith: unknown;

  constructor(parts: AgentParts) {
    this.#parts = parts;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  /** Starts `job` as soon as the agent is ready and a slot is free. */
  submit(job: AgentJob): void {
    if (this.#endedWith !== undefined) {
      job.control.failed(this.#endedWith);
      return;
    }
    this.#queue.push(job);
    this.#startQueued();
  }

  /** Ends `job` in the guest, or takes it out of the queue: then it fails with `reason`. */
  kill(job: AgentJob, reason: unknown): void {
    if (job.slot !== undefined) {
      this.#parts.send(`kill ${job.slot}`);
      return;
    }
    const place = this.#queue.indexOf(job);
    if (place < 0) return;
    this.#queue.splice(place, 1);
    job.control.failed(reason);
  }

  resize(rows: number, columns: number): void {
    if (this.#isReady) this.#parts.send(`resize ${rows} ${columns}`);
  }

  powerOff(): void {
    this.#parts.send("poweroff");
  }

  /** Takes output of the agent's console. Precondition: all output that the guest wrote before has been taken. */
  takeLines(bytes: Uint8Array): void {
    const lines = (this.#partialLine + this.#decoder.decode(bytes, { stream: true })).split("\n");
    this.#partialLine = lines.pop() ?? "";
    for (const line of lines) this.#takeLine(line.trim());
  }

  /** Takes output of an exec slot's console. */
  takeOutput(consoleIndex: number, bytes: Uint8Array): void {
    const place = consoleIndex - slotConsole(0);
    const job = this.#slots[place >> 1];
    if (job === undefined) {
      this.#parts.acknowledge(consoleIndex, bytes.length);
      return;
    }
    const source = SOURCES[place % 2]!;
    job.outstandingBytes[source] += bytes.length;
    job.control.push(source, bytes);
  }

  /** A reader, or nobody, has taken output of `job`. */
  outputTaken(job: AgentJob, source: ExecChunk["source"], lengthBytes: number): void {
    if (job.slot === undefined) return;
    job.outstandingBytes[source] -= lengthBytes;
    this.#parts.acknowledge(slotConsole(job.slot) + SOURCES.indexOf(source), lengthBytes);
  }

  /** Every waiting and later command fails with `error`. */
  fail(error: unknown): void {
    this.#endedWith = error;
    for (const job of this.#slots.splice(0)) {
      if (job === undefined) continue;
      job.slot = undefined;
      job.control.failed(error);
    }
    for (const job of this.#queue.splice(0)) job.control.failed(error);
  }

  #takeLine(line: string): void {
    const [word, slotText, statusText] = line.split(" ");
    if (word === "ready") {
      if (this.#isReady) return;
      this.#isReady = true;
      this.#parts.onReady();
      this.#startQueued();
    } else if (word === "exit") {
      const job = this.#slots[Number(slotText)];
      if (job === undefined) return;
      this.#release(job);
      job.control.exited(Number(statusText) & 0xff);
      this.#startQueued();
    }
  }

  /** Frees the job's slot; what its streams still hold must not hold back the next command. */
  #release(job: AgentJob): void {
    const slot = job.slot!;
    for (const [offset, source] of SOURCES.entries()) {
      this.#parts.acknowledge(slotConsole(slot) + offset, job.outstandingBytes[source]);
    }
    job.slot = undefined;
    this.#slots[slot] = undefined;
  }

  #startQueued(): void {
    if (!this.#isReady) return;
    for (let slot = 0; slot < this.#slots.length; slot++) {
      if (this.#slots[slot] !== undefined) continue;
      const job = this.#queue.shift();
      if (job === undefined) return;
      this.#slots[slot] = job;
      job.slot = slot;
      this.#parts.send(`exec ${slot} ${toBase64(job.command)}`);
    }
  }
}

function toBase64(text: string): string {
  const bytes = new TextEncoder().encode(text);
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}
