/**
 * Traces of decoded instructions: found by RIP, kept by guest page, dropped when the page's bytes change.
 *
 * Code belongs to guest pages (gfn) and not to frames, so moving a frame costs no decoding. Per page with code there
 * is a record with a bit per 64 bytes that hold decoded instructions; a store that overlaps one kills all traces of the page, any
 * other store (data beside code) costs only the slow path. A killed trace keeps its place: its first op becomes DEAD, which sends
 * whoever jumps there back to the dispatcher.
 *
 * Look-up order: PC cache (rip, epoch) -> trace hash (rip, gfn, offset and mode) -> decoder.
 */
import * as L from "./generated/layout";
import { HANDLER_DEAD } from "./generated/handlers";
import {
  OP_HANDLER, TRACE_BYTES, TRACE_GFN, TRACE_HASH_NEXT, TRACE_HEADER_SIZE, TRACE_INSTRUCTIONS, TRACE_KEY, TRACE_RIP, TRACE_SECOND_GFN,
} from "./op";
import { cpu } from "./state";
import { decodeTrace, decodedSecondGfn, singleInstructionTraces } from "./decode";
import { fetchGfn, fetchPointer, kernelPcNonGlobal, noteKernelPcNonGlobal, nptEntryAddress, withholdWriteTags } from "./memory";

const HASH_BUCKETS: u32 = 65536;
const PAGE_BUCKETS: u32 = 16384;
/** Code page record: u32 gfn, u32 first node, u64 chunks with code, u32 next in bucket, u32 stores seen while empty. */
const PAGE_RECORD_SIZE: u32 = 32;
/** A list node: u32 next, u32 trace. Two nodes name a trace whose only instruction spans two pages. */
const NODE_SIZE: u32 = 8;
/** Stores to a page without live traces until its write tag is given back. */
const EMPTY_STORES_MAX: u32 = 16;
/** Room that one trace may need at most: header, 64 instructions of at most 3 ops, nodes. */
const TRACE_ROOM: u32 = 8192;
const KEY_DEAD: u32 = 0xffff_ffff;
const NO_GFN: u32 = 0xffff_ffff;

let arenaNext: u32 = 0;
let pageNext: u32 = 0;

/** Empties the cache. No trace may be executing. */
export function resetCodeCache(): void {
  arenaNext = cpu + L.VCPU_AREA_traces;
  pageNext = cpu + L.VCPU_AREA_codePages;
  memory.fill(cpu + L.VCPU_AREA_traceHash, 0, HASH_BUCKETS << 2);
  memory.fill(cpu + L.VCPU_AREA_codePageHash, 0, PAGE_BUCKETS << 2);
  store<u32>(cpu + L.VCPU_userEpoch, load<u32>(cpu + L.VCPU_userEpoch) + 1);
  store<u32>(cpu + L.VCPU_kernelEpoch, load<u32>(cpu + L.VCPU_kernelEpoch) + 1);
  store<u64>(cpu + L.VCPU_counterArenaFlushes, load<u64>(cpu + L.VCPU_counterArenaFlushes) + 1);
}

/** PC cache slot for `rip` at the present privilege. */
// @ts-ignore: decorator
@inline export function pcCacheSlot(base: u32, rip: u64): u32 {
  return base + ((u32(rip) ^ u32(rip >> 14)) & (L.PC_CACHE_ENTRIES - 1)) * L.PC_CACHE_ENTRY_SIZE;
}

// @ts-ignore: decorator
@inline function hashBucket(rip: u64): u32 {
  return cpu + L.VCPU_AREA_traceHash + (((u32(rip) ^ u32(rip >> 16) ^ u32(rip >> 32)) & (HASH_BUCKETS - 1)) << 2);
}

// @ts-ignore: decorator
@inline function pageBucket(gfn: u32): u32 {
  return cpu + L.VCPU_AREA_codePageHash + (((gfn ^ (gfn >> 14)) & (PAGE_BUCKETS - 1)) << 2);
}

