/** The control commands, for the command line: its monitor and `unpinned ctl`. */
export { CONTROL_COMMANDS, type ControlCommand, helpLines } from "./command-table.js";
export { controlDocument } from "./control-document.js";
export { ControlSocket, sendCommand } from "./control-socket.js";
export type { ControlTarget } from "./control-target.js";
export { ControlFailure, ControlUsageError } from "./errors.js";
export { parseCommand, type PreparedCommand } from "./parse.js";
export { tableLines } from "./text-table.js";
