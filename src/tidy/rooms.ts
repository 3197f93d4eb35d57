/** The rooms below src/, what each may import, and which room a file or an import belongs to. */
import { posix } from "node:path";
import type { SourceFile } from "./source-file.js";

/** What each room may import besides itself. "#sync" stands for the room sync; the way down is the way of an access. */
export const ROOM_IMPORTS: Readonly<Record<string, readonly string[]>> = {
  abi: [],
  sync: [],
  "host-memory": ["abi", "sync"],
  "guest-page": ["host-memory", "abi", "sync"],
  hypercall: ["guest-page", "abi", "sync"],
  kvm: ["guest-page", "abi", "sync"],
  device: ["guest-page", "abi", "sync"],
  cpu: ["abi"],
  exit: ["hypercall", "kvm", "device", "guest-page", "abi", "cpu", "sync"],
  "platform/node": ["abi"],
  machine: ["exit", "hypercall", "kvm", "device", "guest-page", "host-memory", "cpu", "platform/node", "abi", "sync"],
  explore: ["abi"],
  explored: ["explore", "exit", "hypercall", "guest-page", "host-memory", "cpu", "abi", "sync"],
  cli: ["machine", "platform/node", "explore", "explored"],
  // Looks at all rooms; no room imports it.
  tidy: ["cpu", "exit", "hypercall", "machine"],
};

/** Rooms without a public face: constants, which are imported file by file. */
const OPEN_ROOMS = new Set(["abi"]);
/** Folders of a room whose index.ts is a second public face: loaded only when it is needed, or for the command line alone. */
const INNER_FACES = new Set(["platform/node/guest-image/index.js", "machine/control/index.js"]);

/** Room of a path from src/; undefined for files that stand in src/ itself. */
export function roomOf(path: string): string | undefined {
  const [first, second, ...rest] = path.split("/");
  if (second === undefined) return undefined;
  return first === "platform" && rest.length > 0 ? `platform/${second}` : first;
}

/** Path from src/ of what `specifier` means in `file`; undefined for packages, Node's modules and #sync. */
export function resolveImport(file: SourceFile, specifier: string): string | undefined {
  return specifier.startsWith(".") ? posix.join(posix.dirname(file.path), specifier) : undefined;
}

/** Whether a file is a test, or a thread or a helper that only tests start. */
export function isTestCode(path: string): boolean {
  return /\.test\.ts$|\.worker\.ts$|\.words\.ts$|(^|\/)test-[\w-]+(\.raw)?\.ts$|\/testing\//.test(path);
}

/** What is wrong with an import, in one line; undefined = nothing. */
export function importFault(file: SourceFile, specifier: string): string | undefined {
  const room = roomOf(file.path);
  if (room === undefined) return undefined;
  const says = (why: string): string => `${file.path} imports ${specifier}: ${why}`;
  if (specifier.startsWith("node:")) return nodeFault(file, room) ? says("Node's modules are for platform/node and cli") : undefined;
  const target = specifier === "#sync" ? "sync/real/index.js" : resolveImport(file, specifier);
  if (target === undefined) return undefined;
  const targetRoom = roomOf(target);
  if (targetRoom === undefined || targetRoom === room) return undefined;
  // A room's tests build what stands below it from the parts themselves.
  if (isTestCode(file.path) || room === "tidy") return undefined;
  if (!(ROOM_IMPORTS[room] ?? []).includes(targetRoom)) return says(`${room} may import only ${(ROOM_IMPORTS[room] ?? []).join(", ") || "nothing"}`);
  if (targetRoom === "sync") return specifier === "#sync" ? undefined : says("say #sync");
  const isFace = target === `${targetRoom}/index.js` || INNER_FACES.has(target);
  return isFace || OPEN_ROOMS.has(targetRoom) ? undefined : says(`other rooms see only ${targetRoom}/index.ts`);
}

/** Programs and checks that run under Node.js and are no part of the library. */
const NODE_PROGRAMS = /^cpu\/(generate|differential|bare-metal)\//;

function nodeFault(file: SourceFile, room: string): boolean {
  return room !== "platform/node" && room !== "cli" && room !== "tidy" && !isTestCode(file.path) && !NODE_PROGRAMS.test(file.path);
}
