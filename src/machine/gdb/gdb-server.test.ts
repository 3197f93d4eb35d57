/** The server with a VM that runs nothing, and clients that come by TCP and by path. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { type AddressInfo, createConnection, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { DebugTarget } from "./debug-target.js";
import { GdbServer } from "./gdb-server.js";
import { parseListenAddress } from "./listen-address.js";

const skip = process.platform === "win32" ? "the tests use paths of Unix domain sockets" : false;
let folder = "";
before(() => (folder = mkdtempSync(join(tmpdir(), "unpinned-gdb-server-"))));
after(() => rmSync(folder, { recursive: true }));

/** Notes how often it was stopped and let go. */
function makeTarget(): DebugTarget & { readonly log: string[] } {
  const log: string[] = [];
  return {
    log,
    debugger: {
      vcpuCount: 1,
      requestStop: () => void log.push("stop"), stopped: async () => await Promise.resolve(), events: () => [], clearEvent: () => undefined,
      resume: () => void log.push("go"), ask: async () => await Promise.reject(new Error("expected no question")),
    },
    describe: () => "", monitor: async () => await Promise.resolve(""), kill: () => undefined,
  };
}

/** A client's socket, and all that has come from the server. */
class Client {
  readonly socket: Socket;
  received = "";
  readonly #closed: Promise<unknown>;

  constructor(address: string) {
    const [host, port] = address.split(":");
    this.socket = port === undefined ? createConnection(address) : createConnection({ host: host!, port: Number(port) });
    this.socket.on("data", (piece) => (this.received += piece.toString("latin1"))).on("error", () => undefined);
    this.#closed = once(this.socket, "close");
  }

  /** Resolves when `text` has come, or the connection is closed. */
  async until(text: string): Promise<void> {
    while (!this.received.includes(text)) if (await Promise.race([once(this.socket, "data"), this.#closed.then(() => undefined)]) === undefined) return;
  }

  async closed(): Promise<void> {
    await this.#closed;
  }
}

for (const place of ["port", "path"] as const) {
  test(`gdb connects by a ${place}, a second client is turned away, and when the first has gone another one is served`, { skip }, async () => {
    const server = await GdbServer.listen(place === "port" ? 0 : join(folder, "gdb"));
    const target = makeTarget();
    server.serve(target);
    if (place === "path") assert.equal(statSync(server.address).mode & 0o777, 0o600);
    else assert.match(server.address, /^127\.0\.0\.1:[1-9]\d*$/);
    const first = new Client(server.address);
    first.socket.write("$?#3f");
    await first.until("$T05thread:1;#");
    assert.deepEqual(target.log, ["stop"]);
    const second = new Client(server.address);
    await second.closed();
    assert.equal(second.received, "");
    first.socket.destroy();
    while (!target.log.includes("go")) await new Promise((resolve) => setTimeout(resolve, 5));
    const third = new Client(server.address);
    third.socket.write("$?#3f");
    await third.until("$T05");
    assert.equal(target.log.at(-1), "stop");
    await server.end({ reason: "power-off", log: "" });
    await third.closed();
    assert.equal(existsSync(join(folder, "gdb")), false);
  });
}

test("a client that comes before the VM is there is served then", async () => {
  const server = await GdbServer.listen("127.0.0.1:0");
  const client = new Client(server.address);
  client.socket.write("$?#3f");
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.equal(client.received, "");
  server.serve(makeTarget());
  await client.until("$T05");
  assert.match(client.received, /^\+\$T05/);
  await server.close();
});

test("what cannot be listened on is told in one line with the address", { skip }, async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const { port } = other.address() as AddressInfo;
  writeFileSync(join(folder, "file"), "");
  for (const [address, message] of [
    [port, `gdb: 127.0.0.1:${port}: another program listens there`],
    [join(folder, "none", "gdb"), `gdb: ${join(folder, "none", "gdb")}: no such folder`],
    [join(folder, "file"), `gdb: ${join(folder, "file")}: a file that is no socket is in the way`],
    ["192.0.2.1:1234", "gdb: 192.0.2.1:1234: this machine has no such address"],
  ] as const) await assert.rejects(GdbServer.listen(address), { name: "GdbServerError", code: "ERR_GDB_SERVER", message });
  other.close();
});

test("an address is a port, host:port or a path", () => {
  assert.deepEqual(parseListenAddress(1234), { host: "127.0.0.1", port: 1234 });
  assert.deepEqual(parseListenAddress("1234"), { host: "127.0.0.1", port: 1234 });
  assert.deepEqual(parseListenAddress(":1234"), { host: "127.0.0.1", port: 1234 });
  assert.deepEqual(parseListenAddress("0.0.0.0:1"), { host: "0.0.0.0", port: 1 });
  assert.deepEqual(parseListenAddress("[::1]:1"), { host: "::1", port: 1 });
  assert.deepEqual(parseListenAddress("/tmp/gdb:1"), { path: "/tmp/gdb:1" });
  assert.deepEqual(parseListenAddress("gdb"), { path: "gdb" });
  for (const bad of [-1, 1.5, 65536, NaN, "65536", "host:99999", "", " "]) assert.throws(() => parseListenAddress(bad), { code: "ERR_INVALID_OPTION" });
});
