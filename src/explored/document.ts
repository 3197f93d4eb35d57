/** The table of docs/page-lifetimes.md: faults planted in the source that ships, and what exploring it shows of each. */
import { explore } from "../explore/index.js";
import type { ScenarioDescription } from "../explore/index.js";
import { HARMLESS_FAULTS, NOT_PLANTED, SHIPPED_FAULTS } from "./faults.js";
import type { ShippedFault } from "./faults.js";
import { loadShippedScenario } from "./scenarios.js";

/** What exploring a scenario with a fault has shown. */
export interface FaultVerdict {
  readonly fault: ShippedFault;
  /** The fault's scenario with the fault in it. */
  readonly scenario: ScenarioDescription;
  readonly verdict: "holds" | "fails" | "incomplete" | "replayed";
  /** Kind of the finding, and the invariant's number if it is one; "" = none. */
  readonly broken: string;
  readonly preemptions: number | undefined;
  /** "" = none. */
  readonly replay: string;
  /** The report, for people. */
  readonly text: string;
}

/** Explores a fault's scenario within the fault's bound. */
export async function exploreFault(fault: ShippedFault): Promise<FaultVerdict> {
  const scenario = (await loadShippedScenario(fault.scenario, fault.id))!;
  const { verdict, findings, schedule, text } = explore(scenario, { preemptions: fault.preemptions, mutation: fault.id });
  const [first] = findings;
  const invariant = /\bI\d+(?=:)/.exec(first?.says ?? "")?.[0];
  const broken = [first?.kind, invariant].filter((part) => part !== undefined).join(", ");
  return { fault, scenario, verdict, broken, preemptions: schedule?.isShortest === true ? schedule.preemptions : undefined, replay: schedule?.replay ?? "", text };
}

function rowOf(cells: readonly (string | number)[]): string {
  return `| ${cells.join(" | ")} |`;
}

/** A fault's line of the table. */
export function faultRow({ fault, verdict, broken, preemptions, replay }: FaultVerdict): string {
  const bound = `${fault.preemptions} preemption${fault.preemptions === 1 ? "" : "s"}`;
  if (fault.isHarmless) return rowOf([fault.id, fault.what, fault.scenario, `${verdict} (${bound}): ${fault.why}`, ""]);
  return rowOf([fault.id, fault.what, fault.scenario, `${broken} (${preemptions === fault.preemptions ? bound : "?"})`, `\`${replay}\``]);
}

function notPlantedRow(id: string, why: string): string {
  return rowOf([id, "–", "–", why, ""]);
}

/** M1 before M2 before M10; M before E and P, which are our own. */
function placeOf(id: string): number {
  const [, letter, number, suffix] = /^([MEP])(\d+)(\w?)$/.exec(id)!;
  return "MEP".indexOf(letter!) * 10_000 + Number(number) * 10 + (suffix === "" ? 0 : 1);
}

/** The whole table. */
export function faultsTable(verdicts: readonly FaultVerdict[]): string {
  const rows = new Map([...verdicts.map((verdict) => [verdict.fault.id, faultRow(verdict)] as const), ...Object.entries(NOT_PLANTED).map(([id, why]) => [id, notPlantedRow(id, why)] as const)]);
  const sorted = [...rows].sort(([a], [b]) => placeOf(a) - placeOf(b)).map(([, row]) => row);
  return `${[rowOf(["", "fault", "scenario", "what is broken", "shortest schedule"]), "|---|---|---|---|---|", ...sorted].join("\n")}\n`;
}

/** Explores all faults, harmless ones too, one after the other. */
export async function exploreFaults(onDone: (verdict: FaultVerdict) => void = () => undefined): Promise<FaultVerdict[]> {
  const verdicts: FaultVerdict[] = [];
  for (const fault of [...SHIPPED_FAULTS, ...HARMLESS_FAULTS]) {
    const verdict = await exploreFault(fault);
    verdicts.push(verdict);
    onDone(verdict);
  }
  return verdicts;
}

/** A document with the text between the marks of part `name` replaced. Throws Error where there are none. */
export function withPart(document: string, name: string, text: string): string {
  const begin = `<!-- ${name}: made by scripts/docs.mjs -->\n`;
  const [before, rest, more] = document.split(begin);
  const end = rest?.indexOf("<!-- end -->") ?? -1;
  if (before === undefined || end < 0 || more !== undefined) throw new Error(`expected one part "${name}" in the document`);
  return `${before}${begin}${text}${rest!.slice(end)}`;
}
