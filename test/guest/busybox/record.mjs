/** Records the answers of busybox for hosts that cannot run it: node test/guest/busybox/record.mjs, on an x86-64 Linux host. */
import { writeFileSync } from "node:fs";
import { canRunOnHost, runCasesOnHost } from "../support/busybox.mjs";
import { cases, preparation } from "./cases.mjs";

if (!canRunOnHost) {
  process.stderr.write("this host cannot run the guest's busybox\n");
  process.exit(2);
}
const answers = [...await runCasesOnHost(preparation, cases)].map(([name, { exitCode, stdout }]) => [name, { exitCode, stdout }]);
writeFileSync(new URL("answers.json", import.meta.url), `${JSON.stringify(Object.fromEntries(answers), null, 1)}\n`);
