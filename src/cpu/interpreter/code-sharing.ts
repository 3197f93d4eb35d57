/**
 * Decoded code and the other vCPUs.
 *
 * Each vCPU keeps its own traces. What all share: per guest page, which 64-byte chunks somebody has decoded, and who. A store to a
 * page marked NPT_CODE looks there; if it overlaps, the holders are told by the log and a request bit, and drop their traces before
 * their next trace begins. The first trace of a page needs more: every other vCPU must first give up its write tag for the page, or
 * it could go on storing there without looking. Until all have, the mark is not settled, and who else decodes there waits for itself.
 *
 *   decoding vCPU                                   storing vCPU
 *   seen = stores                                    (ack: drop the write tag between two traces)
 *   page not settled? set NPT_CODE; log "withhold";  store the bytes
 *     wait for acks; no page unmarked since? settled stores++
 *   read the bytes, set the chunk bits               chunk bits overlap? take them all, log "written", request
 *   nobody is unmarking, stores == seen, settled?
 *   else again
 *
 * Either the storing vCPU sees the chunk bits, or the decoding one sees that there was a store and decodes again. A page that is stored
 * to and holds no code loses its mark: under a lock, with the look at the chunk bits behind the taking of it and the look at the lock behind the
 * setting of chunk bits, so that the same is true of the mark.
 */
import * as L from "./generated/layout";
import { cpu } from "./state";
import { invalidateCodePage, resetCodeCache } from "./code-cache";
import { nptEntryAddress } from "./page-walk";
import { beginStanding, endStanding } from "./split-lock";
import { flushTlb, withholdWriteTags } from "./tlb";

const LOG_STORES: u32 = 4;
/** Who changes the marks of pages: 0 nobody, else MARKING or UNMARKING. Held for some instructions, under which nobody waits. */
const LOG_MARK_LOCK: u32 = 8;
const MARKING: u32 = 1;
const UNMARKING: u32 = 2;
/** How often a page lost its mark. */
const LOG_UNMARKS: u32 = 12;
const LOG_ENTRIES: u32 = 64;
/** Entry: position + 1 in the upper half; below it the gfn, with this bit for "withhold the write tag". */
const ENTRY_WITHHOLD: u32 = 0x8000_0000;
const SETTLED: u32 = L.NPT_CODE | L.NPT_CODE_SETTLED;
/** Stores to a page without decoded code until it is an ordinary page again. */
const EMPTY_STORES_MAX: u32 = 16;

let vcpuCount: u32 = 1;
let ownBit: u32 = 1;
let position: u32 = 0;

// @ts-ignore: decorator
@inline function chunksAddress(gfn: u32): u32 { return L.CODE_CHUNKS_BASE + ((gfn & (L.CODE_PAGES - 1)) << 3); }
// @ts-ignore: decorator
@inline function holdersAddress(gfn: u32): u32 { return L.CODE_HOLDERS_BASE + (gfn & (L.CODE_PAGES - 1)); }
// @ts-ignore: decorator
@inline function stateOf(vcpu: u32): u32 { return L.VCPU_AREA_BASE + vcpu * L.VCPU_AREA_STRIDE; }

/** Takes this vCPU's place among the others. */
export function joinCodeSharing(): void {
  vcpuCount = max<u32>(1, load<u32>(L.VCPU_COUNT_ADDRESS));
  ownBit = 1 << ((cpu - L.VCPU_AREA_BASE) / L.VCPU_AREA_STRIDE);
  position = atomic.load<u32>(L.CODE_LOG_BASE);
  atomic.store<u32>(cpu + L.VCPU_codeLogPosition, position);
}

/** Bit mask of the 64-byte chunks that [offset, offset + size) of a page touches. */
function chunkMask(offset: u32, size: u32): u64 {
  const first = offset >> 6;
  const last = min<u32>(offset + size - 1, 4095) >> 6;
  return (u64(-1) << u64(first)) & (u64(-1) >> u64(63 - last));
}

/** Appends to the log and asks the vCPUs of the bit set `others` to read it. Returns the position behind the entry. */
function tell(gfnAndKind: u32, others: u32): u32 {
  const at = atomic.add<u32>(L.CODE_LOG_BASE, 1);
  const entry = L.CODE_LOG_BASE + LOG_ENTRIES + ((at & (L.CODE_LOG_ENTRIES - 1)) << 3);
  atomic.store<u64>(entry, (u64(at + 1) << 32) | u64(gfnAndKind));
  for (let vcpu: u32 = 0; vcpu < vcpuCount; vcpu++) {
    if ((others & (1 << vcpu)) != 0) atomic.or<u32>(stateOf(vcpu) + L.VCPU_request, L.REQUEST_CODE_LOG);
  }
  return at + 1;
}

/**
 * Deals with what other vCPUs logged so far, all of it: who asked for an acknowledgement may not have waited for a vCPU that was outside guest
 * mode. Only between traces.
 */
export function readCodeLog(): void {
  const end = atomic.load<u32>(L.CODE_LOG_BASE);
  // An entry may have a place and no contents yet, if its vCPU's thread lost its processor in between.
  while (i32(position - end) < 0) {
    if (atomic.load<u32>(L.CODE_LOG_BASE) - position >= L.CODE_LOG_ENTRIES - 1024) {
      flushTlb();
      resetCodeCache();
      position = end;
    }
    readEntries(end);
  }
}

