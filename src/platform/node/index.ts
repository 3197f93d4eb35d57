/** What the machine and the command line get from Node.js. The default guest's files are in guest-image/. */
export { createRunDelayMeter } from "./run-delay.js";
export { monotonicNs } from "./clock.js";
export { InputFileError, readInputFile } from "./files.js";
export { catchOutputErrors, ClosedOutputError, writeOutput } from "./output.js";
export { onEndingSignal, Terminal, type TerminalEvents, type TerminalSize } from "./terminal.js";
export { postToOwner, startThread, type Thread, threadData, type ThreadEvents } from "./threads.js";
