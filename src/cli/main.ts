/** The program `unpinned`. */
import { readFile } from "node:fs/promises";
import { catchOutputErrors, writeOutput } from "../platform/node/index.js";
import { parseArguments } from "./arguments.js";
import { runCtl } from "./ctl.js";
import { statusOfError } from "./exit-status.js";
import { errorLines } from "./report.js";
import { run } from "./run.js";

async function main(): Promise<number> {
  const parsed = parseArguments(process.argv.slice(2), await readVersion());
  if ("run" in parsed) return await run(parsed.run);
  if ("ctl" in parsed) return await runCtl(parsed.ctl);
  // Loaded when it is needed only: it brings the explorer and a parser of JavaScript along.
  if ("explore" in parsed) return await (await import("./explore-command.js")).runExplore(parsed.explore);
  await writeOutput("stdout", parsed.text);
  return 0;
}

async function readVersion(): Promise<string> {
  const file = await readFile(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(file) as { version: string }).version;
}

catchOutputErrors();
let status: number;
try {
  status = await main();
} catch (error) {
  status = statusOfError(error);
  await writeOutput("stderr", `${errorLines(error).join("\n")}\n`).catch(() => undefined);
}
process.exit(status);
