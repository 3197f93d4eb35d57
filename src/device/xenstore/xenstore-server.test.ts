/** The xenstore protocol over the ring, as a Linux guest uses it and as a hostile one might. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  xenstore_domain_interface, XENSTORE_ERROR_RINGIDX, XS_DIRECTORY, XS_DIRECTORY_PART, XS_GET_DOMAIN_PATH, XS_GET_PERMS,
  XS_INTRODUCE, XS_IS_DOMAIN_INTRODUCED, XS_MKDIR, XS_READ, XS_RESET_WATCHES, XS_RM, XS_SET_PERMS, XS_TRANSACTION_END,
  XS_TRANSACTION_START, XS_UNWATCH, XS_WATCH, XS_WRITE,
} from "../../abi/xen/index.js";
import { TestGuest, XENSTORE_GFN } from "../testing/test-guest.js";
import { REPLY_RING, REQUEST_RING, TestXenbus } from "../testing/test-xenbus.js";
import { createDomainNodes } from "./domain-nodes.js";
import { formatMessage } from "./messages.js";
import { guestOnly } from "./permissions.js";
import { bytesOf } from "./store.js";
import type { Store } from "./store.js";
import { XenstoreServer } from "./xenstore-server.js";

interface Setup {
  readonly guest: TestGuest;
  readonly server: XenstoreServer;
  readonly store: Store;
  readonly bus: TestXenbus;
}

const HOME = "/local/domain/1";

function withServer(body: (setup: Setup) => void): () => void {
  return () => {
    const guest = new TestGuest();
    const server = new XenstoreServer(guest, guest.guest);
    createDomainNodes(server.store, {
      name: "test", uuid: "u-1", memoryKib: 262144, memoryKibMax: 262144, vcpuCount: 2,
      consoleGfn: 0x30, consolePort: 2, xenstoreGfn: 0x31, xenstorePort: 1,
    });
    body({ guest, server, store: server.store, bus: new TestXenbus(guest, () => server.service()) });
    server.close();
    guest.close();
  };
}

test("the conversation of a Linux boot", withServer(({ bus }) => {
  assert.equal(bus.request(XS_READ, "control/platform-feature-xs_reset_watches\0"), "1");
  assert.equal(bus.request(XS_RESET_WATCHES, "\0"), "OK\0");
  for (const path of ["memory/target", "control/shutdown", "control/sysrq"]) {
    assert.equal(bus.request(XS_WATCH, `${path}\0ffffffff81\0`), "OK\0");
    assert.deepEqual(bus.takeEvents(), [`${path} ffffffff81`]);
  }
  const transaction = bus.request(XS_TRANSACTION_START, "\0");
  assert.match(transaction, /^[0-9]+\0$/);
  const id = Number(transaction.slice(0, -1));
  assert.equal(bus.request(XS_READ, "control/shutdown\0", id), "");
  assert.equal(bus.request(XS_TRANSACTION_END, "F\0", id), "OK\0");
  assert.equal(bus.request(XS_READ, "memory/target\0"), "262144");
  assert.equal(bus.request(XS_READ, "memory/static-max\0"), "262144");
  assert.equal(bus.request(XS_WRITE, "control/feature-poweroff\x001"), "OK\0");
  assert.equal(bus.request(XS_DIRECTORY, "backend\0"), "ENOENT");
  assert.equal(bus.request(XS_WATCH, "backend\0t\0"), "OK\0");
  assert.equal(bus.request(XS_DIRECTORY, "device\0"), "");
  assert.equal(bus.request(XS_WATCH, "cpu\0t2\0"), "OK\0");
  assert.equal(bus.request(XS_READ, "cpu/1/availability\0"), "online");
  assert.equal(bus.request(XS_DIRECTORY, `${HOME}/cpu\0`), "0\x001\0");
  assert.equal(bus.request(XS_READ, "name\0"), "test");
}));

test("every reply raises the xenstore port, silence does not", withServer(({ guest, server, bus }) => {
  bus.request(XS_READ, "name\0");
  assert.ok(guest.raised.length > 0 && guest.raised.every((port) => port === 1));
  const count = guest.raised.length;
  assert.equal(server.service(), false);
  assert.equal(guest.raised.length, count);
}));

test("requests and replies cross the ring's wrap, and the indices' wrap at 2^32", withServer(({ guest, store, bus }) => {
  for (const index of [REQUEST_RING.consumer, REQUEST_RING.producer, REPLY_RING.consumer, REPLY_RING.producer]) {
    guest.setWord(XENSTORE_GFN, index, 0xffff_ff00);
  }
  const value = "0123456789".repeat(150);
  for (let round = 0; round < 8; round++) {
    assert.equal(bus.request(XS_WRITE, `data/wrap\0${value}${round}`), "OK\0");
    assert.equal(bus.request(XS_READ, "data/wrap\0"), `${value}${round}`);
  }
  assert.equal(store.readText(`${HOME}/data/wrap`)?.length, 1501);
}));

test("a request that arrives byte by byte is answered once, when it is whole", withServer(({ guest, server, bus }) => {
  const bytes = formatMessage({ type: XS_READ, requestId: 7, transactionId: 0, payload: bytesOf("name\0") });
  for (const byte of bytes) {
    assert.equal(bus.receive().length, 0);
    guest.produce(XENSTORE_GFN, REQUEST_RING, Uint8Array.of(byte));
    server.service();
  }
  assert.deepEqual(bus.receive().map((message) => message.requestId), [7]);
}));

test("a watch fires for the node, below it, and when an ancestor goes; relative ones tell relative paths", withServer(({ store, bus }) => {
  bus.request(XS_WATCH, "data/a\0rel\0");
  bus.request(XS_WATCH, `${HOME}/data/a/b\0abs\0`);
  bus.takeEvents();
  store.writeText(`${HOME}/data/a`, "x");
  assert.deepEqual(bus.takeEvents(), ["data/a rel"]);
  store.writeText(`${HOME}/data/a/b/c`, "x");
  assert.deepEqual(bus.takeEvents(), ["data/a/b/c rel", `${HOME}/data/a/b/c abs`]);
  store.writeText(`${HOME}/data/ab`, "x");
  assert.deepEqual(bus.takeEvents(), []);
  store.remove(0, `${HOME}/data`);
  assert.deepEqual(bus.takeEvents(), ["data/a rel", `${HOME}/data/a/b abs`]);
}));

test("the guest's own writes fire its watches too", withServer(({ bus }) => {
  bus.request(XS_WATCH, "device\0t\0");
  bus.takeEvents();
  bus.request(XS_WRITE, "device/vbd/1/state\x001");
  assert.deepEqual(bus.takeEvents(), ["device/vbd/1/state t"]);
}));

test("watches: twice is EEXIST, unknown is ENOENT, over 128 is E2BIG, reset forgets", withServer(({ store, bus }) => {
  assert.equal(bus.request(XS_WATCH, "data\0t\0"), "OK\0");
  assert.equal(bus.request(XS_WATCH, "data\0t\0"), "EEXIST");
  assert.equal(bus.request(XS_WATCH, "@releaseDomain\0t\0"), "OK\0");
  assert.equal(bus.request(XS_UNWATCH, "data\0other\0"), "ENOENT");
  assert.equal(bus.request(XS_UNWATCH, "data\0t\0"), "OK\0");
  for (let index = 0; index < 127; index++) assert.equal(bus.request(XS_WATCH, `data\0t${index}\0`), "OK\0");
  assert.equal(bus.request(XS_WATCH, "data\0one-too-many\0"), "E2BIG");
  assert.equal(bus.request(XS_RESET_WATCHES, "\0"), "OK\0");
  bus.takeEvents();
  store.writeText(`${HOME}/data`, "x");
  assert.deepEqual(bus.takeEvents(), []);
}));

test("a guest hears nothing of nodes it may not read", withServer(({ store, bus }) => {
  bus.request(XS_WATCH, "/\0all\0");
  bus.takeEvents();
  store.writeText("/tool/secret", "x");
  assert.deepEqual(bus.takeEvents(), []);
  assert.equal(bus.request(XS_READ, "/tool/secret\0"), "EACCES");
  assert.equal(bus.request(XS_READ, "/tool/absent\0"), "EACCES");
  assert.equal(bus.request(XS_DIRECTORY, "/\0"), "EACCES");
}));

function begin(bus: TestXenbus): number {
  return Number(bus.request(XS_TRANSACTION_START, "\0").slice(0, -1));
}

test("a transaction is invisible until it ends, then fires its watches", withServer(({ store, bus }) => {
  bus.request(XS_WATCH, "data\0t\0");
  bus.takeEvents();
  const id = begin(bus);
  assert.equal(bus.request(XS_WRITE, "data/ring-ref\x008", id), "OK\0");
  assert.equal(bus.request(XS_READ, "data/ring-ref\0", id), "8");
  assert.equal(bus.request(XS_READ, "data/ring-ref\0"), "ENOENT");
  assert.deepEqual(bus.takeEvents(), []);
  assert.equal(bus.request(XS_TRANSACTION_END, "T\0", id), "OK\0");
  assert.deepEqual(bus.takeEvents(), ["data/ring-ref t"]);
  assert.equal(store.readText(`${HOME}/data/ring-ref`), "8");
  assert.equal(bus.request(XS_TRANSACTION_END, "T\0", id), "ENOENT");
}));

test("a transaction whose nodes others changed ends with EAGAIN and changes nothing", withServer(({ store, bus }) => {
  store.writeText(`${HOME}/data/read`, "1");
  const id = begin(bus);
  bus.request(XS_READ, "data/read\0", id);
  bus.request(XS_WRITE, "data/written\x002", id);
  store.writeText(`${HOME}/data/read`, "9");
  assert.equal(bus.request(XS_TRANSACTION_END, "T\0", id), "EAGAIN");
  assert.equal(store.readText(`${HOME}/data/written`), undefined);
}));

test("a node that appears under a transaction that looked for it is a conflict", withServer(({ store, bus }) => {
  const id = begin(bus);
  assert.equal(bus.request(XS_READ, "data/new\0", id), "ENOENT");
  bus.request(XS_WRITE, "data/mine\x001", id);
  store.writeText(`${HOME}/data/new`, "x");
  assert.equal(bus.request(XS_TRANSACTION_END, "T\0", id), "EAGAIN");
}));

test("changes elsewhere are kept and are no conflict", withServer(({ store, bus }) => {
  const id = begin(bus);
  bus.request(XS_WRITE, "data/mine\x001", id);
  store.writeText(`${HOME}/data/other`, "2");
  assert.equal(bus.request(XS_TRANSACTION_END, "T\0", id), "OK\0");
  assert.equal(store.readText(`${HOME}/data/mine`), "1");
  assert.equal(store.readText(`${HOME}/data/other`), "2");
}));

test("an aborted transaction leaves no trace", withServer(({ store, bus }) => {
  const id = begin(bus);
  bus.request(XS_RM, "data\0", id);
  assert.equal(bus.request(XS_TRANSACTION_END, "F\0", id), "OK\0");
  assert.equal(store.readText(`${HOME}/data`), "");
}));

test("over ten transactions is ENOSPC, nesting EBUSY, an unknown one ENOENT", withServer(({ bus }) => {
  const ids = Array.from({ length: 10 }, () => begin(bus));
  assert.equal(bus.request(XS_TRANSACTION_START, "\0"), "ENOSPC");
  assert.equal(bus.request(XS_TRANSACTION_START, "\0", ids[0]), "EBUSY");
  assert.equal(bus.request(XS_READ, "name\0", 4711), "ENOENT");
  assert.equal(bus.request(XS_TRANSACTION_END, "T\0"), "ENOENT");
}));

test("a transaction that has grown to its limit can only be ended", withServer(({ store, bus }) => {
  const id = begin(bus);
  for (let count = 0; count < 1024; count++) assert.equal(bus.request(XS_WRITE, `data/same\0${count}`, id), "OK\0");
  assert.equal(bus.request(XS_WRITE, "data/same\0x", id), "ENOSPC");
  assert.equal(bus.request(XS_TRANSACTION_END, "T\0", id), "OK\0");
  assert.equal(store.readText(`${HOME}/data/same`), "1023");
}));

test("the guest writes only where it may", withServer(({ store, bus }) => {
  assert.equal(bus.request(XS_WRITE, "name\0evil"), "EACCES");
  assert.equal(bus.request(XS_WRITE, "new-at-home\0x"), "EACCES");
  assert.equal(bus.request(XS_WRITE, "/local/domain/0/x\0x"), "EACCES");
  assert.equal(bus.request(XS_RM, "memory\0"), "EACCES");
  assert.equal(bus.request(XS_RM, "/\0"), "EINVAL");
  assert.equal(bus.request(XS_MKDIR, "data/dir\0"), "OK\0");
  assert.equal(bus.request(XS_MKDIR, "data/dir\0"), "OK\0");
  assert.equal(bus.request(XS_RM, "data/none\0"), "OK\0");
  assert.equal(bus.request(XS_RM, "data/none/deeper\0"), "ENOENT");
  assert.equal(bus.request(XS_RM, "data/dir\0"), "OK\0");
  assert.equal(bus.request(XS_INTRODUCE, "2\x001\x001\0"), "EACCES");
  assert.equal(store.readText(`${HOME}/name`), "test");
}));

test("permissions can be read, and changed by the owner only", withServer(({ store, bus }) => {
  assert.equal(bus.request(XS_GET_PERMS, "data\0"), "n1\0");
  assert.equal(bus.request(XS_GET_PERMS, "name\0"), "n0\0r1\0");
  assert.equal(bus.request(XS_SET_PERMS, "data\0n1\0r0\0"), "OK\0");
  assert.equal(bus.request(XS_GET_PERMS, "data\0"), "n1\0r0\0");
  assert.equal(bus.request(XS_SET_PERMS, "name\0b1\0"), "EACCES");
  assert.equal(bus.request(XS_SET_PERMS, "data\0b7\0"), "EACCES");
  assert.equal(bus.request(XS_SET_PERMS, "data\0q1\0"), "EINVAL");
  assert.equal(bus.request(XS_SET_PERMS, "data\0"), "EINVAL");
  store.setPermissions(`${HOME}/name`, guestOnly());
  assert.equal(bus.request(XS_WRITE, "name\0mine"), "OK\0");
}));

test("malformed payloads are EINVAL, unknown types ENOSYS", withServer(({ bus }) => {
  const bad: readonly (readonly [number, string])[] = [
    [XS_READ, ""], [XS_READ, "name"], [XS_READ, "\0"], [XS_READ, "a//b\0"], [XS_READ, "a/\0"], [XS_READ, "a b\0"],
    [XS_READ, "name\0name\0"], [XS_READ, `${"x".repeat(2049)}\0`], [XS_WRITE, "no-nul"], [XS_WATCH, "data\0"],
    [XS_WATCH, "a b\0t\0"], [XS_TRANSACTION_END, "X\0"], [XS_GET_DOMAIN_PATH, "one\0"], [XS_DIRECTORY_PART, "data\0x\0"],
  ];
  for (const [type, payload] of bad) assert.equal(bus.request(type, payload), "EINVAL", JSON.stringify([type, payload]));
  assert.equal(bus.request(99, "x\0"), "ENOSYS");
  assert.equal(bus.request(0, ""), "ENOSYS");
}));

test("a length over 4096 is EINVAL and the ring can be used again", withServer(({ guest, bus }) => {
  const message = formatMessage({ type: XS_READ, requestId: 5, transactionId: 0, payload: new Uint8Array() });
  message.set([0xff, 0xff, 0xff, 0xff], 12);
  guest.produce(XENSTORE_GFN, REQUEST_RING, message);
  assert.deepEqual(bus.receive().map((reply) => [reply.requestId, String.fromCharCode(...reply.payload)]), [[5, "EINVAL\0"]]);
  assert.equal(bus.request(XS_READ, "name\0"), "test");
}));

test("nonsense request indices set the error word and do not hang", withServer(({ guest, server, bus }) => {
  guest.setWord(XENSTORE_GFN, REQUEST_RING.producer, 0x8000_0000);
  server.service();
  assert.equal(guest.word(XENSTORE_GFN, xenstore_domain_interface.error), XENSTORE_ERROR_RINGIDX);
  assert.equal(server.service(), false);
  assert.equal(bus.request(XS_READ, "name\0"), "test");
}));

test("nonsense reply indices stop delivery until they are repaired", withServer(({ guest, server, bus }) => {
  guest.setWord(XENSTORE_GFN, REPLY_RING.consumer, 0x8000_0000);
  guest.produce(XENSTORE_GFN, REQUEST_RING, formatMessage({ type: XS_READ, requestId: 5, transactionId: 0,
    payload: bytesOf("name\0") }));
  server.service();
  assert.equal(server.service(), false);
  assert.equal(guest.word(XENSTORE_GFN, REPLY_RING.producer), 0);
  guest.setWord(XENSTORE_GFN, REPLY_RING.consumer, 0);
  assert.deepEqual(bus.receive().map((reply) => reply.requestId), [5]);
}));

test("a guest that does not read its replies has its requests wait, without growth", withServer(({ guest, server, store }) => {
  store.writeText(`${HOME}/data/long`, "x".repeat(2000));
  const message = formatMessage({ type: XS_READ, requestId: 1, transactionId: 0, payload: bytesOf("data/long\0") });
  let sent = 0;
  for (; sent < 100; sent++) {
    if (guest.word(XENSTORE_GFN, REQUEST_RING.producer) !== guest.word(XENSTORE_GFN, REQUEST_RING.consumer)) break;
    guest.produce(XENSTORE_GFN, REQUEST_RING, message);
    server.service();
  }
  assert.ok(sent > 30 && sent < 40, `${sent} requests of about 2 KiB were taken`);
}));

test("long directories: E2BIG at once, whole in parts", withServer(({ store, bus }) => {
  const names = Array.from({ length: 600 }, (_, index) => `entry-${String(index).padStart(4, "0")}`);
  for (const name of names) store.writeText(`${HOME}/data/${name}`, "");
  assert.equal(bus.request(XS_DIRECTORY, "data\0"), "E2BIG");
  let listing = "";
  for (let part = 0; part < 10 && !listing.endsWith("\0\0"); part++) {
    const reply = bus.request(XS_DIRECTORY_PART, `data\0${listing.length}\0`);
    listing += reply.slice(reply.indexOf("\0") + 1);
  }
  assert.deepEqual(listing.split("\0").filter((name) => name !== ""), names);
}));

test("quotas: values over 2048 bytes and nodes over 1000 are ENOSPC", withServer(({ store, bus }) => {
  assert.equal(bus.request(XS_WRITE, `data/v\0${"x".repeat(2049)}`), "ENOSPC");
  assert.equal(bus.request(XS_WRITE, `data/v\0${"x".repeat(2048)}`), "OK\0");
  for (let index = 0; index < 985; index++) store.write(1, `${HOME}/data/n${index}`, new Uint8Array());
  let error = "";
  for (let index = 0; index < 20 && error !== "ENOSPC"; index++) error = bus.request(XS_MKDIR, `data/m${index}\0`);
  assert.equal(error, "ENOSPC");
}));

test("values are binary safe", withServer(({ store, bus }) => {
  const value = String.fromCharCode(...Array.from({ length: 256 }, (_, index) => index));
  assert.equal(bus.request(XS_WRITE, `data/bin\0${value}`), "OK\0");
  assert.equal(bus.request(XS_READ, "data/bin\0"), value);
  assert.equal(store.readText(`${HOME}/data/bin`), value);
}));

test("domain paths and introductions", withServer(({ bus }) => {
  assert.equal(bus.request(XS_GET_DOMAIN_PATH, "1\0"), "/local/domain/1\0");
  assert.equal(bus.request(XS_IS_DOMAIN_INTRODUCED, "1\0"), "T\0");
  assert.equal(bus.request(XS_IS_DOMAIN_INTRODUCED, "9\0"), "F\0");
}));