function findPage(gfn: u32): u32 {
  let record = load<u32>(pageBucket(gfn));
  while (record != 0 && load<u32>(record) != gfn) record = load<u32>(record + 16);
  return record;
}

function addPage(gfn: u32): u32 {
  const bucket = pageBucket(gfn);
  const record = pageNext;
  pageNext += PAGE_RECORD_SIZE;
  store<u32>(record, gfn);
  store<u32>(record + 4, 0);
  store<u64>(record + 8, 0);
  store<u32>(record + 16, load<u32>(bucket));
  store<u32>(record + 20, 0);
  store<u32>(bucket, record);
  return record;
}

/** Bit mask of the 64-byte chunks that [offset, offset + size) of a page touches. */
function chunkMask(offset: u32, size: u32): u64 {
  const first = offset >> 6;
  const last = min<u32>(offset + size - 1, 4095) >> 6;
  return (u64(-1) << u64(first)) & (u64(-1) >> u64(63 - last));
}

/** Registers `trace` with the guest page `gfn`, whose bytes [offset, offset + size) it was decoded from. */
function attach(trace: u32, gfn: u32, offset: u32, size: u32): void {
  let record = findPage(gfn);
  if (record == 0) record = addPage(gfn);
  const entryAddress = nptEntryAddress(u64(gfn));
  if ((load<u32>(entryAddress) & L.NPT_CODE) == 0) {
    atomic.or<u32>(entryAddress, L.NPT_CODE);
    withholdWriteTags(gfn);
  }
  const node = arenaNext;
  arenaNext += NODE_SIZE;
  store<u32>(node, load<u32>(record + 4));
  store<u32>(node + 4, trace);
  store<u32>(record + 4, node);
  store<u64>(record + 8, load<u64>(record + 8) | chunkMask(offset, size));
  store<u32>(record + 20, 0);
}

function killPage(record: u32): void {
  let node = load<u32>(record + 4);
  while (node != 0) {
    const trace = load<u32>(node + 4);
    store<u16>(trace + TRACE_HEADER_SIZE + OP_HANDLER, HANDLER_DEAD);
    store<u32>(trace + TRACE_KEY, KEY_DEAD);
    node = load<u32>(node);
  }
  store<u32>(record + 4, 0);
  store<u64>(record + 8, 0);
  store<u64>(cpu + L.VCPU_counterCodeInvalidations, load<u64>(cpu + L.VCPU_counterCodeInvalidations) + 1);
}

/**
 * Tells of a store into a page marked NPT_CODE, before it is done. Returns true when decoded instructions were
 * overwritten, so that the executing trace must be left behind the storing instruction.
 */
export function codeWritten(gfn: u32, offset: u32, size: u32): bool {
  const record = findPage(gfn);
  if (record == 0) {
    atomic.and<u32>(nptEntryAddress(u64(gfn)), ~L.NPT_CODE);
    return false;
  }
  const chunks = load<u64>(record + 8);
  if (chunks == 0) {
    const stores = load<u32>(record + 20) + 1;
    store<u32>(record + 20, stores);
    if (stores > EMPTY_STORES_MAX) atomic.and<u32>(nptEntryAddress(u64(gfn)), ~L.NPT_CODE);
    return false;
  }
  if ((chunks & chunkMask(offset, size)) == 0) return false;
  killPage(record);
  return true;
}

/** Drops all decoded instructions of guest page `gfn`: the host or a device wrote to it. */
export function invalidateCodePage(gfn: u32): void {
  const record = findPage(gfn);
  if (record != 0 && load<u32>(record + 4) != 0) killPage(record);
}

/**
 * The trace that begins at architectural `rip`, decoded if need be, and entered in the PC cache slot. Returns 0 with
 * the fault or exit recorded when the code cannot be fetched. `key` is the PC cache key of the present privilege and epoch.
 */
