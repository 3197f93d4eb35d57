/**
 * Runs the threads of a scenario one at a time under many drawn schedules, and stops at the first that goes wrong. Only in a copy of the
 * code whose atomics are paused (mutant-tree.ts) does anything happen between two shared accesses; elsewhere a thread runs through.
 */
import { Worker } from "node:worker_threads";
import type { HostMemory, SharedMemory } from "../../host-memory/index.js";
import { BatonRounds, createBaton } from "../../sync/jitter/baton.raw.js";

/** One thread of a scenario, in its worker. */
export interface Role {
  /** Before each round, while no thread runs. */
  prepare?(round: number): void;
  /** Its part of the round, in turns with the others. Numbers for the check, at most RESULTS_MAX. */
  run(round: number): readonly number[];
  /** After each round, while no thread runs; what it throws is the round's failure, too. */
  finish?(round: number): void;
}

/** What a thread is made from. */
export interface RoleParts {
  readonly memory: SharedMemory;
  readonly extra: unknown;
}

/** A set of threads and what must hold of them. */
export interface Scenario {
  readonly name: string;
  /** Makers of the roles, called in the roles' threads. */
  readonly roles: readonly ((parts: RoleParts) => Role)[];
  /** Makes what the rounds run on; by the thread that checks. */
  create(): { readonly host: HostMemory; readonly extra: unknown };
  /** Brings everything to the state that each round begins with. */
  before(host: HostMemory, extra: unknown, round: number): void;
  /** Throws unless all is right. Called behind the roles' `finish`. */
  after(host: HostMemory, extra: unknown, round: number, results: readonly (readonly number[])[]): void;
}

/** How a run ended. */
export interface ScheduleOutcome {
  readonly rounds: number;
  /** Why it was given up; undefined = nothing went wrong. */
  readonly failure: string | undefined;
}

/** Most numbers of a role's result. */
export const RESULTS_MAX = 15;
const FAILURE_BYTES_MAX = 1024;

/** What the threads of a run share. */
export interface ScheduleLines {
  /** The phase (counts up), how many threads are through with it, the seed of the round. */
  readonly control: Int32Array;
  /** A row a role: count of numbers, the numbers. Count -1 = failed, see `failures`. */
  readonly results: Int32Array;
  /** A row a role: length, then UTF-16 units. */
  readonly failures: Int32Array;
  readonly baton: SharedArrayBuffer;
}

/** Words of `control`. */
export const PHASE = 0;
export const READY = 1;
export const SEED = 2;
/** What happens in a phase, by its number modulo 3. */
export const PHASES = ["finish", "prepare", "run"] as const;

/** Makes the shared lines for `count` threads. */
export function createLines(count: number): ScheduleLines {
  const words = (length: number): Int32Array => new Int32Array(new SharedArrayBuffer(4 * length));
  return { control: words(3), results: words(count * (RESULTS_MAX + 1)), failures: words(count * FAILURE_BYTES_MAX), baton: createBaton() };
}

/** Waits, shortly without sleeping, until a word is not `old` any more; returns what it is. */
export function awaitChange(words: Int32Array, index: number, old: number): number {
  for (let spin = 0; spin < 300; spin++) if (Atomics.load(words, index) !== old) break;
  while (Atomics.load(words, index) === old) Atomics.wait(words, index, old);
  return Atomics.load(words, index);
}

/** Notes what a role's phase threw. */
export function noteFailure(lines: ScheduleLines, role: number, error: unknown): void {
  const text = (error instanceof Error ? (error.stack ?? error.message) : String(error)).slice(0, FAILURE_BYTES_MAX - 1);
  const row = role * FAILURE_BYTES_MAX;
  for (let at = 0; at < text.length; at++) lines.failures[row + 1 + at] = text.charCodeAt(at);
  lines.failures[row] = text.length;
}

/** What the threads' phases threw, undefined = nothing. */
function readFailures(lines: ScheduleLines, count: number): string | undefined {
  const texts = Array.from({ length: count }, (_, role) => {
    const row = role * FAILURE_BYTES_MAX;
    const length = lines.failures[row]!;
    return length === 0 ? [] : [`thread ${role}: ${String.fromCharCode(...lines.failures.subarray(row + 1, row + 1 + length))}`];
  }).flat();
  return texts.length === 0 ? undefined : texts.join("\n");
}

