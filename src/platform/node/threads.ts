/** Worker threads as the machine uses them: started with data, talking back by messages, ended by themselves or by force. */
import { MessageChannel, type MessagePort, parentPort, receiveMessageOnPort, Worker, workerData, type TransferListItem } from "node:worker_threads";

/** What a started thread tells its owner. */
export interface ThreadEvents<Message> {
  onMessage(message: Message): void;
  /** The thread threw, or could not start. */
  onError(error: Error): void;
}

/** A running worker thread. */
export interface Thread {
  /** Settles when the thread is gone, for whatever reason; never rejects. */
  readonly ended: Promise<void>;
  /** Puts a message where receiveFromOwner of the thread finds it. Wakes nobody. */
  post(message: unknown): void;
  /** Ends the thread wherever it is, and waits for that. */
  terminate(): Promise<void>;
}

/** One end of a pipe between two threads. Handed over in a thread's data, and named in `transfer` there. */
export type PipeEnd = MessagePort;

/** A pipe: what is posted at one end is received at the other. */
export function createPipe(): readonly [PipeEnd, PipeEnd] {
  const { port1, port2 } = new MessageChannel();
  return [port1, port2];
}

/** The oldest message at this end that was not taken yet. Works without returning to the event loop. */
export function receiveFromPipe<Message>(end: PipeEnd): Message | undefined {
  return (receiveMessageOnPort(end) as { message: Message } | undefined)?.message;
}

/** MiB for the young generation of a thread's heap, 48 if not said: threads live on with what they have begun with, and the garbage of a moment would lie in 16 MiB of each. */
const YOUNG_GENERATION_MIB = 6;

/** Starts the module `entry` as a thread; `data` is what its threadData answers. Ends of pipes in it are named in `transfer`. */
export function startThread<Message>(entry: URL, data: unknown, events: ThreadEvents<Message>, transfer: readonly PipeEnd[] = []): Thread {
  const worker = new Worker(entry, { workerData: data, transferList: [...transfer], resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB } });
  worker.on("message", (message: Message) => events.onMessage(message));
  worker.on("error", (error: Error) => events.onError(error));
  const ended = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
  return {
    ended,
    post: (message) => worker.postMessage(message),
    async terminate() {
      await worker.terminate();
      await ended;
    },
  };
}

/** In a thread: what it was started with. */
export function threadData<Data>(): Data {
  return workerData as Data;
}

/** In a thread: calls `take` with each message of the owner, and keeps the thread there for them. */
export function onOwnerMessage<Message>(take: (message: Message) => void): void {
  if (parentPort === null) throw new Error("expected to run in a worker thread, got the main thread");
  parentPort.on("message", take);
}

/** In a thread: sends `message` to the owner, handing over the buffers in `transfer`. Works without returning to the event loop. */
export function postToOwner(message: unknown, transfer: ArrayBuffer[] = []): void {
  if (parentPort === null) throw new Error("expected to run in a worker thread, got the main thread");
  parentPort.postMessage(message, transfer as TransferListItem[]);
}

/** In a thread: the oldest message of the owner that was not taken yet. Works without returning to the event loop. */
export function receiveFromOwner<Message>(): Message | undefined {
  if (parentPort === null) throw new Error("expected to run in a worker thread, got the main thread");
  return (receiveMessageOnPort(parentPort) as { message: Message } | undefined)?.message;
}