export function findTrace(rip: u64, slot: u32, key: u32): u32 {
  const mode = load<u32>(cpu + L.VCPU_mode);
  const linear = mode == L.MODE_64 ? rip : (rip + load<u64>(cpu + L.VCPU_segments + L.SEGMENT_CS * L.SEGMENT_SIZE + L.SEGMENT_BASE)) & 0xffff_ffff;
  const code = fetchPointer(linear);
  if (code == 0) return 0;
  const gfnAndGlobal = fetchGfn;
  const gfn = gfnAndGlobal & ~L.TLB_GLOBAL;
  store<u64>(cpu + L.VCPU_counterTraceLookups, load<u64>(cpu + L.VCPU_counterTraceLookups) + 1);
  // Traces of one instruction (single steps) are kept apart from those of ordinary runs.
  const traceKey = mode | (singleInstructionTraces() ? 4 : 0) | ((u32(linear) & 0xfff) << 8);
  let trace = load<u32>(hashBucket(rip));
  while (trace != 0) {
    if (load<u64>(trace + TRACE_RIP) == rip && load<u32>(trace + TRACE_GFN) == gfn && load<u32>(trace + TRACE_KEY) == traceKey) {
      const second = load<u32>(trace + TRACE_SECOND_GFN);
      if (second == NO_GFN) break;
      if (fetchPointer((linear | 0xfff) + 1) == 0) return 0;
      if ((fetchGfn & ~L.TLB_GLOBAL) == second) break;
    }
    trace = load<u32>(trace + TRACE_HASH_NEXT);
  }
  if (trace == 0) {
    trace = makeTrace(rip, linear, code, gfn, traceKey, mode);
    if (trace == 0) return 0;
    // The arena may have been emptied, which bumps the epochs and so the key; the slot is then filled at the next look-up.
  }
  const user = load<u32>(cpu + L.VCPU_cpl) == 3;
  if (!user && (gfnAndGlobal & L.TLB_GLOBAL) == 0 && !kernelPcNonGlobal) noteKernelPcNonGlobal();
  if (load<u32>(trace + TRACE_SECOND_GFN) == NO_GFN) {
    store<u64>(slot, rip);
    store<u32>(slot + 8, key);
    store<u32>(slot + 12, trace);
  }
  return trace;
}

function makeTrace(rip: u64, linear: u64, code: u32, gfn: u32, traceKey: u32, mode: u32): u32 {
  if (arenaNext + TRACE_ROOM > cpu + L.VCPU_AREA_tracesEnd || pageNext + 2 * PAGE_RECORD_SIZE > cpu + L.VCPU_AREA_codePagesEnd) resetCodeCache();
  const trace = arenaNext;
  store<u64>(trace + TRACE_RIP, rip);
  store<u32>(trace + TRACE_GFN, gfn);
  store<u32>(trace + TRACE_KEY, traceKey);
  store<u32>(trace + TRACE_SECOND_GFN, NO_GFN);
  const end = decodeTrace(trace, linear, code, mode);
  if (end == 0) return 0;
  arenaNext = end;
  const bytes = u32(load<u16>(trace + TRACE_BYTES));
  const offset = u32(linear) & 0xfff;
  store<u64>(cpu + L.VCPU_counterDecodedInstructions, load<u64>(cpu + L.VCPU_counterDecodedInstructions) + u64(load<u16>(trace + TRACE_INSTRUCTIONS)));
  attach(trace, gfn, offset, min<u32>(bytes, 4096 - offset));
  if (offset + bytes > 4096) {
    store<u32>(trace + TRACE_SECOND_GFN, decodedSecondGfn);
    attach(trace, decodedSecondGfn, 0, offset + bytes - 4096);
  }
  const bucket = hashBucket(rip);
  store<u32>(trace + TRACE_HASH_NEXT, load<u32>(bucket));
  store<u32>(bucket, trace);
  return trace;
}