/** Deals with the entries up to `end`, or as far as they are written. Dropping traces needs no more than that none is being followed. */
function readEntries(end: u32): void {
  while (position != end) {
    const entry = L.CODE_LOG_BASE + LOG_ENTRIES + ((position & (L.CODE_LOG_ENTRIES - 1)) << 3);
    const value = atomic.load<u64>(entry);
    if (u32(value >> 32) != position + 1) break;
    const gfn = u32(value) & ~ENTRY_WITHHOLD;
    if ((u32(value) & ENTRY_WITHHOLD) != 0) withholdWriteTags(gfn);
    else dropCode(gfn);
    position++;
  }
  atomic.store<u32>(cpu + L.VCPU_codeLogPosition, position);
}

function dropCode(gfn: u32): void {
  atomic.and<u8>(holdersAddress(gfn), u8(~ownBit));
  invalidateCodePage(gfn);
}

/** Waits until no other vCPU can be in guest mode without having read the log up to `target`. */
function waitForReaders(target: u32): void {
  beginStanding();
  for (let vcpu: u32 = 0; vcpu < vcpuCount; vcpu++) {
    const state = stateOf(vcpu);
    if (state == cpu) continue;
    while ((atomic.load<i32>(state + L.VCPU_guestEpoch) & 1) != 0
      && i32(atomic.load<u32>(state + L.VCPU_codeLogPosition) - target) < 0) {
      // The other one may be waiting for this one.
      readEntries(atomic.load<u32>(L.CODE_LOG_BASE));
    }
  }
  endStanding();
}

/** Marks guest page `gfn` as one with code, before its bytes are read. */
export function beginDecoding(gfn: u32): void {
  const entryAddress = nptEntryAddress(u64(gfn));
  while ((atomic.load<u32>(entryAddress) & SETTLED) != SETTLED) {
    const unmarks = atomic.load<u32>(L.CODE_LOG_BASE + LOG_UNMARKS);
    atomic.or<u32>(entryAddress, L.NPT_CODE);
    withholdWriteTags(gfn);
    if (vcpuCount > 1) waitForReaders(tell(gfn | ENTRY_WITHHOLD, ((1 << vcpuCount) - 1) & ~ownBit));
    lockMarks(MARKING);
    // Without the mark for a moment, somebody may have a write tag again.
    if (atomic.load<u32>(L.CODE_LOG_BASE + LOG_UNMARKS) == unmarks) atomic.or<u32>(entryAddress, L.NPT_CODE_SETTLED);
    unlockMarks();
  }
}

function lockMarks(as: u32): void {
  while (atomic.cmpxchg<u32>(L.CODE_LOG_BASE + LOG_MARK_LOCK, 0, as) != 0) { /* held for some instructions */ }
}

function unlockMarks(): void { atomic.store<u32>(L.CODE_LOG_BASE + LOG_MARK_LOCK, 0); }

/** Stores to code seen so far, by any vCPU. */
// @ts-ignore: decorator
@inline export function codeStores(): u32 { return atomic.load<u32>(L.CODE_LOG_BASE + LOG_STORES); }

/** Notes that this vCPU holds code decoded from [offset, offset + size) of `gfn`. False: the bytes may have changed meanwhile, decode again. */
export function endDecoding(gfn: u32, offset: u32, size: u32, storesBefore: u32): bool {
  atomic.or<u8>(holdersAddress(gfn), u8(ownBit));
  atomic.or<u64>(chunksAddress(gfn), chunkMask(offset, size));
  store<u8>(L.CODE_EMPTY_STORES_BASE + (gfn & (L.CODE_PAGES - 1)), 0);
  return atomic.load<u32>(L.CODE_LOG_BASE + LOG_MARK_LOCK) != UNMARKING
    && codeStores() == storesBefore && (atomic.load<u32>(nptEntryAddress(u64(gfn))) & SETTLED) == SETTLED;
}

/**
 * Tells of a store of this vCPU into a page marked NPT_CODE, after it is done. Returns true when this vCPU's own decoded
 * instructions were overwritten, so that the executing trace must be left behind the storing instruction.
 */
export function codeWritten(gfn: u32, offset: u32, size: u32): bool {
  if (vcpuCount > 1) atomic.add<u32>(L.CODE_LOG_BASE + LOG_STORES, 1);
  const chunks = atomic.load<u64>(chunksAddress(gfn));
  if (chunks != 0) {
    if ((chunks & chunkMask(offset, size)) == 0) return false;
    // Taken, not overwritten: bits that somebody sets meanwhile stand for code that must be told of, too.
    atomic.xchg<u64>(chunksAddress(gfn), 0);
    const holders = u32(atomic.load<u8>(holdersAddress(gfn)));
    if ((holders & ~ownBit) != 0) tell(gfn, holders & ~ownBit);
    if ((holders & ownBit) == 0) return false;
  } else if ((u32(atomic.load<u8>(holdersAddress(gfn))) & ownBit) == 0) {
    noteEmptyStore(gfn);
    return false;
  }
  // Without chunk bits: another vCPU has taken them, and its word to drop the traces is on its way.
  dropCode(gfn);
  return true;
}

/** After some stores that hit no code, the page gets its write tags back. */
function noteEmptyStore(gfn: u32): void {
  const counter = L.CODE_EMPTY_STORES_BASE + (gfn & (L.CODE_PAGES - 1));
  const stores = u32(load<u8>(counter)) + 1;
  store<u8>(counter, u8(stores));
  if (stores < EMPTY_STORES_MAX) return;
  store<u8>(counter, 0);
  lockMarks(UNMARKING);
  if (atomic.load<u64>(chunksAddress(gfn)) == 0) {
    atomic.and<u32>(nptEntryAddress(u64(gfn)), ~SETTLED);
    atomic.add<u32>(L.CODE_LOG_BASE + LOG_UNMARKS, 1);
    atomic.add<u32>(L.CODE_LOG_BASE + LOG_STORES, 1);
  }
  unlockMarks();
}
