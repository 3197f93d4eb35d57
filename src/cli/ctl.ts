/** `unpinned ctl`: one command for a running VM. */
import { ControlFailure, parseCommand, sendCommand } from "../machine/control/index.js";
import { writeOutput } from "../platform/node/index.js";

/** What `unpinned ctl` was asked for. */
export interface CtlArguments {
  readonly socket: string;
  /** The command and its argument. */
  readonly words: readonly string[];
  readonly json: boolean;
}

/** Sends the command, prints its result, and resolves with the exit status. Throws what there is to say on standard error. */
export async function runCtl({ socket, words, json }: CtlArguments): Promise<number> {
  const { command } = parseCommand(words);
  const result = await sendCommand(socket, words);
  const refusal = command.refusal(result);
  if (json) await writeOutput("stdout", `${JSON.stringify(result)}\n`);
  if (refusal !== undefined) throw new ControlFailure(`${command.words}: ${refusal}`);
  if (!json) await writeOutput("stdout", `${command.render(result).join("\n")}\n`);
  return 0;
}
