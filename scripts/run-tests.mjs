/**
 * Runs test files with Node's test runner, in the order in which they are given, so that those that take long can be begun first; `node --test` runs
 * them in the order of their names. Usage: node scripts/run-tests.mjs COUNT FILE..., where COUNT is how many run at once. Flags of Node.js are passed on to the
 * files' processes. The status is 0 when all tests passed, else 1.
 */
import { run } from "node:test";
import { spec } from "node:test/reporters";

const [count, ...files] = process.argv.slice(2);

run({ files, concurrency: Number(count) })
  .on("test:fail", ({ todo }) => {
    if (todo === undefined || todo === false) process.exitCode = 1;
  })
  .compose(new spec())
  .pipe(process.stdout);
