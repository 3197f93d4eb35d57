/** The socket with a VM that only notes what it is asked. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createConnection, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { ControlSocket, sendCommand } from "./control-socket.js";
import type { ControlTarget } from "./control-target.js";
import { TEST_MAP, TEST_REFUSAL, TestTarget } from "./test-target.js";

const skip = process.platform === "win32" ? "the tests use paths of Unix domain sockets" : false;
let folder = "";
let path = "";
let target: TestTarget;
let socket: ControlSocket;
const clients: Socket[] = [];

before(() => (folder = mkdtempSync(join(tmpdir(), "unpinned-control-"))));
after(() => rmSync(folder, { recursive: true }));
beforeEach(async () => {
  path = join(folder, "socket");
  target = new TestTarget();
  socket = await ControlSocket.listen(path, target as unknown as ControlTarget);
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await socket.close();
});

/** A client that sends lines as they are. */
class Client {
  readonly socket = createConnection(path);
  readonly #lines: Interface = createInterface(this.socket);
  readonly #answers = this.#lines[Symbol.asyncIterator]();

  constructor() {
    clients.push(this.socket);
    this.socket.on("error", () => undefined);
  }

  send(text: string): this {
    this.socket.write(text);
    return this;
  }

  /** The next answer; undefined = the connection has been closed. */
  async answer(): Promise<unknown> {
    const { value, done } = await this.#answers.next();
    return done === true ? undefined : JSON.parse(value as string);
  }
}

test("a command's result comes back with the id it was given", { skip }, async () => {
  assert.deepEqual(await sendCommand(path, ["memory", "show"]), JSON.parse(JSON.stringify(TEST_MAP)));
  const client = new Client().send('{"id":"x","command":"memory move 7"}\n');
  assert.deepEqual(await client.answer(), { id: "x", ok: true, result: { moved: 1, absent: 0, pinned: 0, noSlot: 0, outOfMemory: 0 } });
  assert.deepEqual(target.calls, ["show", "move 7"]);
});

test("a refusal is a result", { skip }, async () => {
  assert.deepEqual(await sendCommand(path, ["memory", "offline", "17"]), TEST_REFUSAL);
});

test("a wrong command, bad JSON and a wrong shape are answered, and the connection goes on", { skip }, async () => {
  const client = new Client();
  for (const [line, id, message] of [
    ["{", null, "expected a JSON object in one line"],
    ["[1]", null, "expected a JSON object in one line"],
    ['"memory show"', null, "expected a JSON object in one line"],
    ['{"id":5}', 5, '"command" must be a list of words, such as ["memory", "show"]'],
    ['{"id":6,"command":["memory",7]}', 6, '"command" must be a list of words, such as ["memory", "show"]'],
    ['{"id":{},"command":["stats"]}', null, '"id" must be a number or a string'],
    ['{"id":7,"command":["jump"]}', 7, 'no command "jump": try help'],
  ] as const) {
    client.send(`${line}\n\n`);
    assert.deepEqual(await client.answer(), { id, ok: false, error: { kind: "usage", message } });
  }
  client.send('{"id":8,"command":["help"]}\n');
  assert.equal((await client.answer() as { ok: boolean }).ok, true);
  assert.deepEqual(target.calls, []);
  await assert.rejects(sendCommand(path, ["jump"]), { code: "ERR_CONTROL_USAGE", message: 'no command "jump": try help' });
});

test("a command that fails is told in one line", { skip }, async () => {
  target.memory.merge = async () => await Promise.reject(new Error("the guest has ended\nand more"));
  await assert.rejects(sendCommand(path, ["memory", "merge"]), { code: "ERR_CONTROL_FAILED", message: "the guest has ended" });
});

test("a line that is too long is refused, and its connection ends", { skip }, async () => {
  const client = new Client().send(`{"command":["stats"],"x":"${"y".repeat(70_000)}`);
  assert.deepEqual(await client.answer(), { id: null, ok: false, error: { kind: "failed", message: "a line may have 65536 bytes" } });
  assert.equal(await client.answer(), undefined);
  await sendCommand(path, ["stats"]);
});

test("a line may come in pieces, and several in one", { skip }, async () => {
  const client = new Client().send('{"id":1,"comm');
  await new Promise((resolve) => setTimeout(resolve, 20));
  client.send('and":["stats"]}\n{"id":2,"command":["resume"]}\n{"id":3,"command":["pause"]}\n');
  for (const id of [1, 2, 3]) assert.equal((await client.answer() as { id: number }).id, id);
  assert.deepEqual(target.calls, ["stats", "resume", "pause"]);
});

