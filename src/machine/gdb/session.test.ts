/** A session with a VM that only notes what it is asked. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  DEBUG_STOP_BREAKPOINT, DEBUG_STOP_STEP, DEBUG_STOP_WATCHPOINT, WATCH_READ, WATCH_WRITE,
} from "../../abi/layout.js";
import { BREAKPOINTS_MAX, type DebugTable } from "../../cpu/index.js";
import type { DebugTarget } from "./debug-target.js";
import { bytesOf, encodePacket, PACKET_BYTES_MAX, PacketReader, textOf, toHex } from "./packet.js";
import { REGISTERS_BYTES } from "./registers.js";
import { GdbSession } from "./session.js";
import type { StopEvent, VcpuAction } from "./vcpu-debugger.js";

const VCPUS = 2;
const MAPPED_BYTES = 0x100;

/** A VM of two vCPUs whose memory is a few bytes at 0x1000. */
class TestTarget {
  readonly log: string[] = [];
  readonly memory = new Uint8Array(MAPPED_BYTES);
  readonly registers: Uint8Array[] = [0, 1].map((vcpu) => new Uint8Array(REGISTERS_BYTES).fill(vcpu + 1));
  events: StopEvent[] = [];
  table: DebugTable = { breakpoints: [], watchpoints: [] };
  #isStopped = false;
  #waiters: { resolve(): void; reject(error: unknown): void }[] = [];

