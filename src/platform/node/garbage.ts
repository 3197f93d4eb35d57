/**
 * A collection of garbage when much memory has become free that the collector does not know of: a shared memory is given back when nobody refers to it,
 * but V8 does not count its bytes, and may not look for minutes in a program that does little else.
 */
import { runInNewContext } from "node:vm";
import { withFlags } from "./v8-flags.js";

/** So long later threads have let go of the memory, too, and a program that ends is gone. */
const DELAY_MS = 50;

let collect: (() => void) | undefined;
let timer: NodeJS.Timeout | undefined;

/** Has garbage collected in a moment, once for all who ask until then. Does nothing where the engine has no such thing, and keeps no program from ending. */
export function collectGarbageSoon(): void {
  timer ??= setTimeout(() => {
    timer = undefined;
    collectGarbage();
  }, DELAY_MS).unref();
}

/** Has garbage collected at once; does nothing where the engine has no such thing. */
export function collectGarbage(): void { (collect ??= findCollector())(); }

/** Node.js has the collector's function for programs that were started with --expose-gc; a new context has it when the flag is set meanwhile. */
function findCollector(): () => void {
  try {
    return withFlags(["expose-gc"], () => runInNewContext("gc") as () => void);
  } catch {
    return () => undefined;
  }
}
