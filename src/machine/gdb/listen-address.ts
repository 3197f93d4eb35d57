/** Where gdb may connect: how it is written in options. */
import type { ListenAddress } from "../../platform/node/index.js";
import { InvalidOptionError } from "../errors.js";

const LOOPBACK = "127.0.0.1";
const PORT_MAX = 0xffff;
const HOST_AND_PORT = /^([^/\\]*):(\d+)$/;
const PORT = /^\d+$/;

/**
 * Reads a TCP port of the loopback interface (0 = any that is free), `host:port`, or else the path of a Unix domain socket. Throws
 * InvalidOptionError.
 */
export function parseListenAddress(given: number | string): ListenAddress {
  const text = String(given).trim();
  if (text === "") throw new InvalidOptionError("gdb must be a TCP port, host:port, or the path of a socket");
  if (typeof given === "number" || PORT.test(text)) return { host: LOOPBACK, port: parsePort(text) };
  const [, host, port] = HOST_AND_PORT.exec(text) ?? [];
  if (port === undefined) return { path: text };
  return { host: host === "" || host === undefined ? LOOPBACK : host.replace(/^\[(.*)\]$/, "$1"), port: parsePort(port) };
}

function parsePort(text: string): number {
  const port = PORT.test(text) ? Number(text) : NaN;
  if (!(port <= PORT_MAX)) throw new InvalidOptionError(`gdb: ${text} is no TCP port: 0 to ${PORT_MAX}`);
  return port;
}
