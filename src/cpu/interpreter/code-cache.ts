/**
 * Traces of decoded instructions: found by RIP, kept by guest page, dropped when the page's bytes change.
 *
 * Code belongs to guest pages (gfn) and not to frames, so moving a frame costs no decoding. A store that overlaps decoded
 * bytes kills all traces of its page (see code-sharing.ts). A killed trace keeps its place: its first op becomes DEAD, which sends
 * whoever jumps there back to the dispatcher.
 *
 * Look-up order: PC cache (rip, epoch) -> trace hash (rip, gfn, offset and mode) -> decoder.
 */
import { forgetKernelCode, forgetReturns, forgetUserCode } from "./code-epochs";
import * as L from "./generated/layout";
import { HANDLER_DEAD, HANDLER_REGION, HANDLER_REGION_AWAITED, HANDLER_TRACE_END } from "./generated/handlers";
import {
  OP_HANDLER, OP_IMMEDIATE, OP_INDEX, OP_REG, OP_REGION_MISSED_IN, OP_REGION_WINDOWS_MISSED, OP_RM, OP_SIZE, TRACE_BYTES, TRACE_GFN, TRACE_HASH_NEXT, TRACE_HEADER_SIZE, TRACE_HEAT, TRACE_HEAT_ASKED,
  TRACE_INSTRUCTIONS, TRACE_KEY, TRACE_RIP, TRACE_SECOND_GFN,
} from "./op";
import { cpu } from "./state";
import { decodeTrace, decodedSecondGfn, singleInstructionTraces } from "./decode";
import { beginDecoding, codeStores, endDecoding } from "./code-sharing";
import { IDLE, lockStep } from "./lock-step";
import { fetchGfn, fetchPointer } from "./memory";
import { kernelPcNonGlobal, noteKernelPcNonGlobal } from "./tlb";

const HASH_BUCKETS: u32 = 65536;
const PAGE_BUCKETS: u32 = 16384;
/** Code page record: u32 gfn, u32 first node, u32 next in bucket. */
const PAGE_RECORD_SIZE: u32 = 16;
/** A list node: u32 next, u32 trace. Two nodes name a trace whose only instruction spans two pages. */
const NODE_SIZE: u32 = 8;
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
  forgetUserCode();
  forgetKernelCode();
  store<u32>(cpu + L.VCPU_hotTraces, 0);
  store<u64>(cpu + L.VCPU_counterArenaFlushes, load<u64>(cpu + L.VCPU_counterArenaFlushes) + 1);
}

/** PC cache slot for `rip` at the present privilege. */
// @ts-ignore: decorator
@inline export function pcCacheSlot(base: u32, rip: u64): u32 {
  return base + ((u32(rip) ^ u32(rip >> 14)) & (L.PC_CACHE_ENTRIES - 1)) * L.PC_CACHE_ENTRY_SIZE;
}

/** Where the entry may be that belongs at `slot`, besides there: its neighbour's place, in the same line of the host's cache. */
// @ts-ignore: decorator
@inline function secondSlot(slot: u32): u32 { return slot ^ L.PC_CACHE_ENTRY_SIZE; }

/** Whether the entry in `slot` is at the place that its RIP chooses, not its neighbour. */
function isAtHome(slot: u32): bool { return ((pcCacheSlot(0, load<u64>(slot)) ^ slot) & L.PC_CACHE_ENTRY_SIZE) == 0; }

/** The trace that the PC cache has at `slot` or besides for `rip` and `key`, 0 when it has none. */
export function cachedTrace(rip: u64, slot: u32, key: u32): u32 {
  if (load<u64>(slot) != rip) slot = secondSlot(slot);
  return load<u64>(slot) == rip && load<u32>(slot + 8) == key ? load<u32>(slot + 12) : 0;
}

// @ts-ignore: decorator
@inline function pcCachePage(va: u64): u32 { return (u32(va >> 12) ^ u32(va >> 28)) & 0xffff; }

function markPcCachePage(va: u64): void {
  const page = pcCachePage(va);
  const byte = cpu + L.VCPU_AREA_pcCachePages + (page >> 3);
  store<u8>(byte, u8(u32(load<u8>(byte)) | (1 << (page & 7))));
}

