/**
 * The guest's clock keeps to the host's, sleeps last as long as they should, and a guest that has nothing to do costs nothing.
 *
 * What: two readings of the guest's clock, ten seconds of the host's clock apart; sleeps timed by the guest and by the host; CPU time of this
 *   process, which contains the VM's threads, while the guest is idle.
 * Why: a guest measures with its clock; and one that polls where it should wait burns a core for ever.
 * How it can tell: a reading is bracketed by two readings on the host, so the delay of the request is part of the bound, not of the result. The
 *   best of several readings is taken, as a busy host can only make them worse.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { askGuest, bootGuest } from "../support/guest.mjs";
import { idleLoadLimit, instructionsOf } from "../support/tier.mjs";

const SPAN_MS = 10_000;
const DRIFT_MAX_MS_PER_S = 1;
/** Of one core, while idle. The aim is 2; a busy host makes threads that wake up look dearer. */
const IDLE_LOAD_MAX_PERCENT = idleLoadLimit(4);
const IDLE_MS = 5_000;

/** @type {import("../../../dist/machine/index.js").VirtualMachine} */
let vm;
before(async () => (vm = await bootGuest()));
after(async () => await vm?.dispose());

/** A reader of the guest's clocks that answers each time a line is typed on the console: exec has more to do and is slower. */
class GuestClock {
  #reader;
  #process;
  #text = "";

  constructor() {
    const program = "exec 3<>/dev/hvc0; stty -echo <&3; echo up; while read -r line <&3; do [ $line != end ] || exit; adjtimex >/tmp/now; awk '/time.tv/ { print $NF }' /tmp/now | tr '\\n' ' '; cut -d' ' -f1 /proc/uptime; done";
    this.#process = vm.exec(program);
    this.#reader = this.#process.stdout.getReader();
  }

  async #line() {
    while (!this.#text.includes("\n")) {
      const { value, done } = await this.#reader.read();
      assert.ok(!done, "the clock reader ended");
      this.#text += new TextDecoder().decode(value);
    }
    const [line, ...rest] = this.#text.split("\n");
    this.#text = rest.join("\n");
    return line ?? "";
  }

  async start() {
    assert.equal(await this.#line(), "up");
  }

  /** @param {string} text */
  async #type(text) {
    const writer = vm.console.writable.getWriter();
    await writer.write(new TextEncoder().encode(`${text}\n`));
    writer.releaseLock();
  }

  /** Returns the guest's time of day and the host's before and after, in milliseconds. */
  async read() {
    const before = performance.now();
    await this.#type("now");
    const [seconds, microseconds] = (await this.#line()).split(" ").map(Number);
    const afterwards = performance.now();
    assert.ok(seconds !== undefined && microseconds !== undefined);
    return { guestMs: seconds * 1000 + microseconds / 1000, hostMs: (before + afterwards) / 2, doubtMs: (afterwards - before) / 2 };
  }

  async readBest() {
    const readings = [];
    for (let i = 0; i < 15; i++) readings.push(await this.read());
    return readings.reduce((best, reading) => (reading.doubtMs < best.doubtMs ? reading : best));
  }

  async end() {
    await this.#type("end");
    await this.#reader.cancel();
    await this.#process;
  }
}

test("the guest's clock keeps to the host's", async (context) => {
  const clock = new GuestClock();
  await clock.start();
  const first = await clock.readBest();
  await wait(SPAN_MS);
  const second = await clock.readBest();
  await clock.end();
  const hostMs = second.hostMs - first.hostMs;
  const driftMs = second.guestMs - first.guestMs - hostMs;
  const doubtMs = first.doubtMs + second.doubtMs;
  context.diagnostic(`drift ${driftMs.toFixed(2)} ms in ${(hostMs / 1000).toFixed(1)} s, known to ±${doubtMs.toFixed(2)} ms`);
  assert.ok(doubtMs < 100, `the readings are too slow to tell: ±${doubtMs} ms`);
  assert.ok(Math.abs(driftMs) <= doubtMs + DRIFT_MAX_MS_PER_S * hostMs / 1000, `drift ${driftMs} ms in ${hostMs} ms`);
});

test("the guest's date is the host's", async () => {
  const before = Math.floor(Date.now() / 1000);
  const guest = Number(await askGuest(vm, "date +%s"));
  const afterwards = Math.ceil(Date.now() / 1000);
  assert.ok(guest >= before - 2 && guest <= afterwards + 2, `${guest}, the host has ${before}`);
});

test("a sleep in the guest lasts as long on the host's clock", async (context) => {
  const overheadMs = await timed("sleep 0");
  for (const seconds of [0.2, 1, 2.5]) {
    const lastedMs = await timed(`sleep ${seconds}`) - overheadMs;
    context.diagnostic(`sleep ${seconds} lasted ${lastedMs.toFixed(0)} ms beyond what sleep 0 takes`);
    // The overhead of one command varies by that of a busy host.
    assert.ok(lastedMs > seconds * 1000 - 150, `sleep ${seconds} lasted only ${lastedMs} ms`);
    assert.ok(lastedMs < seconds * 1000 + 1500, `sleep ${seconds} lasted ${lastedMs} ms`);
  }
});

/** @param {string} command */
async function timed(command) {
  const start = performance.now();
  await askGuest(vm, command);
  return performance.now() - start;
}

test("an idle guest leaves the host's processor alone", async (context) => {
  // What follows a command, such as the kernel's own housekeeping, is over after a moment.
  await wait(1500);
  const beforeStats = vm.stats();
  const before = process.cpuUsage();
  const start = performance.now();
  await wait(IDLE_MS);
  const { user, system } = process.cpuUsage(before);
  const loadPercent = (user + system) / 10 / (performance.now() - start);
  const afterStats = vm.stats();
  const instructions = instructionsOf(afterStats) - instructionsOf(beforeStats);
  context.diagnostic(`${loadPercent.toFixed(2)} % of a core, ${instructions} guest instructions in ${IDLE_MS / 1000} s`);
  assert.ok(loadPercent < IDLE_LOAD_MAX_PERCENT, `${loadPercent} % of a core`);
});
