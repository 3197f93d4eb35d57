/**
 * LOCKed accesses that the host has no atomic for: misaligned ones, and those over a page end. As on a processor, they stop all others for
 * one access: who wants one takes a lock of the whole VM and asks the other vCPUs to stand. Aligned accesses stay as quick as they are, for nobody
 * looks at the lock but at the end of a trace, where the request word is looked at anyway. Intel SDM vol 3 §9.1.2.
 *
 *   vCPU with the split access               another vCPU
 *   lock: 0 -> own number                    standing = 0
 *   request |= CODE_LOG                      take CODE_LOG at the end of a trace
 *   in guest mode and standing = 0? wait     lock taken? standing = 1, wait; then from the start
 *   the access; lock = 0
 *
 * Each writes first and reads second. A vCPU outside guest mode sees the request before its first instruction. Who waits for anything in guest
 * mode stands meanwhile: for this lock, with nothing of its instruction done, and for others to have read the code log. So nobody
 * who waits is waited for, and the only wait is for traces to end. What the host's threads do to the same bytes is not stopped.
 */
import * as L from "./generated/layout";
import { DIFFERENT, IDLE, lockStep } from "./lock-step";
import { cpu } from "./state";

/** Looks before the first sleep. Traces end within a microsecond where the other vCPU's thread has a processor. */
const SPIN_COUNT: u32 = 2000;
/** The sleeps give the processor to who is waited for, and need no wake-up. */
const SLEEP_NS: i64 = 50_000;

// @ts-ignore: decorator
@inline function stateOf(vcpu: u32): u32 { return L.VCPU_AREA_BASE + vcpu * L.VCPU_AREA_STRIDE; }

/** One step of waiting for the u32 at `address` to be other than `value`, after `looks` of them. */
function pause(address: u32, value: u32, looks: u32): void {
  if (looks >= SPIN_COUNT) atomic.wait<i32>(address, i32(value), SLEEP_NS);
}

/** Says that nothing of this vCPU's instructions is under way. It touches no guest memory until `endStanding`. */
export function beginStanding(): void { atomic.store<u32>(cpu + L.VCPU_standing, 1); }

/** Goes on, once no other vCPU has the split lock. */
export function endStanding(): void {
  atomic.store<u32>(cpu + L.VCPU_standing, 0);
  for (let looks: u32 = 0; ; looks++) {
    const holder = atomic.load<u32>(L.SPLIT_LOCK_ADDRESS);
    if (holder == 0) return;
    beginStanding();
    pause(L.SPLIT_LOCK_ADDRESS, holder, looks);
    atomic.store<u32>(cpu + L.VCPU_standing, 0);
  }
}

/** Takes the lock, with nothing of the instruction done. Others that want it wait; what else they do goes on. */
export function takeSplitLock(): void {
  // A vCPU that checks a stretch has it, and the others stand.
  if (lockStep != IDLE) return;
  if (atomic.cmpxchg<u32>(L.SPLIT_LOCK_ADDRESS, 0, cpu) == 0) return;
  beginStanding();
  for (let looks: u32 = 0; ; looks++) {
    const holder = atomic.cmpxchg<u32>(L.SPLIT_LOCK_ADDRESS, 0, cpu);
    if (holder == 0) break;
    pause(L.SPLIT_LOCK_ADDRESS, holder, looks);
  }
  atomic.store<u32>(cpu + L.VCPU_standing, 0);
}

/** Returns when no other vCPU is within an instruction; none begins one before the lock is free. Precondition: the caller has the lock. */
export function stopOthers(): void {
  if (lockStep != IDLE) return;
  const count = load<u32>(L.VCPU_COUNT_ADDRESS);
  for (let vcpu: u32 = 0; vcpu < count; vcpu++) {
    if (stateOf(vcpu) != cpu) atomic.or<u32>(stateOf(vcpu) + L.VCPU_request, L.REQUEST_CODE_LOG);
  }
  for (let vcpu: u32 = 0; vcpu < count; vcpu++) {
    const state = stateOf(vcpu);
    if (state == cpu) continue;
    for (let looks: u32 = 0; (atomic.load<u32>(state + L.VCPU_guestEpoch) & 1) != 0 && atomic.load<u32>(state + L.VCPU_standing) == 0; looks++) {
      pause(state + L.VCPU_standing, 0, looks);
    }
  }
}

/** Frees the lock; not in a stretch that is checked, whose vCPU has it until the end of that, be it a difference. */
export function freeSplitLock(): void { if (lockStep == IDLE || lockStep == DIFFERENT) atomic.store<u32>(L.SPLIT_LOCK_ADDRESS, 0); }
