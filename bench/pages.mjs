/** Benchmark "pages": what it costs that nothing pins a guest page, and what it would cost otherwise. */
import { benchAccess, formatAccess } from "./pages/access.mjs";
import { benchGuest, formatGuest } from "./pages/guest.mjs";
import { benchHost, formatHost } from "./pages/host.mjs";
import { benchSend, formatSend } from "./pages/send.mjs";

/** The parts, by the name with which one alone is asked for: pages/NAME. */
const PARTS = {
  access: { bench: benchAccess, format: formatAccess },
  send: { bench: benchSend, format: formatSend },
  host: { bench: benchHost, format: formatHost },
  guest: { bench: benchGuest, format: formatGuest },
};

/**
 * @param {import("./rounds.mjs").BenchContext} context
 * @param {readonly string[]} names of the benchmarks that were asked for
 */
export async function benchPages(context, names) {
  const wanted = Object.entries(PARTS).filter(([part]) => names.includes("pages") || names.includes(`pages/${part}`));
  /** @type {Record<string, any>} */
  const results = {};
  for (const [part, { bench }] of wanted) results[part] = await bench(context);
  return results;
}

/** @param {Awaited<ReturnType<typeof benchPages>>} results */
export function formatPages(results) {
  return Object.entries(PARTS).flatMap(([part, { format }]) => (part in results ? [format(results[part])] : [])).join("\n\n");
}
