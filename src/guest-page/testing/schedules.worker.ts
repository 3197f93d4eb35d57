/** One thread of a scenario (schedules.ts): does its part of each phase. */
import { workerData } from "node:worker_threads";
import { FRAMES_BASE } from "../../abi/layout.js";
import type { SharedMemory } from "../../host-memory/index.js";
import { BatonHolder } from "../../sync/jitter/baton.raw.js";
import { setInterposer } from "../../sync/jitter/paused-atomics.raw.js";
import { awaitChange, noteFailure, PHASE, PHASES, READY, RESULTS_MAX, SEED } from "./schedules.js";
import type { Role, Scenario, ScheduleLines } from "./schedules.js";

interface Start {
  readonly module: string;
  readonly scenario: string;
  readonly role: number;
  readonly count: number;
  readonly memory: SharedMemory;
  readonly extra: unknown;
  readonly lines: ScheduleLines;
}

const start = workerData as Start;
const { lines, role: index } = start;
const { SCENARIOS } = (await import(start.module)) as { SCENARIOS: readonly Scenario[] };
const holder = new BatonHolder(lines.baton, { self: index, threadCount: start.count, bulkFrom: FRAMES_BASE >>> 2 });
setInterposer(holder);
const role = SCENARIOS.find(({ name }) => name === start.scenario)!.roles[index]!(start);

function runRound(target: Role, seed: number): void {
  holder.runRound(() => {
    const numbers = target.run(seed).slice(0, RESULTS_MAX);
    const row = index * (RESULTS_MAX + 1);
    numbers.forEach((value, at) => (lines.results[row + 1 + at] = value));
    lines.results[row] = numbers.length;
  });
}

function doPhase(phase: number): void {
  const seed = Atomics.load(lines.control, SEED);
  switch (PHASES[phase % PHASES.length]) {
    case "prepare":
      return role.prepare?.(seed);
    case "run":
      return runRound(role, seed);
    case "finish":
      return role.finish?.(seed);
    case undefined:
  }
}

for (let phase = 0;;) {
  phase = awaitChange(lines.control, PHASE, phase);
  try {
    doPhase(phase);
  } catch (error) {
    noteFailure(lines, index, error);
  }
  Atomics.add(lines.control, READY, 1);
  Atomics.notify(lines.control, READY);
}
