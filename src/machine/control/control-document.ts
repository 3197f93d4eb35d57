/** docs/control.md: the commands, from their table. */
import { CONTROL_COMMANDS } from "./command-table.js";

const HEAD = `# Commands for a running VM

Made from \`src/machine/control/command-table.ts\` by \`node scripts/docs.mjs\`.

Three ways lead to the same commands: \`unpinned ctl SOCKET COMMAND\` for a VM that was started with \`--control SOCKET\`, the monitor behind Ctrl-A c,
and lines of JSON on the socket itself. The library has a method for each: [api.md](api.md).

| Command | |
|---|---|
`;

const TAIL = `
A GFN is a guest-physical address divided by 4096; numbers may be decimal or begin with 0x. With \`--json\`, \`unpinned ctl\` prints the result as one JSON
object or array instead of text.

Exit status of \`unpinned ctl\`: 0; 1 when the operation was refused or failed, or no VM answers; 2 when the command is wrong. What went wrong is one line
on standard error.

## On the socket

A line of JSON each way, at most 64 KiB to the VM:

    {"id":1,"command":["memory","move","0x100"]}
    {"id":1,"ok":true,"result":{"moved":1,"absent":0,"pinned":0,"noSlot":0,"outOfMemory":0}}
    {"id":2,"command":["memory","jump"]}
    {"id":2,"ok":false,"error":{"kind":"usage","message":"no command \\"memory jump\\": memory show|slots|move|swap|merge|offline|online"}}

\`id\` is a number or a string that comes back, or absent. An answer's \`kind\` is "usage" where the command was wrong, "failed" where it could not be carried out. A
refused operation, such as \`memory offline\` of a block with a pinned page, is a result. Answers come in the order of the lines of their connection; several
clients may be connected. Only the user who runs the VM can connect (mode 0600); the socket is removed at the end.
`;

/** The document's text. */
export function controlDocument(): string {
  const rows = CONTROL_COMMANDS.map(({ words, argumentName, says }) =>
    `| \`${argumentName === undefined ? words : `${words} ${argumentName.replaceAll("|", "\\|")}`}\` | ${says} |\n`);
  return `${HEAD}${rows.join("")}${TAIL}`;
}
