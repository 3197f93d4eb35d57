/**
 * Debian packages by the host's own apt: what is current, and a download that apt checks against the signed lists.
 * None of it needs root.
 */

import { spawn } from "node:child_process";
import { GuestImageError } from "../../../abi/guest-image-error.js";

/** What to do where there is no package to be had. */
export const INSTEAD = "pass your own guest with --kernel FILE and --initrd FILE";

/** A package as apt would install it. */
export interface AptPackage {
  readonly name: string;
  readonly version: string;
  /** Length of the .deb file. */
  readonly lengthBytes: number;
  /** Names of the packages it depends on. */
  readonly dependsOn: readonly string[];
}

/** Where packages come from: apt, or a stand-in in tests. */
export interface PackageSource {
  /** Throws GuestImageError if the package is unknown. */
  describe(name: string, signal?: AbortSignal): Promise<AptPackage>;
  /** Puts the .deb file of a package into a folder; throws GuestImageError if that fails. */
  download(name: string, folder: string, signal?: AbortSignal): Promise<void>;
}

/** The host's apt. Packages are always those for amd64, whatever the host is. */
export const apt: PackageSource = {
  async describe(name, signal) {
    const { status, output } = await run("apt-cache", ["show", "--no-all-versions", `${name}:amd64`], { signal });
    const fields = parseControl(output);
    const version = fields.get("Version");
    const lengthBytes = Number(fields.get("Size"));
    if (status !== 0 || version === undefined || !Number.isInteger(lengthBytes)) {
      throw new GuestImageError(`apt knows no package ${name}: run "apt-get update" as root and try again, or ${INSTEAD}`);
    }
    return { name: fields.get("Package") ?? name, version, lengthBytes, dependsOn: parseDepends(fields.get("Depends") ?? "") };
  },

  async download(name, folder, signal) {
    const { status, errors } = await run("apt-get", ["download", `${name}:amd64`], { signal, folder });
    if (status === 0) return;
    const reason = /^E: (.*)$/m.exec(errors)?.[1] ?? `apt-get ended with status ${status}`;
    throw new GuestImageError(
      `apt could not download ${name} (${reason}): look at the network, run "apt-get update" as root and try again, or ${INSTEAD}`,
    );
  },
};

interface RunResult {
  readonly status: number | null;
  readonly output: string;
  readonly errors: string;
}

interface RunOptions {
  readonly signal: AbortSignal | undefined;
  readonly folder?: string;
}

function run(tool: string, argumentList: string[], { signal, folder }: RunOptions): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(tool, argumentList, {
      stdio: ["ignore", "pipe", "pipe"],
      // The messages are looked at, so they must not be translated.
      env: { ...process.env, LC_ALL: "C" },
      ...(folder === undefined ? {} : { cwd: folder }),
      ...(signal === undefined ? {} : { signal }),
    });
    let output = "";
    let errors = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
    child.on("error", (cause: NodeJS.ErrnoException) => {
      if (signal?.aborted) reject(signal.reason);
      else if (cause.code === "ENOENT") reject(new GuestImageError(`there is no ${tool} here to fetch the default guest with: ${INSTEAD}`));
      else reject(new GuestImageError(`${tool} could not be run (${cause.message}): ${INSTEAD}`, { cause }));
    });
    child.on("close", (status) => resolve({ status, output, errors }));
  });
}

/** Reads the fields of the first paragraph of a Debian control file; folded lines are left out. */
export function parseControl(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of text.split("\n")) {
    if (line === "") break;
    const field = /^([A-Za-z0-9-]+): (.*)$/.exec(line);
    if (field) fields.set(field[1]!, field[2]!);
  }
  return fields;
}

/** Reads the names in a Depends field, without versions and alternatives. */
export function parseDepends(text: string): string[] {
  return text.split(",").flatMap((part) => /^\s*([a-z0-9][a-z0-9+.-]*)/.exec(part)?.[1] ?? []);
}
