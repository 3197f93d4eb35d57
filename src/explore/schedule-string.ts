/**
 * A schedule as a short text: `naive-refresher::sc:3:0*4.1.0*2`. First what it is a schedule of (scenario, fault planted, memory model, retries
 * a thread makes), then whose steps, in order: base 36, and how many in a row.
 */
import { ReplayError } from "./schedulers/replay.js";

/** What a schedule belongs to. */
export interface ScheduleHeader {
  readonly scenario: string;
  readonly mutation?: string | undefined;
  readonly memoryModel: "sc" | "tso";
  readonly retries: number;
}

/** A name without what a shell or this format would take for its own. */
function plainName(name: string): string {
  return name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-").replaceAll(/^-|-$/g, "");
}

function headerText({ scenario, mutation = "", memoryModel, retries }: ScheduleHeader): string {
  return [plainName(scenario), plainName(mutation), memoryModel, retries === Infinity ? "-" : retries].join(":");
}

/** The schedule's text. */
export function writeSchedule(header: ScheduleHeader, choices: readonly number[]): string {
  const runs: string[] = [];
  for (let at = 0; at < choices.length;) {
    let end = at;
    while (choices[end] === choices[at]) end++;
    runs.push(choices[at]!.toString(36) + (end - at > 1 ? `*${(end - at).toString(36)}` : ""));
    at = end;
  }
  return `${headerText(header)}:${runs.join(".")}`;
}

/** The processes of a schedule's text. Throws ReplayError, of one line, unless it is a schedule of what `header` says. */
export function readSchedule(text: string, header: ScheduleHeader): number[] {
  const at = text.lastIndexOf(":");
  const expected = headerText(header);
  if (at < 0 || text.split(":").length !== 5) throw new ReplayError(`"${text}" is no schedule: expected ${expected}:STEPS`);
  if (text.slice(0, at) !== expected) throw new ReplayError(`the schedule is of ${text.slice(0, at)}, and not of ${expected}`);
  const steps = text.slice(at + 1);
  if (steps === "") return [];
  return steps.split(".").flatMap((run) => {
    const match = /^([0-9a-z])(?:\*([0-9a-z]+))?$/.exec(run);
    const count = match?.[2] === undefined ? 1 : parseInt(match[2], 36);
    if (match === null || count > 1_000_000) throw new ReplayError(`"${run}" is no part of a schedule`);
    return new Array<number>(count).fill(parseInt(match[1]!, 36));
  });
}
