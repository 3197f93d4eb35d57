/**
 * Tools of the host that guest tests use beyond Node.js. What is missing is installed where that can be done without asking;
 * tests whose tool is still missing skip themselves and say so.
 */
import { spawnSync } from "node:child_process";
import { say } from "./prepare.mjs";

/** A trivial C program, for asking whether a compiler can make what the tests need; the header comes with another package. */
const SMALL_PROGRAM = "#include <stdio.h>\nint main(void) { return puts(\"\") < 0; }\n";

/** What tests use, how to see that it works, and the Debian packages that bring it. */
const TOOLS = [
  { says: "a C compiler for static programs", packages: ["gcc", "libc6-dev"], works: () => compiles(["-static"]) },
  { says: "its 32-bit side", packages: ["gcc-multilib"], works: () => compiles(["-m32", "-static"]) },
  { says: "gdb", packages: ["gdb"], works: () => succeeds("gdb", ["--version"]) },
  { says: "a program that makes terminals", packages: ["bsdutils"], works: () => succeeds("script", ["--version"]) },
];

/** The default guest comes as Debian packages by apt. */
const GUEST_PACKAGE = "linux-image-cloud-amd64:amd64";

function succeeds(command, args, options = {}) {
  return spawnSync(command, args, { stdio: "ignore", ...options }).status === 0;
}

function compiles(options) {
  return succeeds("gcc", [...options, "-x", "c", "-", "-o", "/dev/null"], { input: SMALL_PROGRAM, stdio: ["pipe", "ignore", "ignore"] });
}

/** The command by which apt-get runs as root without a question; undefined = there is no such way. */
function rootApt() {
  if (!succeeds("apt-get", ["--version"])) return undefined;
  if (process.getuid?.() === 0) return ["apt-get"];
  return succeeds("sudo", ["-n", "true"]) ? ["sudo", "-n", "apt-get"] : undefined;
}

/** Runs apt-get; the last line of what it says goes into the reason when it fails. */
function runApt([command, ...before], args) {
  const result = spawnSync(command, [...before, ...args], {
    stdio: ["ignore", "pipe", "pipe"], encoding: "utf8", env: { ...process.env, DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C" },
  });
  if (result.status === 0) return true;
  const reason = /^E: (.*)$/m.exec(result.stderr)?.[1] ?? `status ${result.status}`;
  say(`test: apt-get ${args[0]} failed (${reason})`);
  return false;
}

/** Makes the tools be there as far as that is possible. Never fails. */
export function provideTools() {
  const missing = TOOLS.filter(({ works }) => !works());
  const knowsGuest = succeeds("apt-cache", ["show", GUEST_PACKAGE]);
  if (missing.length === 0 && knowsGuest) return;
  const apt = rootApt();
  if (apt === undefined) {
    for (const { says, packages } of missing) say(`test: ${says} is missing (Debian: ${packages.join(" ")}); its tests are skipped`);
    if (!knowsGuest) say("test: apt knows no kernel package; tests of the default guest need one in the cache, or apt-get update as root");
    return;
  }
  say("test: apt-get update");
  runApt(apt, ["update"]);
  for (const { says, packages } of missing) {
    say(`test: apt-get install ${packages.join(" ")} (${says})`);
    runApt(apt, ["install", "-y", "--no-install-recommends", ...packages]);
  }
}
