/**
 * Program that runs one scenario or one directed check of a copy of the code (mutant-tree.ts) and says whether something went wrong:
 * status 0 = all was well, 1 = a failure was found, 3 = it hangs. What it runs is in a thread, so that a hang of it is seen.
 *
 *     node dist/guest-page/testing/catcher.js MODULE NAME TIME_MS [FIRST_SEED [ROUNDS]]
 *
 * MODULE is the URL or the path from dist/ of a module that exports SCENARIOS or CHECKS. In the repository's own dist/ scenarios run
 * without pauses; node dist/guest-page/testing/explore.js makes a copy for them.
 */
import { pathToFileURL } from "node:url";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { runSchedules } from "./schedules.js";
import type { Scenario } from "./schedules.js";

/** Longest time without a round that ends before a run counts as hanging. */
const STALL_MS = 8000;
const START_MS = 30_000;

/** What a module of checks exports. */
export interface CheckModule {
  readonly SCENARIOS?: readonly Scenario[];
  /** Each throws when something is wrong. */
  readonly CHECKS?: Readonly<Record<string, (timeMs: number) => unknown>>;
}

interface Job {
  readonly module: string;
  readonly name: string;
  readonly timeMs: number;
  readonly firstSeed: number;
  readonly rounds: number;
  /** One word, bumped by every round. */
  readonly heartbeat: Int32Array;
}

interface Verdict {
  readonly failure: string | undefined;
  readonly rounds: number;
}

async function runJob({ module, name, timeMs, firstSeed, rounds, heartbeat }: Job): Promise<Verdict> {
  const { SCENARIOS = [], CHECKS = {} } = (await import(module)) as CheckModule;
  const scenario = SCENARIOS.find((other) => other.name === name);
  if (scenario !== undefined) return runSchedules(scenario, { module, rounds, timeMs, firstSeed, heartbeat });
  const check = CHECKS[name];
  if (check === undefined) throw new Error(`there is no scenario and no check "${name}" in ${module}`);
  try {
    await check(timeMs);
    return { failure: undefined, rounds: 1 };
  } catch (error) {
    return { failure: `${name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`, rounds: 1 };
  }
}

function moduleUrl(module: string): string {
  return module.startsWith("file:") ? module : new URL(`../../${module}`, pathToFileURL(process.argv[1]!)).href;
}

/** Calls `onStall` when a word has not changed for a while; the first change, which waits for threads to start, may take longer. */
function watch(heartbeat: Int32Array, onStall: (rounds: number) => void): void {
  let seen = 0;
  let seenAt = Date.now();
  setInterval(() => {
    const now = Atomics.load(heartbeat, 0);
    if (now !== seen) seenAt = Date.now();
    seen = now;
    if (Date.now() - seenAt > (now === 0 ? START_MS : STALL_MS)) onStall(now);
  }, STALL_MS / 10);
}

function main(): void {
  const [module = "", name = "", timeMs = "2000", firstSeed = "1", rounds = "Infinity"] = process.argv.slice(2);
  const job: Job = { module: moduleUrl(module), name, timeMs: Number(timeMs), firstSeed: Number(firstSeed), rounds: Number(rounds), heartbeat: new Int32Array(new SharedArrayBuffer(4)) };
  const worker = new Worker(new URL(import.meta.url), { workerData: job });
  const end = (status: number, text: string): void => {
    process.stdout.write(`${text}\n`, () => process.exit(status));
  };
  watch(job.heartbeat, (done) => end(3, `${name}: hangs after ${done} rounds`));
  worker.on("message", ({ failure, rounds: done }: Verdict) => end(failure === undefined ? 0 : 1, failure ?? `${name}: ${done} rounds`));
  worker.on("error", (error) => end(1, `${name}: ${error.stack ?? error.message}`));
}

if (isMainThread) main();
else parentPort!.postMessage(await runJob(workerData as Job));
