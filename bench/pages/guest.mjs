/** Part guest: what moves of its pages cost a real guest, and what a real guest costs the moves. */
import { setTimeout as sleep } from "node:timers/promises";
import { VirtualMachine } from "../../dist/machine/index.js";
import { hasProcessorTimes, threadsMs } from "../processor-time.mjs";
import { ratioOf, spreadOf } from "../statistics.mjs";
import { formatNumber, formatSpread, formatTable } from "../table.mjs";
import { PAGE_ACCESSES } from "./page-accesses.mjs";

const RATES = /** @type {const} */ ([0, 1000, 10_000, "max"]);
const VCPUS = [1, 2];
const FRAMES_PER_BLOCK = 4096;
const BLOCK_BYTES = 1 << 24;
const MIB = 1 << 20;
/** Fills blocks, so that there are some with every frame in use. */
const FILLER_MIB = 64;
/** With "max" on as many vCPUs as the host has processors, and a busy host, a command takes minutes. */
const TIMEOUT_MS = 900_000;

/** A fixed piece of work: hashing, packing and interpreting, with processes, pipes and files. @param {boolean} isSmoke */
function workOf(isSmoke) {
  const [hashed, packed, rounds] = isSmoke ? [100_000, 50_000, 100] : [1_500_000, 400_000, 2500];
  return `head -c ${hashed} /tmp/data | sha256sum; head -c ${packed} /tmp/data | gzip -c | md5sum; `
    + `i=0 s=0; while [ $i -lt ${rounds} ]; do i=$((i+1)); s=$(((s+i*7)&65535)); done; echo $s`;
}

/** @param {import("../rounds.mjs").BenchContext} context */
export async function benchGuest(context) {
  /** @type {Record<string, any[]>} */
  const work = {};
  /** @type {Record<string, number[]>} */
  const idleMoves = {};
  /** @type {Record<string, any[]>} */
  const offline = {};
  for (const pageAccess of PAGE_ACCESSES) {
    // A short run shows two vCPUs once.
    for (const vcpus of VCPUS.filter((count) => !context.isSmoke || count === 1 || pageAccess === PAGE_ACCESSES[0])) {
      const guest = await Guest.boot(context, pageAccess, vcpus);
      try {
        await guest.measureWork(work);
        if (vcpus === 1) {
          (idleMoves[pageAccess] ??= []).push(...await guest.measureIdleMoves());
          offline[pageAccess] = await guest.measureOffline();
        }
      } finally {
        await guest.end();
      }
    }
  }
  return { work, idleMoves, offline };
}

class Guest {
  #vm;
  #context;
  #title;
  #vcpus;
  #pageAccess;
  /** @type {string[]} */
  #vcpuThreads = [];

  constructor(/** @type {VirtualMachine} */ vm, /** @type {import("../rounds.mjs").BenchContext} */ context, /** @type {string} */ pageAccess,
    /** @type {number} */ vcpus) {
    this.#vm = vm;
    this.#context = context;
    this.#pageAccess = pageAccess;
    this.#vcpus = vcpus;
    this.#title = `${pageAccess}, ${vcpus} vCPU`;
  }

  /** @param {import("../rounds.mjs").BenchContext} context @param {any} pageAccess @param {number} vcpus */
  static async boot(context, pageAccess, vcpus) {
    context.say(`guest, ${pageAccess}, ${vcpus} vCPU: boot`);
    const vm = await VirtualMachine.create({ vcpus, pageAccess, memoryBytes: context.memoryBytes, mode: "exec", stormSeed: 1 });
    const guest = new Guest(vm, context, pageAccess, vcpus);
    await guest.#run("mount -t tmpfs -o size=75% tmpfs /tmp 2>/dev/null; for i in 1 2 3; do cat /bin/busybox; done >/tmp/data");
    const before = threadsMs(process.pid);
    // For the compiler, and to learn which threads are the vCPUs'.
    await guest.#work();
    const spent = [...threadsMs(process.pid)].map(([thread, ms]) => ({ thread, ms: ms - (before.get(thread) ?? 0) }));
    guest.#vcpuThreads = spent.sort((a, b) => b.ms - a.ms).slice(0, vcpus).map(({ thread }) => thread);
    return guest;
  }

