/**
 * Every command by which a running VM is seen and steered: what it is called, takes and does, and how its result reads. The help, the
 * monitor, the socket, `unpinned ctl` and docs/control.md are all made from this one table.
 */
import { type ArgumentKind, BLOCK, GFN_OR_ALL, PERCENT, RATE } from "./arguments.js";
import type { ControlTarget } from "./control-target.js";
import { ControlUsageError } from "./errors.js";
import {
  blockRefusal, moveRefusal, renderMemory, renderMerge, renderMove, renderOffline, renderOnline, renderSlots, renderSwap, swapRefusal,
} from "./render-memory.js";
import { renderStats, renderStorm, renderVcpus } from "./render-stats.js";
import { pairLines } from "./text-table.js";

/** A command, whatever its argument and result are. Results are plain data, as JSON has it. */
export interface ControlCommand {
  /** Its words, such as "memory move". */
  readonly words: string;
  /** Name of its argument; undefined = it has none. */
  readonly argumentName: string | undefined;
  readonly says: string;
  /** Reads the argument; the result carries the command out. Throws ControlUsageError. */
  prepare(argument: string | undefined): (target: ControlTarget) => Promise<unknown>;
  /** Lines for people about a result. */
  render(result: unknown): string[];
  /** Why a result is not what was asked for, in one line; undefined = it is. */
  refusal(result: unknown): string | undefined;
}

interface CommandParts<Argument, Result> {
  readonly words: string;
  readonly argument?: ArgumentKind<Argument>;
  readonly says: string;
  run(target: ControlTarget, argument: Argument): Result | Promise<Result>;
  render(result: Result): string[];
  refusal?(result: Result): string | undefined;
}

function command<Argument, Result>(parts: CommandParts<Argument, Result>): ControlCommand {
  const { words, argument: kind, says } = parts;
  return {
    words, argumentName: kind?.name, says,
    prepare(text) {
      if (kind === undefined && text !== undefined) throw new ControlUsageError(`${words} takes no argument, got "${text}"`);
      if (kind !== undefined && text === undefined) throw new ControlUsageError(`${words} needs an argument: ${words} ${kind.name}`);
      // Without a kind, the command does not look at its argument.
      const argument = kind?.parse(text!) as Argument;
      return async (target) => await parts.run(target, argument);
    },
    render: (result) => parts.render(result as Result),
    refusal: (result) => parts.refusal?.(result as Result),
  };
}

/** What pause and resume answer. */
interface GuestState {
  readonly guest: "paused" | "running";
}

/** What help answers: one entry a command. */
type HelpEntries = readonly { readonly command: string; readonly says: string }[];

/** The commands, in the order of the help. */
export const CONTROL_COMMANDS: readonly ControlCommand[] = [
  command({
    words: "memory show", says: "memory blocks, memslots, limit and swap",
    run: ({ memory }) => memory.show(), render: renderMemory,
  }),
  command({
    words: "memory slots", says: "the memslots: ranges of guest memory, and where their pages are",
    run: ({ memory }) => memory.slots(), render: renderSlots,
  }),
  command({
    words: "memory move", argument: GFN_OR_ALL, says: "give a guest page, or all of them, another frame",
    run: ({ memory }, gfn) => memory.move(gfn), render: renderMove, refusal: moveRefusal,
  }),
  command({
    words: "memory swap", argument: PERCENT, says: "swap out a share of the pages that have a frame",
    run: ({ memory }, percent) => memory.swap(percent), render: renderSwap, refusal: swapRefusal,
  }),
  command({
    words: "memory merge", says: "let pages of equal contents share a frame",
    run: ({ memory }) => memory.merge(), render: renderMerge,
  }),
  command({
    words: "memory offline", argument: BLOCK, says: "move everything out of a memory block",
    run: ({ memory }, block) => memory.offline(block), render: renderOffline, refusal: blockRefusal,
  }),
  command({
    words: "memory online", argument: BLOCK, says: "take a memory block into use again",
    run: ({ memory }, block) => memory.online(block), render: renderOnline, refusal: blockRefusal,
  }),
  command({
    words: "vcpu show", says: "where each vCPU is, and what it is asked to do",
    run: (target) => target.vcpus(), render: renderVcpus,
  }),
  command({ words: "stats", says: "counters: address translation, pages, storm, exits, hypercalls", run: (target) => target.stats(), render: renderStats }),
  command({
    words: "pause", says: "hold the guest's processors",
    run: async (target): Promise<GuestState> => {
      await target.pause();
      return { guest: "paused" };
    },
    render: ({ guest }) => [guest],
  }),
  command({
    words: "resume", says: "let them go on",
    run: (target): GuestState => {
      target.resume();
      return { guest: "running" };
    },
    render: ({ guest }) => [guest],
  }),
  command({
    words: "storm", argument: RATE, says: "move that many random pages a second, or end it",
    run: ({ memory }, rate) => memory.storm(rate), render: renderStorm,
  }),
  command({ words: "help", says: "this list", run: () => helpEntries(), render: renderHelp }),
];

function helpEntries(): HelpEntries {
  return CONTROL_COMMANDS.map(({ words, argumentName, says }) => ({
    command: argumentName === undefined ? words : `${words} ${argumentName}`, says,
  }));
}

function renderHelp(entries: HelpEntries): string[] {
  return pairLines(entries.map((entry) => [entry.command, entry.says]));
}

/** Lines of the list of commands. */
export function helpLines(): string[] {
  return renderHelp(helpEntries());
}
