/**
 * Two vCPUs use their local APICs all the time, while the frame of the APIC access page moves and pages of the guest get the frames that
 * it leaves. Each vCPU's guest compares what it reads with what it must be, and halts at a difference.
 */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { Worker } from "node:worker_threads";
import { gfnOf, gpaOf } from "../abi/address.js";
import { APIC_ACCESS_GFN, REQUEST_STOP, VCPU } from "../abi/layout.js";
import { VcpuState } from "../cpu/index.js";
import { makeAllVcpusRequest, VcpuCounters } from "../exit/index.js";
import { GuestMemory } from "../guest-page/index.js";
import { HostMemory } from "../host-memory/index.js";
import { addApicAccessPage, announceApicChanges } from "./apic-access.js";
import { vcpuFlush } from "./vcpu-flush.js";
import type { Job } from "./apic-access.worker.js";
import { loadCore } from "./kept-code.js";

const VCPUS = 2;
const ROUNDS = 4000;
const DURATION_MS = 4000;
const DEADLINE_MS = 20_000;
/** A page for each vCPU that it alone uses; offset 0x10 counts its rounds. */
const victimGpa = (index: number): number => 0x8000 + index * 0x1000;

const u32 = (value: number): number[] => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];

/** 32-bit code without paging, by `as`; ECX is the round's number. A difference leads to CLI and HLT, which ends the vCPU. */
function guestCode(index: number): Uint8Array {
  const victim = victimGpa(index);
  const checks = [
    [0xa1, ...u32(0xfee0_0020)], [0x3d, ...u32((index << 24) >>> 0)], // mov eax, [ID]; cmp eax, the id
    [0x89, 0x0d, ...u32(0xfee0_0310)], [0x39, 0x0d, ...u32(0xfee0_0310)], // mov [ICR high], ecx; cmp [ICR high], ecx
    [0x89, 0x0d, ...u32(victim + 0x20)], [0x39, 0x0d, ...u32(victim + 0x20)], // mov [victim + 0x20], ecx; cmp [victim + 0x20], ecx
    [0x89, 0x0d, ...u32(victim + 0x80)], [0x39, 0x0d, ...u32(victim + 0x80)],
  ];
  const head = [0xff, 0x05, ...u32(victim + 0x10), 0x8b, 0x0d, ...u32(victim + 0x10), 0x0f, 0xb6, 0xd1, 0x89, 0x15, ...u32(0xfee0_0080)];
  // inc dword [victim + 0x10]; mov ecx, [victim + 0x10]; movzx edx, cl; mov [TPR], edx; cmp [TPR], edx
  const body: number[] = [...head, 0x39, 0x15, ...u32(0xfee0_0080)];
  const branches: number[] = [body.length];
  body.push(0, 0, 0, 0, 0, 0);
  for (let n = 0; n < checks.length; n += 2) {
    body.push(...checks[n]!, ...checks[n + 1]!);
    branches.push(body.length);
    body.push(0, 0, 0, 0, 0, 0);
  }
  body.push(0xe9, ...u32(-(body.length + 5)));
  for (const at of branches) body.splice(at, 6, 0x0f, 0x85, ...u32(body.length - (at + 6))); // jne to the end
  return Uint8Array.from([...body, 0xfa, 0xf4]);
}

interface Outcome {
  readonly rounds: readonly number[];
  readonly ends: readonly string[];
  /** Accesses at the APIC's address that reached plain memory. */
  readonly plain: number;
  readonly apicExits: number;
  readonly moves: number;
}

/** Lets the vCPUs run while this thread moves the access page and then, into the frame it left, a page of a guest. */
async function moveWhileUsed(context: TestContext, twin?: Job["twin"]): Promise<Outcome> {
  const host = HostMemory.create({ guestMemoryBytes: 0x10_0000, vcpuCount: VCPUS });
  const { memory } = host;
  const vcpus = Array.from({ length: VCPUS }, (_, index) => new VcpuState(memory, index));
  host.addMemslot({ id: 0, baseGfn: gfnOf(0), pageCount: 16 });
  addApicAccessPage(host);
  host.setVcpuFlush(vcpuFlush(vcpus));
  if (twin !== "no-request") announceApicChanges(host, vcpus);
  const guest = new GuestMemory(host);
  for (const { index } of vcpus) guest.write(gpaOf(0x1000 + index * 0x1000), guestCode(index));
  const { module } = await loadCore(undefined);
  const workers = vcpus.map(({ index }) => {
    const workerData: Job = { memory, module, index, vcpuCount: VCPUS, twin };
    return new Worker(new URL("./apic-access.worker.js", import.meta.url), { workerData });
  });
  context.after(() => Promise.all(workers.map((worker) => worker.terminate())));
  const ends = Promise.all(workers.map((worker) => endOf(worker)));
  const rounds = (): number[] => vcpus.map(({ index }) => guest.readU32(gpaOf(victimGpa(index) + 0x10))!);
  const plain = (): number => vcpus.reduce((sum, vcpu) => sum + Number(vcpu.readU64(VCPU.counterApicMemory)), 0);
  const deadline = Date.now() + DURATION_MS;
  while (rounds().includes(0) && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5));
  let moves = 0;
  for (; moves < ROUNDS && Date.now() < deadline && plain() === 0; moves++) {
    assert.equal(host.moveFrames([gfnOf(APIC_ACCESS_GFN)]).moved, 1);
    host.moveFrames([gfnOf(victimGpa(moves % VCPUS) / 0x1000)]);
  }
  const last = rounds();
  makeAllVcpusRequest(vcpus, REQUEST_STOP);
  const apicExits = vcpus.reduce((sum, { index }) => sum + new VcpuCounters(memory, index).exits()["apic-access"]!, 0);
  return { rounds: last, ends: await ends, plain: plain(), apicExits, moves };
}

function endOf(worker: Worker): Promise<string> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("a vCPU has not ended")), DEADLINE_MS);
    worker.once("message", resolve).once("error", reject).once("exit", () => clearTimeout(timer));
  });
}

test("no vCPU ever uses a frame that the APIC access page has left", { timeout: 60_000 }, async (context) => {
  const { rounds, ends, plain, apicExits, moves } = await moveWhileUsed(context);
  assert.deepEqual(ends, ["stopped", "stopped"]);
  assert.deepEqual([plain, apicExits], [0, 0]);
  assert.ok(Math.min(...rounds) > 100 && moves > 50, `expected some of everything, got ${rounds} rounds, ${moves} moves`);
  context.diagnostic(`${rounds} rounds, ${moves} moves`);
});

for (const twin of ["no-retry", "no-request"] as const) {
  test(`broken twin: ${twin} is found out`, { timeout: 120_000 }, async (context) => {
    for (let attempt = 0; attempt < 5; attempt++) {
      const { plain, ends } = await moveWhileUsed(context, twin);
      if (plain > 0 || ends.includes("power-off")) return;
    }
    assert.fail("expected registers in plain memory, or memory in registers");
  });
}
