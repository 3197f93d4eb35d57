#!/usr/bin/env node
import { existsSync } from "node:fs";

const main = new URL("../dist/bundle/main.js", import.meta.url);
if (!existsSync(main)) {
  process.stderr.write("unpinned: not built yet, run: npm install && npm run build\n");
  process.exit(2);
}
await import(main.href);