  readonly debugger: DebugTarget["debugger"] = {
    vcpuCount: VCPUS,
    requestStop: () => {
      if (!this.#isStopped) this.log.push("stop");
      this.halt();
    },
    stopped: async () => {
      if (!this.#isStopped) await new Promise<void>((resolve, reject) => this.#waiters.push({ resolve, reject }));
    },
    events: () => [...this.events],
    clearEvent: (vcpu) => void (this.events = this.events.filter((event) => event.vcpu !== vcpu)),
    resume: (actions: readonly VcpuAction[], table) => {
      this.log.push(`go ${actions.join(" ")}`);
      this.table = table;
      this.#isStopped = false;
    },
    ask: async (vcpu, command) => await Promise.resolve(this.#answer(vcpu, command) as never),
  };

  /** All vCPUs stand, with something to tell. */
  halt(...events: Partial<StopEvent>[]): void {
    this.events.push(...events.map((event) => ({ vcpu: 0, kind: DEBUG_STOP_STEP, watchAddress: 0n, watchKind: 0, ...event })));
    this.#isStopped = true;
    for (const { resolve } of this.#waiters.splice(0)) resolve();
  }

  /** The VM has ended. */
  die(): void {
    for (const { reject } of this.#waiters.splice(0)) reject(new Error("the guest has ended"));
  }

  readonly describe = (vcpu: number): string => `vCPU ${vcpu}`;
  readonly monitor = async (line: string, vcpu: number): Promise<string> => await Promise.resolve(line === "long" ? "x".repeat(20_000) : `${line} on ${vcpu}\n`);
  readonly kill = (): void => void this.log.push("kill");

  #answer(vcpu: number, command: Parameters<DebugTarget["debugger"]["ask"]>[1]): unknown {
    const at = "address" in command ? Number(command.address) - 0x1000 : 0;
    switch (command.name) {
      case "read-registers": return this.registers[vcpu];
      case "write-registers": this.registers[vcpu] = command.packed; return true;
      case "read-memory": return at < 0 ? new Uint8Array() : this.memory.slice(at, at + command.lengthBytes);
      case "write-memory":
        if (at < 0 || at + command.bytes.length > MAPPED_BYTES) return false;
        this.memory.set(command.bytes, at);
        return true;
      default: return undefined;
    }
  }
}

/** A client that waits for each answer. */
class Client {
  readonly target = new TestTarget();
  readonly packets: string[] = [];
  acknowledgements = "";
  isClosed = false;
  readonly session = new GdbSession(this.target, {
    send: (bytes) => {
      if (bytes.length === 1) this.acknowledgements += textOf(bytes);
      else for (const event of new PacketReader().read(bytes)) if (event.kind === "packet") this.packets.push(event.data!);
    },
    close: () => void (this.isClosed = true),
  });

  send(data: string): void {
    this.session.receive(encodePacket(data));
  }

  /** The answer to `data`; undefined = none so far. */
  async ask(data: string): Promise<string | undefined> {
    this.send(data);
    await settle();
    return this.packets.shift();
  }
}

async function settle(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

test("the first packet stops the guest, and bytes before it do not", async () => {
  const client = new Client();
  client.session.receive(bytesOf("GET / HTTP/1.1\r\n\r\n+"));
  await settle();
  assert.deepEqual(client.target.log, []);
  assert.equal(await client.ask("?"), "T05thread:1;");
  assert.deepEqual(client.target.log, ["stop"]);
});

test("packets are acknowledged until the client wants no more of it; one that is damaged is asked for again", async () => {
  const client = new Client();
  client.session.receive(bytesOf("$?#00"));
  assert.equal(client.acknowledgements, "-");
  assert.match((await client.ask("qSupported:multiprocess+"))!, /^PacketSize=4000;.*QStartNoAckMode\+.*swbreak\+/);
  assert.equal(await client.ask("QStartNoAckMode"), "OK");
  assert.equal(client.acknowledgements, "-++");
  assert.equal(await client.ask("?"), "T05thread:1;");
  assert.equal(client.acknowledgements, "-++");
  client.session.receive(bytesOf("-"));
  assert.deepEqual(client.packets, ["T05thread:1;"]);
});

test("what is not understood is answered with nothing, what is malformed with an error, and the session goes on", async () => {
  const client = new Client();
  for (const data of ["vMustReplyEmpty", "vFile:open:", "qTStatus", "Z9,0,1", "!", "qXfer:memory-map:read::0,1", "\0\xff"]) assert.equal(await client.ask(data), "", data);
  for (const data of [
    "m", "m1000", "mxyz,1", "m1000,", "M1000,2:00", "M1000,1:0", "M1000,1:zz", "X1000,2:a", "Z0,", "Z2,1000,0", "Z2,1000,2000", "p999", "pzz", "P0=00", "P0", "Pffff=00",
    "G00", "H", "Hx1", "Hg3", "Hg-2", "T0", "T3", "Tx", "vCont", "vCont;", "vCont;x", "vCont;c:9", "vCont;t", "sffff", "qRcmd,0", "qXfer:features:read:target.xml:x,1",
    "qThreadExtraInfo,9", `m${"1".repeat(17)},1`,
  ]) assert.equal(await client.ask(data), "E16", data);
  client.send("x".repeat(PACKET_BYTES_MAX + 1));
  await settle();
  assert.equal(client.packets.shift(), "E16");
  assert.equal(await client.ask("?"), "T05thread:1;");
  assert.deepEqual(client.target.log, ["stop"]);
});

test("memory is read as far as it is there and written whole or not at all", async () => {
  const client = new Client();
  assert.equal(await client.ask("M1002,3:0a0b0c"), "OK");
  assert.equal(await client.ask("X1005,4:#}$*"), "OK");
  assert.equal(await client.ask("m1000,a"), "00000a0b0c237d242a00");
  assert.equal((await client.ask("m10f0,40"))!.length, 0x20);
  assert.equal(await client.ask("m0,4"), "E0e");
  assert.equal(await client.ask("M10ff,2:0000"), "E0e");
  assert.equal(await client.ask("X0,0:"), "E0e");
  assert.equal(await client.ask("m1000,0"), "");
});

test("registers are those of the selected thread, alone or together", async () => {
  const client = new Client();
  assert.equal(await client.ask("g"), "01".repeat(REGISTERS_BYTES));
  assert.equal(await client.ask("Hg2"), "OK");
  assert.equal(await client.ask("p10"), "02".repeat(8));
  assert.equal(await client.ask("P11=78563412"), "OK");
  assert.equal(await client.ask("p11"), "78563412");
  assert.deepEqual(client.target.registers[0], new Uint8Array(REGISTERS_BYTES).fill(1));
  assert.equal(await client.ask(`G${"07".repeat(REGISTERS_BYTES)}`), "OK");
  assert.equal(await client.ask("Hc-1"), "OK");
  assert.equal(await client.ask("Hg0"), "OK");
  assert.equal(await client.ask("p0"), "07".repeat(8));
});

test("threads are listed and described", async () => {
  const client = new Client();
  assert.deepEqual([await client.ask("qfThreadInfo"), await client.ask("qsThreadInfo"), await client.ask("qC")], ["m1,2", "l", "QC1"]);
  assert.equal(await client.ask("qThreadExtraInfo,2"), toHex(bytesOf("vCPU 1")));
  assert.deepEqual([await client.ask("T1"), await client.ask("T2"), await client.ask("qAttached")], ["OK", "OK", "1"]);
});

test("the target description comes in the pieces that are asked for", async () => {
  const client = new Client();
  let text = "";
  for (;;) {
    const piece = (await client.ask(`qXfer:features:read:target.xml:${text.length.toString(16)},200`))!;
    text += piece.slice(1);
    if (piece.startsWith("l")) break;
  }
  assert.match(text, /^<\?xml.*<\/target>$/s);
  assert.equal(await client.ask("qXfer:features:read:target.xml:fffff,200"), "E16");
});

test("vCont says for each vCPU what it does, and the stop reply says why it stopped", async () => {
  const client = new Client();
  const { target } = client;
  const cases: readonly (readonly [string, string, Partial<StopEvent>, string])[] = [
    ["vCont;c", "go continue continue", { vcpu: 1, kind: DEBUG_STOP_BREAKPOINT }, "T05swbreak:;thread:2;"],
    ["vCont;s:2", "go stay step", { vcpu: 1 }, "T05thread:2;"],
    ["vCont;s:1;c", "go step continue", { vcpu: 0 }, "T05thread:1;"],
    ["vCont;C05:2;S00:1", "go step continue", { vcpu: 0 }, "T05thread:1;"],
    ["c", "go continue continue", { vcpu: 1, kind: DEBUG_STOP_BREAKPOINT }, "T05swbreak:;thread:2;"],
    ["s", "go stay step", { vcpu: 1 }, "T05thread:2;"],
    ["vCont;s:0", "go stay step", { vcpu: 1 }, "T05thread:2;"],
  ];
  for (const [data, goes, event, reply] of cases) {
    assert.equal(await client.ask(data), undefined, data);
    assert.equal(target.log.at(-1), goes);
    target.halt(event);
    await settle();
    assert.equal(client.packets.shift(), reply);
    assert.equal(await client.ask("?"), reply);
  }
  assert.equal(await client.ask("vCont?"), "vCont;c;C;s;S");
});

test("breakpoints and watchpoints are looked for from the next going on, and a stop names the watchpoint or the kind of breakpoint", async () => {
  const client = new Client();
  const { target } = client;
  const rip = 0x0101_0101_0101_0101n;
  for (const data of [`Z1,${rip.toString(16)},1`, "Z0,2000,1", "Z0,2000,1", "Z1,2000,1", "Z2,3000,8", "Z3,3008,4", "Z4,3010,1"]) assert.equal(await client.ask(data), "OK", data);
  client.send("vCont;c");
  await settle();
  assert.deepEqual(target.table, {
    breakpoints: [rip, 0x2000n],
    watchpoints: [
      { address: 0x3000n, lengthBytes: 8, kind: WATCH_WRITE }, { address: 0x3008n, lengthBytes: 4, kind: WATCH_READ },
      { address: 0x3010n, lengthBytes: 1, kind: WATCH_WRITE | WATCH_READ },
    ],
  });
  target.halt({ kind: DEBUG_STOP_BREAKPOINT });
  await settle();
  assert.equal(client.packets.shift(), "T05hwbreak:;thread:1;");
  for (const [kind, name] of [[WATCH_WRITE, "watch"], [WATCH_READ, "rwatch"], [WATCH_WRITE | WATCH_READ, "awatch"]] as const) {
    client.send("vCont;c");
    await settle();
    target.halt({ vcpu: 1, kind: DEBUG_STOP_WATCHPOINT, watchAddress: 0x3000n, watchKind: kind });
    await settle();
    assert.equal(client.packets.shift(), `T05${name}:3000;thread:2;`);
  }
  for (const data of ["z0,2000,1", "z1,2000,1", "z0,7777,1", "z2,3000,8", "z3,3008,4", "z4,3010,1"]) assert.equal(await client.ask(data), "OK", data);
  client.send("vCont;c");
  await settle();
  assert.deepEqual(target.table, { breakpoints: [rip], watchpoints: [] });
});

test("there are so many breakpoints and no more", async () => {
  const client = new Client();
  for (let index = 0; index < BREAKPOINTS_MAX; index++) assert.equal(await client.ask(`Z0,${(index + 1).toString(16)},1`), "OK");
  assert.equal(await client.ask("Z0,ffff,1"), "E1c");
  assert.equal(await client.ask("Z0,1,1"), "OK");
  assert.equal(await client.ask("z0,1,1"), "OK");
  assert.equal(await client.ask("Z2,ffff,4"), "OK");
});

test("of two vCPUs that stop at once, a step is told first; a watchpoint's hit is told next, a breakpoint is left to be hit again", async () => {
  const client = new Client();
  const { target } = client;
  assert.equal(await client.ask("Z2,3000,8"), "OK");
  const watch = { kind: DEBUG_STOP_WATCHPOINT, watchAddress: 0x3000n, watchKind: WATCH_WRITE };
  client.send("vCont;s:1;c");
  await settle();
  target.halt({ vcpu: 1, ...watch }, { vcpu: 0, kind: DEBUG_STOP_STEP });
  await settle();
  assert.equal(client.packets.shift(), "T05thread:1;");
  const goings = target.log.length;
  assert.equal(await client.ask("vCont;c"), "T05watch:3000;thread:2;");
  assert.equal(target.log.length, goings, "nobody went on for it");
  client.send("vCont;c");
  await settle();
  target.halt({ vcpu: 0, kind: DEBUG_STOP_BREAKPOINT }, { vcpu: 1, kind: DEBUG_STOP_BREAKPOINT });
  await settle();
  assert.equal(client.packets.shift(), "T05swbreak:;thread:1;");
  assert.equal(await client.ask("vCont;c"), undefined);
  assert.deepEqual(target.events, []);
  // A hit of a watchpoint that has been taken away meanwhile is not told.
  target.halt({ vcpu: 0, kind: DEBUG_STOP_STEP }, { vcpu: 1, ...watch });
  await settle();
  client.packets.shift();
  assert.equal(await client.ask("z2,3000,8"), "OK");
  assert.equal(await client.ask("vCont;c"), undefined);
});

test("Ctrl-C stops a guest that runs, also when it comes with the packet that lets it run, and means nothing while it stands", async () => {
  const client = new Client();
  const { target } = client;
  client.session.receive(bytesOf("\x03"));
  assert.equal(await client.ask("vCont;c"), undefined);
  client.session.receive(bytesOf("\x03"));
  await settle();
  assert.equal(client.packets.shift(), "T02thread:1;");
  client.session.receive(Uint8Array.of(...encodePacket("vCont;c"), 3));
  await settle();
  assert.equal(client.packets.shift(), "T02thread:1;");
  assert.deepEqual(target.log, ["stop", "go continue continue", "stop", "go continue continue", "stop"]);
  client.session.receive(bytesOf("\x03"));
  assert.equal(await client.ask("vCont;c"), undefined);
});

test("monitor output comes as console output, in packets that are not too long", async () => {
  const client = new Client();
  client.send(`qRcmd,${toHex(bytesOf("vcpu show"))}`);
  await settle();
  assert.deepEqual(client.packets.splice(0), [`O${toHex(bytesOf("vcpu show on 0\n"))}`, "OK"]);
  client.send(`qRcmd,${toHex(bytesOf("long"))}`);
  await settle();
  const packets = client.packets.splice(0);
  assert.equal(packets.pop(), "OK");
  assert.ok(packets.length > 1 && packets.every((packet) => packet.startsWith("O") && packet.length <= PACKET_BYTES_MAX));
  assert.equal(packets.reduce((sum, packet) => sum + (packet.length - 1) / 2, 0), 20_000);
});

test("detaching takes all breakpoints away and lets the guest go on; a later packet stops it again", async () => {
  const client = new Client();
  const { target } = client;
  await client.ask("Z0,2000,1");
  assert.equal(await client.ask("D"), "OK");
  assert.deepEqual(target.log, ["stop", "go continue continue"]);
  assert.deepEqual(target.table, { breakpoints: [], watchpoints: [] });
  assert.equal(await client.ask("?"), "T05thread:1;");
  assert.equal(target.log.at(-1), "stop");
});

test("a client that vanishes, with the guest standing, running or never seen, leaves a guest that runs without breakpoints", async () => {
  for (const begin of [["Z0,2000,1"], ["Z0,2000,1", "vCont;c"], []]) {
    const client = new Client();
    for (const data of begin) await client.ask(data);
    await client.session.close();
    const goings = begin.length === 0 ? undefined : "go continue continue";
    assert.equal(client.target.log.at(-1), goings, begin.join(" "));
    assert.deepEqual(client.target.table.breakpoints, []);
    assert.deepEqual(client.packets, []);
  }
});

test("a client that floods the session is cut off, and packets after the end are not looked at", async () => {
  const client = new Client();
  await client.ask("?");
  client.send("vCont;c");
  for (let index = 0; index < 100; index++) client.send("g");
  assert.equal(client.isClosed, true);
  await client.session.close();
  assert.equal(await client.ask("g"), undefined);
});

test("the end of the VM is told to a client that waits, once", async () => {
  const client = new Client();
  await client.ask("vCont;c");
  client.target.die();
  client.session.end("W00");
  await settle();
  assert.deepEqual([client.packets, client.isClosed], [["W00"], true]);
  const idle = new Client();
  await idle.ask("?");
  idle.session.end("W00");
  assert.deepEqual([idle.packets, idle.isClosed], [[], true]);
});

test("kill ends the VM", async () => {
  const client = new Client();
  assert.equal(await client.ask("k"), undefined);
  assert.equal(await client.ask("vKill;1"), "OK");
  assert.deepEqual(client.target.log, ["stop", "kill", "kill"]);
});