  /** @param {string} command */
  async #run(command) {
    const { exitCode, stdout, stderr } = await this.#vm.exec(command, { timeoutMs: TIMEOUT_MS });
    if (exitCode !== 0) throw new Error(`in the guest, a command ended with ${exitCode}: ${stderr}`);
    return stdout;
  }

  /** The same work on each vCPU. */
  async #work() {
    const work = workOf(this.#context.isSmoke);
    const [first, ...others] = await Promise.all(Array.from({ length: this.#vcpus }, () => this.#run(work)));
    if (others.some((other) => `${other}` !== `${first}`)) throw new Error("expected the same result of the same work");
    return `${first}`;
  }

  #vcpuMs() {
    const times = threadsMs(process.pid);
    return this.#vcpuThreads.reduce((sum, thread) => sum + (times.get(thread) ?? 0), 0);
  }

  /** @param {Record<string, any[]>} samples */
  async measureWork(samples) {
    const { runs, say } = this.#context;
    let result;
    for (let round = 0; round < runs; round++) {
      for (const rate of RATES) {
        say(`guest, ${this.#title}: work at ${rate} moves/s, round ${round + 1} of ${runs}`);
        await this.#vm.memory.storm(rate);
        const movesBefore = this.#vm.stats().storm.moves;
        const cpuBefore = this.#vcpuMs();
        const begun = performance.now();
        const output = await this.#work();
        const wallMs = performance.now() - begun;
        result ??= output;
        if (output !== result) throw new Error("expected the same result of the same work");
        const moves = this.#vm.stats().storm.moves - movesBefore;
        (samples[`${this.#title}, ${rate}`] ??= []).push({ wallMs, cpuMs: this.#vcpuMs() - cpuBefore, movesPerSecond: moves / (wallMs / 1000) });
      }
    }
    await this.#vm.memory.storm(0);
  }

  async measureIdleMoves() {
    const { runs, isSmoke } = this.#context;
    const samples = [];
    for (let round = 0; round < runs; round++) {
      await this.#vm.memory.storm("max");
      const before = this.#vm.stats().storm.moves;
      const begun = performance.now();
      await sleep(isSmoke ? 50 : 700);
      samples.push((this.#vm.stats().storm.moves - before) / ((performance.now() - begun) / 1000));
      await this.#vm.memory.storm(0);
    }
    return samples;
  }

  /** Full blocks offline, one after the other, while the guest computes; and the block in which pages are pinned. */
  async measureOffline() {
    this.#context.say(`guest, ${this.#title}: blocks offline`);
    await this.#run(`dd if=/dev/zero of=/tmp/filler bs=1M count=${FILLER_MIB} 2>/dev/null`);
    const control = new AbortController();
    const busy = this.#vm.exec("i=0; while :; do i=$((i+1)); done", { signal: control.signal }).catch(() => undefined);
    const copy = new CopiedBlock();
    const samples = [];
    const rounds = this.#context.isSmoke ? 1 : Math.max(7, this.#context.runs);
    for (let round = 0; round < rounds; round++) {
      const { blocks } = await this.#vm.memory.show();
      const full = blocks.filter(({ state, free }) => state === "online" && free === 0);
      const block = this.#pageAccess === "pinned" ? blocks.find(({ pinned }) => pinned > 0) : full[round % full.length];
      if (block === undefined) break;
      const copyMs = copy.measure();
      const begun = performance.now();
      const outcome = await this.#vm.memory.offline(block.index);
      const ms = performance.now() - begun;
      samples.push({ ms, copyMs, frames: FRAMES_PER_BLOCK - block.free, result: outcome.result === "offline" ? "offline" : outcome.reason });
      if (outcome.result === "offline") await this.#vm.memory.online(block.index);
    }
    control.abort(new Error("enough"));
    await busy;
    return samples;
  }

  async end() {
    await this.#vm.dispose();
  }
}

/** 16 MiB in shared memory and the time to copy them. */
class CopiedBlock {
  #bytes = new Uint8Array(new WebAssembly.Memory({ initial: 32 * MIB / 65536, maximum: 32 * MIB / 65536, shared: true }).buffer).fill(1);

  measure() {
    const begun = performance.now();
    this.#bytes.copyWithin(BLOCK_BYTES, 0, BLOCK_BYTES);
    return performance.now() - begun;
  }
}

/** @param {Awaited<ReturnType<typeof benchGuest>>} result */
export function formatGuest({ work, idleMoves, offline }) {
  return [formatWork(work), formatMoves(idleMoves, work), formatOffline(offline)].join("\n\n");
}

/** @param {Record<string, any[]>} work */
function formatWork(work) {
  const rows = PAGE_ACCESSES.flatMap((pageAccess) => VCPUS.flatMap((vcpus) => RATES.flatMap((rate) => {
    const samples = work[`${pageAccess}, ${vcpus} vCPU, ${rate}`];
    if (samples === undefined) return [];
    const still = work[`${pageAccess}, ${vcpus} vCPU, 0`];
    const of = (/** @type {string} */ key) => samples.map((sample) => sample[key]);
    const speed = (/** @type {string} */ key) => {
      const spread = ratioOf(still.map((sample) => sample[key]), of(key));
      return rate === 0 ? "100" : formatSpread(spread && { median: spread.median * 100, min: spread.min * 100, max: spread.max * 100 });
    };
    return [[
      `${pageAccess}, ${vcpus} vCPU, storm ${rate}`, hasProcessorTimes ? formatSpread(spreadOf(of("cpuMs"))) : "-", formatSpread(spreadOf(of("wallMs"))),
      hasProcessorTimes ? speed("cpuMs") : "-", speed("wallMs"), formatNumber(spreadOf(of("movesPerSecond"))?.median),
    ]];
  })));
  return formatTable(["fixed work in a guest", "guest_work_cpuMs_median", "guest_work_wallMs_median", "speed kept by CPU, %", "by wall, %", "moves/s"], rows);
}

/** @param {Record<string, number[]>} idleMoves @param {Record<string, any[]>} work */
function formatMoves(idleMoves, work) {
  const rows = PAGE_ACCESSES.map((pageAccess) => [
    pageAccess, formatSpread(spreadOf(idleMoves[pageAccess])),
    ...VCPUS.map((vcpus) => formatSpread(spreadOf((work[`${pageAccess}, ${vcpus} vCPU, max`] ?? []).map(({ movesPerSecond }) => movesPerSecond)))),
  ]);
  return formatTable(["frame_move_perS_median, storm max", "guest idle", "1 vCPU busy", "2 vCPUs busy"], rows);
}

/** @param {Record<string, any[]>} offline */
function formatOffline(offline) {
  const rows = Object.entries(offline).map(([pageAccess, samples]) => {
    const results = [...new Set(samples.map(({ result }) => result))].join(", ");
    const ms = samples.map((sample) => sample.ms);
    const copies = samples.map((sample) => sample.copyMs);
    return [pageAccess, results, formatSpread(spreadOf(samples.map(({ frames }) => frames))), formatSpread(spreadOf(ms)), formatSpread(spreadOf(copies)), formatSpread(ratioOf(ms, copies)), `${samples.length}`];
  });
  return formatTable(["block_offline_ms_median, guest busy", "outcome", "frames in use", "ms", "copy of 16 MiB, ms", "ratio", "blocks"], rows);
}
