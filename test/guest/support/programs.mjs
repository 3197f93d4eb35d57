/**
 * Small C programs: read from their folders, built by the host's gcc into one static binary a word size, run here and in the guest.
 *
 * One binary for all, chosen by its first argument, because most of a static program is its C library. The head of each
 * source is its description:
 *
 *   Claim: the test's name
 *   Builds: 64 32          word sizes, 64 alone if absent
 *   Flags: ...             more flags for the compiler
 *   Host: ia32 watchpoints what the host must have for its answer to count (see probes/); all 32-bit builds need ia32
 *   Compare: no ...        no answer of the host to compare with: the program itself ends with a status other than 0
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * Both sides must choose the same code: without this, the C library takes fused multiply-add where the processor has it, which rounds
 * once instead of twice.
 */
const HOST_ENVIRONMENT = {
  GLIBC_TUNABLES: "glibc.cpu.hwcaps=-AVX,-AVX2,-FMA,-FMA4,-AVX512F,-AVX512VL,-BMI1,-BMI2,-LZCNT,-MOVBE,-ERMS,-FSRM,-RTM",
  PATH: "/bin:/usr/bin",
};
const HOST_TIMEOUT_MS = 60_000;
const OUTPUT_BYTES_MAX = 64 << 20;

/** @typedef {{ name: string, path: string, claim: string, builds: number[], flags: string[], hostFeatures: string[], isCompared: boolean }} Program */

/**
 * Why programs cannot be built and compared on this host, or undefined.
 * @param {number} bits
 */
export function missingForPrograms(bits) {
  if (process.platform !== "linux" || process.arch !== "x64") return `answers come from an x86-64 Linux host, this is ${process.arch} ${process.platform}`;
  const probe = spawnSync("gcc", [`-m${bits}`, "-static", "-xc", "-", "-o", "/dev/null"], { input: "#include <stdio.h>\nint main(void) { puts(\"\"); }\n" });
  if (probe.error !== undefined) return "there is no gcc here";
  return probe.status === 0 ? undefined : `gcc here cannot build static ${bits}-bit programs`;
}

/**
 * What this host lacks of what a program's answer needs; undefined = nothing. Probes are in probes/. Precondition: missingForPrograms
 * says nothing.
 * @param {Program} program
 * @param {number} bits
 */
export function hostLacks({ hostFeatures }, bits) {
  const needed = bits === 32 ? ["ia32", ...hostFeatures] : hostFeatures;
  return needed.find((feature) => !hostHas(feature));
}

/** @type {Map<string, boolean>} */
const probed = new Map();

/** @param {string} feature */
function hostHas(feature) {
  const known = probed.get(feature);
  if (known !== undefined) return known;
  const folder = mkdtempSync(join(tmpdir(), "unpinned-probe-"));
  const path = join(folder, feature);
  const { status, stderr } = spawnSync("gcc", ["-static", fileURLToPath(new URL(`probes/${feature}.c`, import.meta.url)), "-o", path], { encoding: "utf8" });
  if (status !== 0) throw new Error(`gcc failed: ${stderr}`);
  const has = spawnSync(path, { timeout: HOST_TIMEOUT_MS }).status === 0;
  rmSync(folder, { recursive: true });
  probed.set(feature, has);
  return has;
}

/**
 * Reads the description of every program below a folder.
 * @param {string} folder
 * @returns {Program[]}
 */
export function listPrograms(folder) {
  const paths = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".c")).sort();
  return paths.map((path) => {
    const head = readFileSync(join(folder, path), "utf8").split("*/", 1)[0] ?? "";
    const field = (/** @type {string} */ name) => new RegExp(`^ \\* ${name}: (.*)$`, "m").exec(head)?.[1];
    const claim = field("Claim");
    if (claim === undefined) throw new Error(`${path} makes no claim`);
    return {
      path: join(folder, path),
      name: `${dirname(path)}/${basename(path, ".c")}`,
      claim,
      builds: (field("Builds") ?? "64").split(" ").map(Number),
      flags: field("Flags")?.split(" ") ?? [],
      hostFeatures: field("Host")?.split(" ") ?? [],
      isCompared: !field("Compare")?.startsWith("no"),
    };
  });
}

/**
 * Builds all programs of one word size into one file.
 * @param {Program[]} programs
 * @param {number} bits
 * @returns {{ path: string, bytes: Uint8Array, remove: () => void }}
 */
export function buildPrograms(programs, bits) {
  const folder = mkdtempSync(join(tmpdir(), "unpinned-programs-"));
  const gcc = (/** @type {string[]} */ ...argumentList) => {
    const { status, stderr } = spawnSync("gcc", [`-m${bits}`, ...argumentList], { encoding: "utf8", cwd: folder });
    if (status !== 0) throw new Error(`gcc failed: ${stderr}`);
  };
  const common = ["-std=gnu11", "-O1", "-pthread", "-fno-strict-aliasing", "-fno-pie", "-no-pie", "-w"];
  const objects = programs.map((program, index) => {
    gcc(...common, ...program.flags, `-Dmain=program_${index}`, "-c", program.path, "-o", `${index}.o`);
    return `${index}.o`;
  });
  writeFileSync(join(folder, "main.c"), dispatcher(programs));
  gcc(...common, "-static", "main.c", ...objects, "-lm", "-o", "programs");
  const path = join(folder, "programs");
  return { path, bytes: readFileSync(path), remove: () => rmSync(folder, { recursive: true }) };
}

/** @param {Program[]} programs */
function dispatcher(programs) {
  const declarations = programs.map((_, index) => `int program_${index}(int, char **);`);
  const choices = programs.map(({ name }, index) => `  if (!strcmp(argv[1], "${name}")) return program_${index}(argc - 1, argv + 1);`);
  return [
    "#include <stdio.h>", "#include <string.h>", ...declarations, "int main(int argc, char **argv) {", "  if (argc < 2) return 99;",
    ...choices, "  return 98;", "}", "",
  ].join("\n");
}

/**
 * Runs a program on the host.
 * @param {string} path
 * @param {string} name
 * @param {string[]} [words] for the program
 * @returns {import("./guest.mjs").Answer}
 */
export function runOnHost(path, name, words = []) {
  const { status, signal, stdout, stderr, error } = spawnSync(path, [name, ...words], {
    encoding: "utf8", env: HOST_ENVIRONMENT, timeout: HOST_TIMEOUT_MS, maxBuffer: OUTPUT_BYTES_MAX,
  });
  if (error !== undefined || status === null) throw new Error(`${name} did not end on the host: ${error?.message ?? signal}`);
  return { exitCode: status, stdout, stderr };
}

/**
 * The lines in which two texts differ, for people.
 * @param {string} guest
 * @param {string} host
 */
export function describeDifference(guest, host) {
  const ours = guest.split("\n");
  const theirs = host.split("\n");
  const lines = [];
  for (let i = 0; i < Math.max(ours.length, theirs.length) && lines.length < 40; i++) {
    if (ours[i] !== theirs[i]) lines.push(`line ${i + 1}`, `  guest: ${shorten(ours[i], theirs[i])}`, `  host:  ${shorten(theirs[i], ours[i])}`);
  }
  return lines.join("\n");
}

/** A long line from a little before where it differs. @param {string | undefined} line @param {string | undefined} other */
function shorten(line, other) {
  if (line === undefined) return "(no such line)";
  let same = 0;
  while (same < line.length && line[same] === other?.[same]) same++;
  return same > 160 ? `…${line.slice(same - 80, same + 160)}` : line.slice(0, 320);
}
