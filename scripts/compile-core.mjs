/** Part of the build, in a process of its own: has this Node.js's V8 optimise the processor core, and keeps the machine code in dist/cpu/compiled. */
import { buildCoreCode } from "../dist/machine/kept-code.js";

await buildCoreCode();
