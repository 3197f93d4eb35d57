/** What an instruction did: the state after it, as the native generator reports it and as the core is asked for it. */
import { CASE, CHANGE_SIZE, CODE_BASE, FX, RESULT, SELECTOR_CODE_32, SELECTOR_CODE_64, SELECTOR_DATA } from "./layout.js";

export const VECTOR_DEBUG = 1;
export const VECTOR_BREAKPOINT = 3;
export const VECTOR_PROTECTION = 13;
export const VECTOR_PAGE_FAULT = 14;

/** Final state of one case. `record` is a struct test_result; its x87 registers are in the order of FXSAVE. */
export interface Outcome {
  readonly record: DataView;
  /** Changed eight-byte words of the data pages, ascending. */
  readonly changes: { readonly address: number; readonly value: bigint }[];
}

/** An outcome that says "nothing happened yet": the initial state of a case. */
export function outcomeOfCase(initial: DataView): Outcome {
  const record = new DataView(new ArrayBuffer(RESULT.size));
  const bytes = new Uint8Array(record.buffer);
  const from = new Uint8Array(initial.buffer, initial.byteOffset, CASE.size);
  bytes.set(from.subarray(CASE.gpr, CASE.fx), RESULT.gpr);
  bytes.set(from.subarray(CASE.fx, CASE.fx + FX.size), RESULT.fx);
  record.setUint32(RESULT.trap, VECTOR_BREAKPOINT, true);
  record.setBigUint64(RESULT.rip, BigInt(CODE_BASE + initial.getUint32(CASE.codeOffset, true)), true);
  const code = initial.getUint32(CASE.mode, true) === 0 ? SELECTOR_CODE_64 : SELECTOR_CODE_32;
  [code, SELECTOR_DATA, SELECTOR_DATA, SELECTOR_DATA, 0, 0].forEach((selector, i) => { record.setUint16(RESULT.selectors + 2 * i, selector, true); });
  return { record, changes: [] };
}

/** Reads one outcome of the native generator at `offset`; answers it and the offset behind it. */
export function readOutcome(bytes: Uint8Array, offset: number): { outcome: Outcome; next: number } {
  const record = new DataView(bytes.slice(offset, offset + RESULT.size).buffer);
  const count = record.getUint32(RESULT.changeCount, true);
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset + RESULT.size, count * CHANGE_SIZE);
  const changes: { address: number; value: bigint }[] = [];
  for (let i = 0; i < count; i++) {
    changes.push({ address: Number(view.getBigUint64(i * CHANGE_SIZE, true)), value: view.getBigUint64(i * CHANGE_SIZE + 8, true) });
  }
  return { outcome: { record, changes }, next: offset + RESULT.size + count * CHANGE_SIZE };
}

/** ST(i) of an FXSAVE image is physical register (i + TOP) mod 8. Answers the record offset of physical register n. */
export function physicalOffset(record: DataView, fx: number, n: number): number {
  const top = (record.getUint16(fx + FX.status, true) >> 11) & 7;
  return fx + FX.st + ((n - top) & 7) * 16;
}
