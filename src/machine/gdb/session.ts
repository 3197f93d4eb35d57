/**
 * One client's session of gdb's remote protocol, whatever carries its bytes. Packets are answered in their order; an interrupt is dealt with
 * at once, because gdb sends it while the packet before it has no answer yet. The guest stops with the first packet.
 */
import { type CommandContext, ERROR_INVALID, runCommand } from "./commands.js";
import type { DebugTarget } from "./debug-target.js";
import { bytesOf, encodePacket, type PacketEvent, PacketReader } from "./packet.js";
import { RunControl } from "./run-control.js";

/** Packets that wait for an answer at most; gdb sends one at a time. */
const QUEUE_MAX = 64;

/** Where the session's bytes go. */
export interface SessionOutput {
  send(bytes: Uint8Array): void;
  /** Ends the connection, behind what was sent. */
  close(): void;
}

/** A session. */
export class GdbSession {
  readonly #output: SessionOutput;
  readonly #target: DebugTarget;
  readonly #run: RunControl;
  readonly #reader = new PacketReader();
  readonly #context: CommandContext;
  #acknowledges = true;
  #lastPacket: Uint8Array = new Uint8Array();
  #work: Promise<void> = Promise.resolve();
  #queued = 0;
  #isClosed = false;

  constructor(target: DebugTarget, output: SessionOutput) {
    this.#target = target;
    this.#output = output;
    this.#run = new RunControl(target);
    this.#context = {
      target, run: this.#run,
      send: (data) => this.#send(data),
      stopAcknowledging: () => void (this.#acknowledges = false),
    };
  }

  /** Takes what the client sent. */
  receive(bytes: Uint8Array): void {
    for (const event of this.#reader.read(bytes)) this.#take(event);
  }

  /** The client is gone: the guest goes on without breakpoints. Resolves when it does. */
  async close(): Promise<void> {
    this.#isClosed = true;
    // A packet that waits for a stop gets one.
    if (this.#run.isAttached) this.#target.debugger.requestStop();
    this.#enqueue(async () => await this.#run.detach());
    await this.#work;
  }

  /** The VM has ended. `reply` is told to a client that waits for it to stop. */
  end(reply: string): void {
    if (this.#isClosed) return;
    if (this.#queued > 0) this.#send(reply);
    this.#isClosed = true;
    this.#output.close();
  }

  #take(event: PacketEvent): void {
    if (this.#isClosed) return;
    if (event.kind === "interrupt") this.#run.interrupt(this.#queued > 0);
    else if (event.kind === "rejected") this.#output.send(this.#lastPacket);
    else if (event.kind === "packet") this.#takePacket(event.data, event.isIntact);
  }

  #takePacket(data: string | undefined, isIntact: boolean): void {
    if (this.#acknowledges) this.#output.send(bytesOf(isIntact ? "+" : "-"));
    if (!isIntact) return;
    if (this.#queued >= QUEUE_MAX) {
      this.#output.close();
      return;
    }
    this.#enqueue(async () => {
      if (this.#isClosed) return;
      await this.#run.attach();
      const reply = data === undefined ? ERROR_INVALID : await runCommand(this.#context, data);
      if (reply !== undefined) this.#send(reply);
    });
  }

  /** Work in order. It fails when the VM has ended, of which `end` tells the client. */
  #enqueue(body: () => Promise<void>): void {
    this.#queued++;
    this.#work = this.#work.then(body).catch(() => undefined).finally(() => void this.#queued--);
  }

  #send(data: string): void {
    if (this.#isClosed) return;
    this.#lastPacket = encodePacket(data);
    this.#output.send(this.#lastPacket);
  }
}
