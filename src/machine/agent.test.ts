import assert from "node:assert/strict";
import { test } from "node:test";
import { slotConsole } from "../abi/channels.js";
import { AgentJob, GuestAgent } from "./agent.js";

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

interface TestAgent {
  readonly agent: GuestAgent;
  readonly sent: string[];
  readonly acknowledged: Map<number, number>;
  /** Sends a line as the guest's agent. */
  say(text: string): void;
}

function createAgent(): TestAgent {
  const sent: string[] = [];
  const acknowledged = new Map<number, number>();
  const agent = new GuestAgent({
    send: (line) => sent.push(line),
    onReady: () => undefined,
    acknowledge: (console, length) => acknowledged.set(console, (acknowledged.get(console) ?? 0) + length),
  });
  return { agent, sent, acknowledged, say: (text) => agent.takeLines(encode(text)) };
}

function submit(agent: GuestAgent, command: string): AgentJob {
  const job = new AgentJob(command, agent, true);
  agent.submit(job);
  return job;
}

function decode(line: string | undefined): string {
  return Buffer.from(line?.split(" ")[2] ?? "", "base64").toString();
}

test("commands wait for ready, then go out in order, the fourth when a slot is free", async () => {
  const { agent, sent, say } = createAgent();
  const jobs = ["one", "two", "three", "fo\u00fcr"].map((command) => submit(agent, command));
  assert.deepEqual(sent, []);
  say("ready\n");
  assert.deepEqual(sent.map(decode), ["one", "two", "three"]);
  say("exit 1 7\n");
  assert.equal((await jobs[1]!.process).exitCode, 7);
  assert.equal(decode(sent[3]), "fo\u00fcr");
  assert.match(sent[3]!, /^exec 1 /);
});

test("lines may come in pieces", async () => {
  const { agent, sent, say } = createAgent();
  const job = submit(agent, "true");
  for (const piece of ["re", "ady\nexi", "t 0 ", "12", "\n"]) say(piece);
  assert.equal(sent.length, 1);
  assert.equal((await job.process).exitCode, 12);
});

test("output of the slot's consoles is the command's, characters across chunks included", async () => {
  const { agent, say } = createAgent();
  const job = submit(agent, "x");
  say("ready\n");
  const bytes = encode("\u20ac1");
  agent.takeOutput(slotConsole(0), bytes.slice(0, 2));
  agent.takeOutput(slotConsole(0), bytes.slice(2));
  agent.takeOutput(slotConsole(0) + 1, encode("warning"));
  say("exit 0 0\n");
  assert.deepEqual(await job.process, { exitCode: 0, stdout: "\u20ac1", stderr: "warning" });
});

test("output nobody reads is acknowledged at once, read output when it is read, and all of it at the exit", async () => {
  const { agent, acknowledged, say } = createAgent();
  const job = submit(agent, "x");
  const { stderr } = job.process;
  say("ready\n");
  agent.takeOutput(slotConsole(0), encode("12345"));
  agent.takeOutput(slotConsole(0) + 1, encode("123"));
  agent.takeOutput(slotConsole(0) + 1, encode("4567"));
  assert.deepEqual([...acknowledged], [[2, 5]]);
  const reader = stderr.getReader();
  await reader.read();
  assert.equal(acknowledged.get(3), 3);
  say("exit 0 0\n");
  assert.equal(acknowledged.get(3), 7);
  assert.equal(new TextDecoder().decode((await reader.read()).value), "4567");
  assert.equal((await reader.read()).done, true);
  assert.equal(acknowledged.get(3), 7);
});

test("a command killed in the queue fails, a running one is killed in the guest", async () => {
  const { agent, sent, say } = createAgent();
  say("ready\n");
  const running = submit(agent, "sleep 9");
  for (const command of ["b", "c"]) submit(agent, command);
  const queued = submit(agent, "d");
  queued.process.kill();
  await assert.rejects(queued.process, { code: "ERR_GUEST_ENDED" });
  running.process.kill();
  assert.equal(sent.at(-1), "kill 0");
  say("exit 0 137\n");
  assert.equal((await running.process).exitCode, 137);
});

test("iteration yields the chunks of both outputs and ends with the command", async () => {
  const { agent, say } = createAgent();
  const job = submit(agent, "x");
  say("ready\n");
  const chunks: string[] = [];
  const iterating = (async () => {
    for await (const { source, bytes } of job.process) chunks.push(`${source} ${new TextDecoder().decode(bytes)}`);
  })();
  agent.takeOutput(slotConsole(0), encode("a"));
  agent.takeOutput(slotConsole(0) + 1, encode("b"));
  say("exit 0 0\n");
  await iterating;
  assert.deepEqual(chunks.sort(), ["stderr b", "stdout a"]);
});

test("the guest's end fails running, queued and later commands with its error", async () => {
  const { agent, say } = createAgent();
  say("ready\n");
  const jobs = ["a", "b", "c", "d"].map((command) => submit(agent, command));
  const stream = jobs[0]!.process.stdout.getReader();
  const end = new Error("the guest has ended");
  agent.fail(end);
  for (const job of [...jobs, submit(agent, "e")]) await assert.rejects(job.process, end);
  await assert.rejects(stream.read(), end);
});
