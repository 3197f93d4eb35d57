/** From the words of a command to the command. */
import { CONTROL_COMMANDS, type ControlCommand } from "./command-table.js";
import type { ControlTarget } from "./control-target.js";
import { ControlUsageError } from "./errors.js";

/** A command that can be carried out. */
export interface PreparedCommand {
  readonly command: ControlCommand;
  run(target: ControlTarget): Promise<unknown>;
}

/** Finds the command that `words` begin with and reads its argument; case does not matter. Throws ControlUsageError. */
export function parseCommand(words: readonly string[]): PreparedCommand {
  const given = words.flatMap((word) => word.trim().toLowerCase().split(/\s+/)).filter((word) => word !== "");
  if (given.length === 0) throw new ControlUsageError("a command is missing: try help");
  const command = CONTROL_COMMANDS.find(({ words: own }) => own === given.slice(0, wordCount(own)).join(" "));
  if (command === undefined) throw new ControlUsageError(unknownMessage(given));
  const rest = given.slice(wordCount(command.words));
  if (rest.length > 1) throw new ControlUsageError(`${command.words}: too many words: "${rest.join(" ")}"`);
  return { command, run: command.prepare(rest[0]) };
}

function wordCount(words: string): number {
  return words.split(" ").length;
}

function unknownMessage([first = "", second]: readonly string[]): string {
  const family = CONTROL_COMMANDS.filter(({ words }) => words.startsWith(`${first} `)).map(({ words }) => words.slice(first.length + 1));
  if (family.length === 0) return `no command "${first}": try help`;
  return `${second === undefined ? `${first} needs another word` : `no command "${first} ${second}"`}: ${first} ${family.join("|")}`;
}
