/** What the debugger asks of a vCPU's thread, which is at the gate then, and what comes back. */

/** One question. Addresses are guest-virtual and go by the vCPU's page tables, if they are not said to be physical. */
export type DebugCommand =
  | { readonly name: "read-registers" }
  /** All of them, packed (registers.ts). Answers whether each could be written. */
  | { readonly name: "write-registers"; readonly packed: Uint8Array }
  /** Answers the bytes up to the first that cannot be read; maybe none. */
  | { readonly name: "read-memory" | "read-physical"; readonly address: bigint; readonly lengthBytes: number }
  /** Answers whether all was written. What the page tables say of writing does not count. */
  | { readonly name: "write-memory"; readonly address: bigint; readonly bytes: Uint8Array }
  /** Answers the guest-physical address, undefined = there is none. */
  | { readonly name: "translate"; readonly address: bigint };

/** What each command answers. */
export interface DebugResults {
  "read-registers": Uint8Array;
  "write-registers": boolean;
  "read-memory": Uint8Array;
  "read-physical": Uint8Array;
  "write-memory": boolean;
  translate: number | undefined;
}

/** What any of them answers. */
export type DebugResult = DebugResults[keyof DebugResults];

/** A command on its way to a vCPU's thread; its answer has the same id. */
export interface DebugRequest {
  readonly id: number;
  readonly command: DebugCommand;
}
