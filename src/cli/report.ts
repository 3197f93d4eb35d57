/** What the program says when a run is over. */
import { GuestFailure, GuestImageError, type LockStepFigures, type MachineStats, type PageStats, type StormStats, TranslatorDifferenceError } from "../machine/index.js";

/** The object that --json prints, in one line. */
export interface RunReport {
  /** Exit status of the program. */
  readonly status: number;
  /** Milliseconds from the start of the guest's processor until its init was ready; null when that did not happen. */
  readonly bootMs: number | null;
  /** Guest instructions retired, by tier. */
  readonly instructions: Readonly<Record<string, number>>;
  /** What was translated; null when the guest never started. */
  readonly translation: MachineStats["translation"] | null;
  /** How often an address was not in the TLB; null when the guest never started. */
  readonly addressTranslation: MachineStats["addressTranslation"] | null;
  /** What --lock-step has compared; null without it. */
  readonly lockStep: LockStepFigures | null;
  readonly pagesTouched: number;
  /** What has happened to guest pages; null when the guest never started, as is storm. */
  readonly pages: PageStats | null;
  readonly storm: StormStats | null;
  readonly exits: Readonly<Record<string, number>>;
  readonly hypercalls: Readonly<Record<string, number>>;
  readonly error?: { readonly code: string; readonly message: string; readonly guest?: unknown; readonly difference?: unknown };
}

/** Puts a report together; `stats` is undefined when the guest never started. */
export function reportRun(status: number, stats: MachineStats | undefined, error: unknown): RunReport {
  return {
    status,
    bootMs: stats?.bootMs ?? null,
    instructions: stats?.instructions ?? { interpreter: 0, translator: 0 },
    translation: stats?.translation ?? null,
    addressTranslation: stats?.addressTranslation ?? null,
    lockStep: stats?.lockStep ?? null,
    pagesTouched: stats?.memory.pagesTouched ?? 0,
    pages: stats?.pages ?? null,
    storm: stats?.storm ?? null,
    exits: stats?.exits ?? {},
    hypercalls: stats?.hypercalls ?? {},
    ...(error === undefined ? {} : { error: describeError(error) }),
  };
}

/** Lines about `error` for people, the first of them complete by itself. Never a stack trace. */
export function errorLines(error: unknown): string[] {
  const [first = ""] = messageOf(error).split("\n");
  return [`unpinned: ${first}`, ...(error instanceof GuestFailure ? error.describe() : [])];
}

function describeError(error: unknown): NonNullable<RunReport["error"]> {
  return {
    code: codeOf(error), message: messageOf(error),
    ...(error instanceof TranslatorDifferenceError ? { difference: error.difference } : {}),
    ...(error instanceof GuestFailure && error.report !== undefined ? { guest: error.report } : {}),
  };
}

/** Stable names, also for errors that have none of their own. */
function codeOf(error: unknown): string {
  if (error instanceof GuestImageError) return "ERR_GUEST_IMAGE";
  return error instanceof Error && "code" in error ? String(error.code) : "ERR_INTERNAL";
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
