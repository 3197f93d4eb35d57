/** Threads of the page benchmarks: asked for one thing after the other, by messages. */
import { Worker } from "node:worker_threads";

/** A thread that does not answer for so long hangs. */
const TIMEOUT_MS = 120_000;

/** A worker thread that answers each message with one message. */
export class BenchThread {
  #worker;
  /** @type {{ resolve: (value: any) => void, reject: (error: Error) => void } | undefined} */
  #waiting;

  /**
   * @param {string} file beside this one
   * @param {object} workerData
   */
  constructor(file, workerData) {
    this.#worker = new Worker(new URL(file, import.meta.url), { workerData });
    this.#worker.on("message", (answer) => this.#settle((waiting) => waiting.resolve(answer)));
    this.#worker.on("error", (error) => this.#settle((waiting) => waiting.reject(error)));
  }

  /**
   * @param {object} message
   * @returns {Promise<any>}
   */
  ask(message) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#settle(() => reject(new Error(`a thread did not answer ${JSON.stringify(message)}`))), TIMEOUT_MS);
      const done = (/** @type {(value: any) => void} */ settle) => (/** @type {any} */ value) => {
        clearTimeout(timer);
        settle(value);
      };
      this.#waiting = { resolve: done(resolve), reject: done(reject) };
      this.#worker.postMessage(message);
    });
  }

  async end() {
    await this.#worker.terminate();
  }

  /** @param {(waiting: { resolve: (value: any) => void, reject: (error: Error) => void }) => void} settle */
  #settle(settle) {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined) settle(waiting);
  }
}