test("two clients do not wait for each other", { skip }, async () => {
  let open = (): void => undefined;
  target.gate = new Promise((resolve) => (open = resolve));
  const slow = new Client().send('{"id":1,"command":["memory","move","all"]}\n');
  while (target.calls.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  await sendCommand(path, ["stats"]);
  open();
  assert.equal((await slow.answer() as { ok: boolean }).ok, true);
  assert.deepEqual(target.calls, ["move all", "stats"]);
});

test("a client that vanishes takes nothing with it", { skip }, async () => {
  let open = (): void => undefined;
  target.gate = new Promise((resolve) => (open = resolve));
  const client = new Client().send('{"id":1,"command":["memory","move","all"]}\n{"id":2,"command":["memory","merge"]}\n');
  while (target.calls.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  client.socket.destroy();
  open();
  target.gate = Promise.resolve();
  await sendCommand(path, ["stats"]);
  assert.ok(target.calls.includes("stats"));
});

test("who sends its line and says that no more will come gets its answer", { skip }, async () => {
  const client = new Client();
  client.socket.end('{"id":1,"command":["stats"]}\n');
  assert.equal((await client.answer() as { ok: boolean }).ok, true);
  assert.equal(await client.answer(), undefined);
});

test("only the user may connect, and the socket goes with the VM", { skip }, async () => {
  assert.equal(statSync(path).mode & 0o777, 0o600);
  await socket.close();
  assert.equal(existsSync(path), false);
  await assert.rejects(sendCommand(path, ["stats"]), { code: "ERR_CONTROL_FAILED", message: `${path}: no such file or folder` });
});

test("the end lets an answer go out that is on its way, and ends idle connections", { skip }, async () => {
  let open = (): void => undefined;
  target.gate = new Promise((resolve) => (open = resolve));
  const idle = new Client();
  const busy = new Client().send('{"id":1,"command":["memory","merge"]}\n');
  while (target.calls.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  const closing = socket.close();
  open();
  assert.equal((await busy.answer() as { ok: boolean }).ok, true);
  assert.deepEqual([await idle.answer(), await busy.answer()], [undefined, undefined]);
  await closing;
});

test("a socket that is listened on is refused, one that is left behind is replaced", { skip }, async () => {
  const other = new TestTarget() as unknown as ControlTarget;
  await assert.rejects(ControlSocket.listen(path, other), {
    code: "ERR_CONTROL_SOCKET", message: `${path}: another virtual machine listens there`,
  });
  await sendCommand(path, ["stats"]);
  const stale = join(folder, "stale");
  // A server whose socket file is renamed cannot remove it when it closes.
  const server = createServer().listen(join(folder, "made"));
  await once(server, "listening");
  renameSync(join(folder, "made"), stale);
  server.close();
  await once(server, "close");
  assert.equal(statSync(stale).isSocket(), true);
  const replaced = await ControlSocket.listen(stale, other);
  await sendCommand(stale, ["stats"]);
  await replaced.close();
});

test("a path that cannot be used is said in one line", { skip }, async () => {
  const other = new TestTarget() as unknown as ControlTarget;
  const file = join(folder, "file");
  writeFileSync(file, "text");
  for (const [bad, message] of [
    [file, `${file}: a file that is no socket is in the way`],
    [join(folder, "no", "where"), `${join(folder, "no", "where")}: no such folder`],
    ["", "a socket needs a path"],
  ] as const) {
    await assert.rejects(ControlSocket.listen(bad, other), { code: "ERR_CONTROL_SOCKET", message });
  }
  await assert.rejects(ControlSocket.listen(join(folder, "x".repeat(100)), other), /may have 103 bytes/);
});

test("commands wait until the VM is there", { skip }, async () => {
  let serve = (_vm: ControlTarget): void => undefined;
  const early = join(folder, "early");
  const waiting = await ControlSocket.listen(early, new Promise((resolve) => (serve = resolve)));
  const answer = sendCommand(early, ["memory", "merge"]);
  serve(target as unknown as ControlTarget);
  assert.deepEqual(await answer, { scanned: 100, merged: 10, framesFreed: 9 });
  await waiting.close();
});
