/**
 * Keeps the hypervisor's threads from guest memory while a stretch of code is run twice. They touch it in read sections only
 * (src/host-memory/invalidation.ts); in a VM whose translator is checked each section looks at the gate.
 *
 *   checking vCPU                          another thread (src/host-memory/gated-invalidations.ts)
 *   holder = own address                   epoch = odd (section open)
 *   an epoch odd? wait until it changes    holder = 0? then it is in; else epoch = even, wait, from the start
 *   run, undo, run; holder = 0
 *
 * Bad outcome: a store of the other thread is undone with those of the guest. Each writes first and reads second. Sections are short and wait for nobody.
 */
import * as L from "./generated/layout";
import { cpu } from "./state";

/** Looks before the first sleep. */
const SPIN_COUNT: u32 = 2000;
const SLEEP_NS: i64 = 50_000;

/** Returns when no thread of the hypervisor is in a read section; none enters one before `openGate`. Precondition: this vCPU has the split lock. */
export function closeGate(): void {
  atomic.store<u32>(L.LOCK_STEP_HOLDER_ADDRESS, cpu);
  for (let slot: u32 = 0; slot < L.READER_SLOTS; slot++) {
    const address = L.READER_SLOTS_BASE + slot * L.READER_SLOT_SIZE;
    const epoch = atomic.load<u32>(address);
    if ((epoch & 1) == 0) continue;
    for (let looks: u32 = 0; atomic.load<u32>(address) == epoch; looks++) {
      if (looks >= SPIN_COUNT) atomic.wait<i32>(address, i32(epoch), SLEEP_NS);
    }
  }
}

export function openGate(): void { atomic.store<u32>(L.LOCK_STEP_HOLDER_ADDRESS, 0); }
