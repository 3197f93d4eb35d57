/** A command in the guest: a promise of its result, and streams of its output. */
import type { ReadableStream } from "node:stream/web";
import { PushedStream } from "./pushed-stream.js";

/** How a command ended and what it wrote. */
export interface ExecResult {
  /** 0..255; 128 + n when signal n killed it, as shells report. */
  readonly exitCode: number;
  /** All of its output as UTF-8 text; empty when `buffer` was false. */
  readonly stdout: string;
  readonly stderr: string;
}

/** One chunk of output, in the order of arrival. */
export interface ExecChunk {
  readonly source: "stdout" | "stderr";
  readonly bytes: Uint8Array;
}

/** Options of one command. */
export interface ExecOptions {
  /** Kills the command, and rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /** Milliseconds after which the command is killed and ExecTimeoutError thrown. */
  readonly timeoutMs?: number;
  /** false: keep no copy of the output for the result (for output that is streamed and large). Default true. */
  readonly buffer?: boolean;
}

/** One of the two outputs. */
class Output {
  #pieces: Uint8Array[] = [];
  #stream: PushedStream | undefined;
  #isClosed = false;

  constructor(readonly isKept: boolean, readonly onTaken: (lengthBytes: number) => void) {}

  get stream(): PushedStream {
    if (this.#stream === undefined) {
      this.#stream = new PushedStream({ onTaken: this.onTaken });
      for (const piece of this.#pieces) this.#stream.pushTaken(piece);
      if (this.#isClosed) this.#stream.close();
    }
    return this.#stream;
  }

  push(bytes: Uint8Array): void {
    if (this.isKept && !this.#isClosed) this.#pieces.push(bytes);
    if (this.#stream === undefined || this.#isClosed) this.onTaken(bytes.length);
    else this.#stream.push(bytes);
  }

  close(error?: unknown): void {
    this.#isClosed = true;
    if (error === undefined) this.#stream?.close();
    else this.#stream?.fail(error);
  }

  text(): string {
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    return this.#pieces.map((piece) => decoder.decode(piece, { stream: true })).join("") + decoder.decode();
  }
}

/** What the agent's side of a process calls. */
export interface GuestProcessControl {
  push(source: ExecChunk["source"], bytes: Uint8Array): void;
  exited(exitCode: number): void;
  failed(error: unknown): void;
}

/** Parts of a process that its maker gives. */
export interface GuestProcessParts {
  readonly keepsOutput: boolean;
  /** So many bytes of one output are dealt with. */
  readonly onTaken: (source: ExecChunk["source"], lengthBytes: number) => void;
  /** Ends the command in the guest. */
  readonly kill: () => void;
}

/**
 * A command that runs in the guest. Await it for the result; read `stdout` and `stderr` (web streams), or iterate over
 * it, to have the output as it comes. A stream that is asked for must be read or cancelled: the guest stands still
 * when 8 MiB of it have not been taken. The status of a command is a result, never an error.
 */
export class GuestProcess implements Promise<ExecResult>, AsyncIterable<ExecChunk> {
  readonly [Symbol.toStringTag] = "GuestProcess";
  readonly #result: Promise<ExecResult>;
  readonly #outputs: Record<ExecChunk["source"], Output>;
  readonly #kill: () => void;
  #settle!: { resolve(result: ExecResult): void; reject(error: unknown): void };

  constructor(parts: GuestProcessParts) {
    this.#kill = parts.kill;
    this.#outputs = {
      stdout: new Output(parts.keepsOutput, (lengthBytes) => parts.onTaken("stdout", lengthBytes)),
      stderr: new Output(parts.keepsOutput, (lengthBytes) => parts.onTaken("stderr", lengthBytes)),
    };
    this.#result = new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
    // Who only reads the streams learns of a failure there.
    this.#result.catch(() => undefined);
  }

  /** The command's standard output. */
  get stdout(): ReadableStream<Uint8Array> {
    return this.#outputs.stdout.stream.readable;
  }

  /** The command's standard error. */
  get stderr(): ReadableStream<Uint8Array> {
    return this.#outputs.stderr.stream.readable;
  }

  /** Kills the command; the promise still gives its result. */
  kill(): void {
    this.#kill();
  }

  then<Result = ExecResult, Failure = never>(
    onFulfilled?: ((result: ExecResult) => Result | PromiseLike<Result>) | null,
    onRejected?: ((error: unknown) => Failure | PromiseLike<Failure>) | null,
  ): Promise<Result | Failure> {
    return this.#result.then(onFulfilled, onRejected);
  }

  catch<Failure = never>(onRejected?: ((error: unknown) => Failure | PromiseLike<Failure>) | null): Promise<ExecResult | Failure> {
    return this.#result.catch(onRejected);
  }

  finally(onFinally?: (() => void) | null): Promise<ExecResult> {
    return this.#result.finally(onFinally);
  }

  /** Yields the chunks of both outputs in the order of their arrival; ends with the command, throws if it failed. */
  async *[Symbol.asyncIterator](): AsyncGenerator<ExecChunk, void, void> {
    const readers = { stdout: this.stdout.getReader(), stderr: this.stderr.getReader() };
    const reads = new Map<ExecChunk["source"], Promise<ExecChunk | undefined>>();
    const readNext = (source: ExecChunk["source"]): void => {
      reads.set(source, readers[source].read().then(({ value }) => (value === undefined ? undefined : { source, bytes: value })));
    };
    readNext("stdout");
    readNext("stderr");
    try {
      while (reads.size > 0) {
        const [source, chunk] = await Promise.race([...reads].map(async ([name, read]) => [name, await read] as const));
        if (chunk === undefined) {
          reads.delete(source);
          continue;
        }
        readNext(source);
        yield chunk;
      }
    } finally {
      for (const reader of Object.values(readers)) reader.cancel().catch(() => undefined);
    }
  }

  /** @internal The side that the agent's lines and output drive. */
  control(): GuestProcessControl {
    return {
      push: (source, bytes) => this.#outputs[source].push(bytes),
      exited: (exitCode) => this.#exited(exitCode),
      failed: (error) => this.#failed(error),
    };
  }

  #exited(exitCode: number): void {
    const { stdout, stderr } = this.#outputs;
    stdout.close();
    stderr.close();
    this.#settle.resolve({ exitCode, stdout: stdout.text(), stderr: stderr.text() });
  }

  #failed(error: unknown): void {
    this.#outputs.stdout.close(error);
    this.#outputs.stderr.close(error);
    this.#settle.reject(error);
  }
}