/** Forgets the PC caches if they may hold code of the page of `va`, whose translation changes. Regions remember returns to pages that have no mark. */
export function forgetPcCachePage(va: u64): void {
  const page = pcCachePage(va);
  if ((load<u8>(cpu + L.VCPU_AREA_pcCachePages + (page >> 3)) & (1 << (page & 7))) == 0) {
    forgetReturns();
    return;
  }
  memory.fill(cpu + L.VCPU_AREA_pcCachePages, 0, L.VCPU_AREA_pcCachePagesEnd - L.VCPU_AREA_pcCachePages);
  forgetUserCode();
  forgetKernelCode();
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
  while (record != 0 && load<u32>(record) != gfn) record = load<u32>(record + 8);
  return record;
}

function addPage(gfn: u32): u32 {
  const bucket = pageBucket(gfn);
  const record = pageNext;
  pageNext += PAGE_RECORD_SIZE;
  store<u32>(record, gfn);
  store<u32>(record + 4, 0);
  store<u32>(record + 8, load<u32>(bucket));
  store<u32>(bucket, record);
  return record;
}

/** Registers `trace` with the guest page `gfn`. */
function attach(trace: u32, gfn: u32): void {
  let record = findPage(gfn);
  if (record == 0) record = addPage(gfn);
  const node = arenaNext;
  arenaNext += NODE_SIZE;
  store<u32>(node, load<u32>(record + 4));
  store<u32>(node + 4, trace);
  store<u32>(record + 4, node);
}

function killTrace(trace: u32): void {
  store<u16>(trace + TRACE_HEADER_SIZE + OP_HANDLER, HANDLER_DEAD);
  // The dead op forwards those who still jump here, once it has got a link.
  store<u64>(trace + TRACE_HEADER_SIZE + OP_IMMEDIATE, 0);
  store<u32>(trace + TRACE_KEY, KEY_DEAD);
}

function killPage(record: u32): void {
  let node = load<u32>(record + 4);
  while (node != 0) {
    killTrace(load<u32>(node + 4));
    node = load<u32>(node);
  }
  store<u32>(record + 4, 0);
  forgetReturns();
  store<u64>(cpu + L.VCPU_counterCodeInvalidations, load<u64>(cpu + L.VCPU_counterCodeInvalidations) + 1);
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
  let global = fetchGfn & L.TLB_GLOBAL;
  const gfn = fetchGfn & ~L.TLB_GLOBAL;
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
    // What is run twice leaves the traces as they are.
    if (lockStep != IDLE) return 0;
    trace = makeTrace(rip, linear, code, gfn, traceKey, mode);
    if (trace == 0) return 0;
    // The arena may have been emptied, which bumps the epochs and so the key; the slot is then filled at the next look-up.
  }
  if (load<u32>(trace + TRACE_SECOND_GFN) != NO_GFN) {
    // The entry names both pages: it has to be forgotten when either is mapped elsewhere.
    const second = (linear | 0xfff) + 1;
    if (fetchPointer(second) == 0) return 0;
    global &= fetchGfn;
    markPcCachePage(second);
  }
  markPcCachePage(linear);
  if (global == 0 && load<u32>(cpu + L.VCPU_cpl) != 3 && !kernelPcNonGlobal) noteKernelPcNonGlobal();
  // Two that are used in turn and belong at one place would be looked for each time; but nobody is displaced from his own place.
  if (load<u64>(slot) != rip && load<u32>(slot + 8) == key && isAtHome(slot)) {
    const second = secondSlot(slot);
    if (load<u32>(second + 8) != key || !isAtHome(second)) memory.copy(second, slot, L.PC_CACHE_ENTRY_SIZE);
  }
  store<u64>(slot, rip);
  store<u32>(slot + 8, key);
  store<u32>(slot + 12, trace);
  return trace;
}

