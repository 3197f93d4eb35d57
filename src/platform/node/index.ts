/** What the machine and the command line get from Node.js. The default guest's files are in guest-image/. */
export { ByteServer, type ByteConnection, type ByteEvents, type ListenAddress } from "./byte-server.js";
export { keepFreedMemory } from "./allocator.js";
export { createRunDelayMeter } from "./run-delay.js";
export { openCache } from "./cache-folder.js";
export { monotonicNs } from "./clock.js";
export { collectGarbage, collectGarbageSoon } from "./garbage.js";
export { crc32 } from "./crc32.js";
export { type CachedFile, FileCache, type FileCacheBounds } from "./file-cache.js";
export { hashBytes, hashInputFile, hashOwnFiles, InputFileError, ownPath, readInputFile, readOwnFile } from "./files.js";
export { askLine, LineServer, LINE_BYTES_MAX, LocalSocketError, type LineServerParts } from "./local-socket.js";
export { catchOutputErrors, ClosedOutputError, writeOutput } from "./output.js";
export { OutputFile, OutputFileError } from "./output-file.js";
export { SwapFile, SwapFileError, type SwapFileShare, SwapFileSlots } from "./swap-file.js";
export { onEndingSignal, Terminal, type TerminalEvents, type TerminalSize } from "./terminal.js";
export { makeNativeCode, nativeCodeHost, restoreModule, takeNativeCode, withHints } from "./native-code.js";
export { createPipe, onOwnerMessage, type PipeEnd, postToOwner, receiveFromOwner, receiveFromPipe, startThread, type Thread, threadData, type ThreadEvents } from "./threads.js";
