/**
 * `npm run explore:deep -- NAME|FILE [--mutation M] [--retries N] [--steps N] [--tso] [--minutes N] [--state FILE] [--workers N]
 * [--parts N] [--states-millions N]`: all schedules of a large scenario, in parts, on several threads, for as long as it takes.
 * What is done is kept in the state file, which is written every few seconds and at the end, as a whole or not at all; the same command goes on from it.
 * Exit status: 0 holds, 1 fails, 2 wrong use, 3 not finished yet.
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { explore } from "../dist/explore/index.js";
import { addTally, explorePart, Explorer, SharedStateSet, sharedStates, splitSearch } from "../dist/explore/deep/index.js";
import { findScenario } from "../dist/cli/explore-command.js";

const WRITE_EVERY_MS = 3000;
const SHOW_EVERY_MS = 500;
const NOT_FINISHED = 3;
const NAMING_RUNS = 300;

if (isMainThread) process.exitCode = await main().catch((error) => (process.stderr.write(`explore:deep: ${error.message}\n`), 2));
else await work();

// A worker: explores the parts that it is sent, one after the other.

async function work() {
  const { name, options, buffer } = workerData;
  const { machineOptions } = await explorerOf(name, options);
  const visited = new SharedStateSet(buffer);
  parentPort.on("message", ({ index, path }) => {
    let shownMs = Date.now();
    const tell = (tally) => {
      if (Date.now() - shownMs > SHOW_EVERY_MS) parentPort.postMessage({ tally: { ...tally }, at: (shownMs = Date.now()) });
      return false;
    };
    const { tally, findings } = explorePart(machineOptions, path, visited, tell);
    parentPort.postMessage({ index, tally, findings });
  });
  parentPort.postMessage({});
}

/**
 * Words of the shipped source get their places as they are touched. Threads that share a set of states have to mean the same word by the same
 * place; so all begin with the same runs by chance, which touch what there is.
 */
async function explorerOf(name, options) {
  const scenario = await findScenario(name, options.mutation);
  explore(scenario, { ...options, scheduler: "random", runs: NAMING_RUNS, findsAll: true });
  return new Explorer(scenario, options);
}

// The main thread: splits, hands out, writes down.

function readArguments() {
  const text = { type: "string" };
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { mutation: text, retries: text, steps: text, tso: { type: "boolean" }, minutes: text, state: text, workers: text, parts: text, "states-millions": text },
  });
  if (positionals.length !== 1) throw new Error("expected one scenario: npm run explore:deep -- NAME");
  const number = (name, otherwise, isWhole = true) => {
    const value = values[name] === undefined ? otherwise : Number(values[name]);
    if (!(value > 0 || (name === "retries" && value === 0)) || (isWhole && !Number.isInteger(value) && value !== Infinity)) throw new Error(`--${name}: "${values[name]}" is not possible`);
    return value;
  };
  return {
    name: positionals[0],
    options: {
      memoryModel: values.tso ? "tso" : "sc", retries: number("retries", 3), steps: number("steps", 10_000),
      ...(values.mutation === undefined ? {} : { mutation: values.mutation }),
    },
    minutes: number("minutes", Infinity, false), workers: number("workers", availableParallelism()), parts: number("parts", 400),
    statesMax: number("states-millions", 32, false) * 1e6, file: values.state,
  };
}

/** What was done before: parts by number, sums, findings. */
function readState(file, key) {
  if (file === undefined) return undefined;
  let text;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if (error.code === "ENOENT") return undefined;
    throw new Error(`${file} cannot be read: ${error.code}`);
  }
  let state;
  try {
    state = JSON.parse(text);
  } catch {
    throw new Error(`${file} is no state of an exploration`);
  }
  if (state.key !== key) throw new Error(`${file} belongs to another exploration, or to another version of the scenario`);
  return state;
}

async function main() {
  const { name, options, minutes, workers, parts: partsMin, statesMax, file } = readArguments();
  const explorer = await explorerOf(name, options);
  const split = splitSearch(explorer.machineOptions, partsMin);
  const key = JSON.stringify([name, options, split.parts.length, split.tally, split.parts.at(-1) ?? []]);
  const state = readState(file, key) ?? { key, done: [], tally: split.tally, findings: split.findings };
  const write = () => {
    if (file === undefined) return;
    writeFileSync(`${file}.new`, JSON.stringify(state));
    renameSync(`${file}.new`, file);
  };
  const isDone = new Set(state.done);
  const left = split.parts.flatMap((path, index) => (isDone.has(index) ? [] : [{ index, path }]));
  write();
  if (state.findings.length === 0 && left.length > 0) await exploreParts({ name, options, workers, minutes, statesMax, partCount: split.parts.length, left, state, write });
  write();
  const [first] = state.findings;
  if (first !== undefined) {
    process.stdout.write(`${explorer.reportFound(first, state.findings, state.tally).text}\n`);
    return 1;
  }
  if (state.done.length < split.parts.length) {
    process.stdout.write(`not finished: ${state.done.length} of ${split.parts.length} parts are done${file === undefined ? "" : `; the same command goes on from ${file}`}\n`);
    return NOT_FINISHED;
  }
  process.stdout.write(`${explorer.reportHolds(state.tally).text}\n`);
  return 0;
}

/** Hands the parts out until all are done, something is found, the time is over, or a signal asks to end. */
function exploreParts({ name, options, workers, minutes, statesMax, partCount, left, state, write }) {
  const buffer = sharedStates(statesMax);
  const inProgress = new Map();
  const pool = [];
  const beganMs = Date.now();
  return new Promise((resolve, reject) => {
    const timers = [setInterval(write, WRITE_EVERY_MS), setInterval(show, SHOW_EVERY_MS)];
    if (minutes !== Infinity) timers.push(setTimeout(finish, minutes * 60_000));
    for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, finish);
    for (let count = 0; count < Math.min(workers, left.length); count++) {
      const worker = new Worker(fileURLToPath(import.meta.url), { workerData: { name, options, buffer } });
      worker.on("message", (message) => receive(worker, message));
      worker.on("error", (error) => finish(error));
      pool.push(worker);
    }

    function receive(worker, { index, tally, findings }) {
      if (index === undefined && tally !== undefined) return void inProgress.set(worker, tally);
      inProgress.delete(worker);
      if (index !== undefined) {
        state.tally = addTally(state.tally, tally);
        if (findings.length > 0) {
          state.findings = findings;
          return finish();
        }
        state.done.push(index);
        if (state.done.length === partCount) return finish();
      }
      const part = left.shift();
      if (part !== undefined) worker.postMessage(part);
    }

    function show() {
      if (!process.stderr.isTTY) return;
      const { states, steps, schedules, depthMax } = [...inProgress.values()].reduce(addTally, state.tally);
      const seconds = (Date.now() - beganMs) / 1000;
      process.stderr.write(`\r\x1b[K${state.done.length} of ${partCount} parts, ${schedules} schedules, ${states} states, ${steps} steps, depth ${depthMax}, ${seconds.toFixed(0)} s`);
    }

    function finish(error) {
      timers.forEach((timer) => clearInterval(timer));
      if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
      void Promise.all(pool.map((worker) => worker.terminate())).then(() => (error instanceof Error ? reject(error) : resolve()));
    }
  });
}
