/**
 * Our machine, as a process of its own: boots the kernel and initial RAM disk of the arguments, prints the guest's console,
 * and puts its counters behind each marker line.
 *
 * Usage: node our-machine.mjs KERNEL INITRD MEMORY_BYTES [CACHE_FOLDER]; without a folder nothing is kept, and nothing used that was kept
 */
import { readFileSync } from "node:fs";
import { watchHostMemory } from "./core-counters.mjs";
import { VirtualMachine } from "../dist/bundle/index.js";

const MARKER = "@bench ";
const [kernel, initrd, memoryBytes, directory] = process.argv.slice(2);

const counters = watchHostMemory();
const vm = await VirtualMachine.create({ kernel, initrd: readFileSync(initrd), memoryBytes: Number(memoryBytes), mode: "exec", cache: directory === undefined ? false : { directory } });
const decoder = new TextDecoder();
let rest = "";
for await (const bytes of vm.console.readable) {
  const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
  rest = lines.pop() ?? "";
  for (const line of lines) process.stdout.write(line.includes(MARKER) ? `${line.trimEnd()}\t${JSON.stringify(report())}\n` : `${line}\n`);
}
const { reason, log } = await vm.ended;
if (reason !== "power-off") {
  process.stderr.write(`the guest ended by ${reason}:\n${log}`);
  process.exitCode = 1;
}

function report() {
  const { instructions, translation, memory, exits, hypercalls, vcpus } = vm.stats();
  return {
    instructions: instructions.interpreter + instructions.translator, tiers: instructions, translation,
    // On the clock of V8's profiles.
    atUs: Number(process.hrtime.bigint() / 1000n), pagesTouched: memory.pagesTouched, haltedMs: vcpus[0].haltedMs, exits, hypercalls, core: counters(),
  };
}