/** How long and from where a run goes. */
export interface RunLength {
  /** URL of the module that exports the scenarios as `SCENARIOS`. */
  readonly module: string;
  readonly rounds: number;
  readonly timeMs: number;
  readonly firstSeed?: number;
  /** One word that is bumped by every round, for a watchdog. */
  readonly heartbeat?: Int32Array;
}

/**
 * Runs schedules until one fails, `rounds` are through or `timeMs` is over. Blocks the calling thread. What hangs outside the baton
 * hangs here: whoever calls has a watchdog.
 */
export function runSchedules(scenario: Scenario, { module, rounds, timeMs, firstSeed = 1, heartbeat }: RunLength): ScheduleOutcome {
  const { host, extra } = scenario.create();
  const count = scenario.roles.length;
  const lines = createLines(count);
  const workers = scenario.roles.map((_, role) => new Worker(new URL("./schedules.worker.js", import.meta.url), {
    workerData: { module, scenario: scenario.name, role, count, memory: host.memory, extra, lines },
  }));
  const conductor = new Conductor(scenario, host, extra, lines);
  const deadline = Date.now() + timeMs;
  let round = 0;
  let failure: string | undefined;
  for (; failure === undefined && round < rounds && Date.now() < deadline; round++) {
    failure = conductor.round(firstSeed + round, () => heartbeat !== undefined && Atomics.add(heartbeat, 0, 1));
  }
  for (const worker of workers) void worker.terminate();
  return { rounds: round, failure };
}

/** Takes the threads through the phases of a round. */
class Conductor {
  readonly #scenario: Scenario;
  readonly #host: HostMemory;
  readonly #extra: unknown;
  readonly #lines: ScheduleLines;
  readonly #rounds: BatonRounds;

  constructor(scenario: Scenario, host: HostMemory, extra: unknown, lines: ScheduleLines) {
    this.#scenario = scenario;
    this.#host = host;
    this.#extra = extra;
    this.#lines = lines;
    this.#rounds = new BatonRounds(lines.baton, scenario.roles.length);
  }

  /** One round; returns what went wrong. Calls `onReady` when all threads are about to run. */
  round(seed: number, onReady: () => void): string | undefined {
    try {
      this.#scenario.before(this.#host, this.#extra, seed);
      this.#phase(seed);
      onReady();
      this.#throwFailure();
      const verdict = this.#phase(seed, () => this.#rounds.run(seed));
      if (verdict !== "done") throw new Error(`${verdict}, all threads were here:\n${this.#whereThreadsWere()}`);
      this.#throwFailure();
      this.#phase(seed);
      this.#throwFailure();
      this.#scenario.after(this.#host, this.#extra, seed, this.#results());
      return undefined;
    } catch (error) {
      return `${this.#scenario.name}, seed ${seed}: ${error instanceof Error ? error.message : String(error)}`;
    }
  }

  #phase(seed: number): undefined;
  #phase<T>(seed: number, meanwhile: () => T): T;
  #phase<T>(seed: number, meanwhile?: () => T): T | undefined {
    const { control } = this.#lines;
    Atomics.store(control, READY, 0);
    Atomics.store(control, SEED, seed);
    Atomics.add(control, PHASE, 1);
    Atomics.notify(control, PHASE);
    const result = meanwhile?.();
    // Threads that never come back from a round that was given up are not waited for.
    if (result !== undefined && result !== "done") return result;
    for (let ready = 0; ready < this.#scenario.roles.length;) ready = awaitChange(control, READY, ready);
    return result;
  }

  /** Threads of a round that was given up are thrown out of it, and note from where. */
  #whereThreadsWere(): string {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    return readFailures(this.#lines, this.#scenario.roles.length) ?? "";
  }

  #throwFailure(): void {
    const failure = readFailures(this.#lines, this.#scenario.roles.length);
    if (failure !== undefined) throw new Error(failure);
  }

  #results(): (readonly number[])[] {
    const { results } = this.#lines;
    return this.#scenario.roles.map((_, role) => {
      const row = role * (RESULTS_MAX + 1);
      return [...results.subarray(row + 1, row + 1 + results[row]!)];
    });
  }
}
