/** Runs cases on the host's processor through the program test/differential/generate.c. */
import { execFileSync, spawnSync } from "node:child_process";
import { fillCase } from "./case-state.js";
import type { Encoding } from "./encoding.js";
import { CASE } from "./layout.js";
import { readOutcome, type Outcome } from "./outcome.js";

/** Compiles the generator with the host's C compiler. */
export function compileGenerator(source: string, program: string): void {
  execFileSync("gcc", ["-O2", "-Wall", "-Wextra", "-fno-stack-protector", "-fcf-protection=none", "-fPIE", "-static-pie", "-o", program, source], { stdio: "inherit" });
}

/** Runs all cases of `encodings`, one process for all. */
export function runNatively(program: string, encodings: readonly Encoding[]): Outcome[][] {
  const total = encodings.reduce((sum, encoding) => sum + encoding.caseCount, 0);
  const input = new Uint8Array(total * CASE.size);
  let at = 0;
  for (const encoding of encodings) {
    for (let c = 0; c < encoding.caseCount; c++, at += CASE.size) fillCase(new DataView(input.buffer, at, CASE.size), encoding, c);
  }
  const result = spawnSync(program, { input, maxBuffer: 1 << 30 });
  if (result.status !== 0) throw new Error(`the generator ended with status ${result.status}, signal ${result.signal}: ${result.stderr}`);
  const bytes = new Uint8Array(result.stdout);
  let offset = 0;
  return encodings.map((encoding) => Array.from({ length: encoding.caseCount }, () => {
    const { outcome, next } = readOutcome(bytes, offset);
    offset = next;
    return outcome;
  }));
}
