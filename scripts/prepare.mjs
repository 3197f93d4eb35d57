/**
 * What start and test have in common: a checkout as it comes from git becomes one that runs. Uses Node's own modules only,
 * because it runs before anything is installed. Messages go to standard error, one line each.
 */
import { spawnSync } from "node:child_process";
import { existsSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { join } from "node:path";

export const root = fileURLToPath(new URL("..", import.meta.url));
const NODE_MAJOR_MIN = 20;

/** Prints one line on standard error. */
export function say(line) {
  process.stderr.write(`${line}\n`);
}

/** Ends the program with status 2, the one for "cannot be used like this". */
export function giveUp(line) {
  say(`unpinned: ${line}`);
  process.exit(2);
}

/** Checks Node.js, installs the dependencies where they are missing or old, and builds what has changed. */
export function prepare() {
  const { node } = process.versions;
  if (Number.parseInt(node, 10) < NODE_MAJOR_MIN) giveUp(`Node.js ${NODE_MAJOR_MIN} or newer is needed, this is ${node}`);
  if (!dependenciesAreCurrent()) installDependencies();
  const { status, signal } = spawnSync(process.execPath, [join(root, "scripts/build.mjs")], { cwd: root, stdio: ["ignore", 2, 2] });
  if (status !== 0) process.exit(signal === null ? (status ?? 1) : 1);
}

/** npm leaves this file behind when it has installed everything. */
function dependenciesAreCurrent() {
  const stamp = join(root, "node_modules/.package-lock.json");
  return existsSync(stamp) && statSync(stamp).mtimeMs >= statSync(join(root, "package-lock.json")).mtimeMs;
}

function installDependencies() {
  say("install: npm ci (once, some 150 MB)");
  const options = ["ci", "--no-audit", "--no-fund", "--loglevel=error"];
  // Under npm, its own program is known; otherwise the one on the PATH is taken.
  const npm = process.env.npm_execpath;
  const isScript = npm !== undefined && /\.c?js$/.test(npm);
  const [command, args] = isScript ? [process.execPath, [npm, ...options]] : ["npm", options];
  const result = spawnSync(command, args, {
    cwd: root, stdio: ["ignore", "pipe", "pipe"], encoding: "utf8", shell: !isScript && process.platform === "win32",
  });
  if (result.status === 0) return;
  const reason = result.error?.message ?? /^npm (?:error|ERR!) code (.+)$/m.exec(result.stderr)?.[1] ?? `status ${result.status}`;
  giveUp(`the dependencies could not be installed (${reason}): look at the network, then run npm ci and see what it says`);
}