function makeTrace(rip: u64, linear: u64, code: u32, gfn: u32, traceKey: u32, mode: u32): u32 {
  if (arenaNext + TRACE_ROOM > cpu + L.VCPU_AREA_tracesEnd || pageNext + 2 * PAGE_RECORD_SIZE > cpu + L.VCPU_AREA_codePagesEnd) resetCodeCache();
  const trace = arenaNext;
  store<u64>(trace + TRACE_RIP, rip);
  store<u32>(trace + TRACE_GFN, gfn);
  store<u32>(trace + TRACE_KEY, traceKey);
  store<u32>(trace + TRACE_SECOND_GFN, NO_GFN);
  store<u32>(trace + TRACE_HEAT, 0);
  const offset = u32(linear) & 0xfff;
  let end: u32;
  let bytes: u32;
  let settled: bool;
  do {
    const stores = codeStores();
    beginDecoding(gfn);
    end = decodeTrace(trace, linear, code, mode);
    if (end == 0) return 0;
    bytes = u32(load<u16>(trace + TRACE_BYTES));
    settled = endDecoding(gfn, offset, min<u32>(bytes, 4096 - offset), stores);
    if (offset + bytes > 4096) settled = endDecoding(decodedSecondGfn, 0, offset + bytes - 4096, stores) && settled;
  } while (!settled);
  arenaNext = end;
  store<u64>(cpu + L.VCPU_counterDecodedInstructions, load<u64>(cpu + L.VCPU_counterDecodedInstructions) + u64(load<u16>(trace + TRACE_INSTRUCTIONS)));
  attach(trace, gfn);
  if (offset + bytes > 4096) {
    store<u32>(trace + TRACE_SECOND_GFN, decodedSecondGfn);
    attach(trace, decodedSecondGfn);
  }
  const bucket = hashBucket(rip);
  store<u32>(trace + TRACE_HASH_NEXT, load<u32>(bucket));
  store<u32>(bucket, trace);
  return trace;
}

/** Forgets the PC cache entries of `rip`, whose trace was dropped. */
export function dropPcCache(rip: u64): void {
  dropAt(pcCacheSlot(cpu + L.VCPU_AREA_userPcCache, rip), rip);
  dropAt(pcCacheSlot(cpu + L.VCPU_AREA_kernelPcCache, rip), rip);
}

function dropAt(slot: u32, rip: u64): void {
  if (load<u64>(slot) == rip) store<u64>(slot + 8, 0xffff_ffff);
  const second = secondSlot(slot);
  if (load<u64>(second) == rip) store<u64>(second + 8, 0xffff_ffff);
}

/** Counts a sample of `trace`, which is about to run, and asks the translator for it when it is hot, or hot enough for another region than it has. */
export function sampleTrace(trace: u32): void {
  store<u64>(cpu + L.VCPU_counterSamples, load<u64>(cpu + L.VCPU_counterSamples) + 1);
  if (load<u16>(trace + TRACE_HEADER_SIZE) == HANDLER_REGION) {
    store<u64>(cpu + L.VCPU_counterRegionSamples, load<u64>(cpu + L.VCPU_counterRegionSamples) + 1);
    warmTrace(trace, L.HEAT_OF_REGION_SAMPLE);
    return;
  }
  warmTrace(trace, L.HEAT_OF_SAMPLE);
  if (load<u32>(trace + TRACE_HEAT) != TRACE_HEAT_ASKED && isKnownEntry(load<u64>(trace + TRACE_RIP))) bring(trace);
}

/** Whether there may be a region already that begins at `rip` (translator/recipe-book.ts). */
// @ts-ignore: decorator
@inline function isKnownEntry(rip: u64): bool {
  const bit = (u32(rip) ^ u32(rip >> 16)) & (L.KNOWN_ENTRY_BITS - 1);
  return (load<u8>(cpu + L.VCPU_AREA_knownEntries + (bit >> 3)) & (1 << (bit & 7))) != 0;
}

/** Shows `trace` to the translator. Returns false when there is no room. */
function bring(trace: u32): bool {
  const count = load<u32>(cpu + L.VCPU_hotTraces);
  if (count == L.HOT_TRACES_MAX) return false;
  store<u32>(cpu + L.VCPU_AREA_hotTraces + (count << 2), trace);
  store<u32>(cpu + L.VCPU_hotTraces, count + 1);
  return true;
}

/** The region in `slot` has been left at an op of `trace` because it did not find a window. */
export function noteMissedWindow(trace: u32, slot: u32): void {
  const op = trace + TRACE_HEADER_SIZE;
  const missed = load<u32>(op + OP_REGION_WINDOWS_MISSED) + 1;
  store<u32>(op + OP_REGION_WINDOWS_MISSED, missed);
  if (missed % L.WINDOWS_MISSED_MAX != 0) return;
  store<u32>(op + OP_REGION_MISSED_IN, slot);
  bring(trace);
}

/** Adds to the heat of `trace`: a sample, or 1 for each time that a region had to be left for it. */
export function warmTrace(trace: u32, by: u32): void {
  const heat = load<u32>(trace + TRACE_HEAT);
  if (heat == TRACE_HEAT_ASKED) return;
  if (heat + by < load<u32>(cpu + L.VCPU_hotSamples) * L.HEAT_OF_SAMPLE) {
    store<u32>(trace + TRACE_HEAT, heat + by);
    if (heat + by >= L.HEAT_OF_LOOK && clz<u32>(heat + by) != clz<u32>(heat)) bring(trace);
    return;
  }
  if (bring(trace)) store<u32>(trace + TRACE_HEAT, TRACE_HEAT_ASKED);
}

/**
 * Puts a copy of `trace` in its place whose first op is free for the entry of a region. Returns the copy, 0 when there is no room. No trace may be
 * executing. The old one forwards to it, as one does whose page was decoded again.
 */
export function makeRegionTrace(trace: u32): u32 {
  if (arenaNext + TRACE_ROOM > cpu + L.VCPU_AREA_tracesEnd) return 0;
  let end = trace + TRACE_HEADER_SIZE;
  while (load<u16>(end + OP_HANDLER) != HANDLER_TRACE_END) end += OP_SIZE;
  end += OP_SIZE;
  const copy = arenaNext;
  const size = end - trace;
  memory.copy(copy, trace, TRACE_HEADER_SIZE);
  memory.fill(copy + TRACE_HEADER_SIZE, 0, OP_SIZE);
  store<u16>(copy + TRACE_HEADER_SIZE + OP_HANDLER, HANDLER_REGION_AWAITED);
  memory.copy(copy + TRACE_HEADER_SIZE + OP_SIZE, trace + TRACE_HEADER_SIZE, size - TRACE_HEADER_SIZE);
  arenaNext = copy + size + OP_SIZE;
  for (let op = copy + TRACE_HEADER_SIZE + OP_SIZE; op < arenaNext; op += OP_SIZE) {
    moveOperand(op + OP_REG, trace, size, copy);
    moveOperand(op + OP_RM, trace, size, copy);
    moveOperand(op + OP_INDEX, trace, size, copy);
  }
  store<u32>(copy + TRACE_HEAT, TRACE_HEAT_ASKED);
  killTrace(trace);
  dropPcCache(load<u64>(copy + TRACE_RIP));
  attach(copy, load<u32>(copy + TRACE_GFN));
  if (load<u32>(copy + TRACE_SECOND_GFN) != NO_GFN) attach(copy, load<u32>(copy + TRACE_SECOND_GFN));
  const bucket = hashBucket(load<u64>(copy + TRACE_RIP));
  store<u32>(copy + TRACE_HASH_NEXT, load<u32>(bucket));
  store<u32>(bucket, copy);
  return copy;
}

/** Room for the addresses of `count` traces, for a region's code; 0 when there is none. It is given back with all traces. */
export function reserveTraceList(count: u32): u32 {
  const size = (count * 4 + OP_SIZE - 1) & ~(OP_SIZE - 1);
  if (arenaNext + size > cpu + L.VCPU_AREA_tracesEnd) return 0;
  const list = arenaNext;
  arenaNext += size;
  return list;
}

/** An operand that lies in the op itself (an immediate) or in the trace's header (its RIP) is in the copy now. */
function moveOperand(field: u32, from: u32, size: u32, to: u32): void {
  const address = load<u32>(field);
  if (address - from >= size) return;
  store<u32>(field, address - from + to + (address - from >= TRACE_HEADER_SIZE ? OP_SIZE : 0));
}
