/** Directed checks of the Xen side: each throws when a promise does not hold. */
import { gfnOf } from "../../abi/address.js";
import {
  __HYPERVISOR_memory_op, __HYPERVISOR_vcpu_op, DOMID_SELF, EINVAL, RUNSTATE_blocked, vcpu_info, vcpu_register_vcpu_info, vcpu_runstate_info,
  VCPUOP_register_runstate_memory_area, VCPUOP_register_vcpu_info, xen_add_to_physmap, XENMAPSPACE_shared_info, XENMEM_add_to_physmap,
} from "../../abi/xen/index.js";
import { setInterposer } from "../../sync/jitter/paused-atomics.raw.js";
import { DomainState } from "../state/domain-state.js";
import { ARGUMENT_GVA, structOf, TestDomain } from "./test-domain.js";

const PORT = 2;

function expect(holds: boolean, what: string): void {
  if (!holds) throw new Error(`expected that ${what}`);
}

function domainWithSharedInfo(): TestDomain {
  const domain = new TestDomain();
  domain.put(structOf(24, [xen_add_to_physmap.domid, 2, DOMID_SELF], [xen_add_to_physmap.space, 4, XENMAPSPACE_shared_info], [xen_add_to_physmap.gpfn, 8, 1]));
  expect(domain.call(__HYPERVISOR_memory_op, [XENMEM_add_to_physmap, ARGUMENT_GVA]) === 0, "shared_info can be mapped");
  return domain;
}

/** Runs `action`; throws if it would sleep. */
function withoutSleep<T>(action: () => T): T {
  setInterposer({
    beforeAccess: () => undefined,
    wait: () => {
      throw new Error("expected that a send which may not sleep does not");
    },
  });
  try {
    return action();
  } finally {
    setInterposer(undefined);
  }
}

/** The lock is held by this very thread, as it may be by one that was interrupted: whoever waits for it waits for ever. */
function sleeplessSendTakesNoHeldLock(): void {
  const domain = domainWithSharedInfo();
  const isRaised = new DomainState(domain.host.memory.buffer).withEventLock(() => withoutSleep(() => domain.domain.raisePortNoSleep(PORT)));
  expect(isRaised && domain.domain.upcallPending(0), "the event comes all the same");
}

function sleeplessSendLooksNothingUp(): void {
  const domain = domainWithSharedInfo();
  domain.domain.raisePort(PORT);
  for (const hasOwnInfo of [false, true]) {
    if (hasOwnInfo) {
      domain.put(structOf(16, [vcpu_register_vcpu_info.mfn, 8, 9]));
      expect(domain.call(__HYPERVISOR_vcpu_op, [VCPUOP_register_vcpu_info, 0, ARGUMENT_GVA]) === 0, "vcpu_info can be registered");
    }
    domain.host.moveFrames([1, 9].map(gfnOf));
    const refreshes = domain.host.pageStatistics().users["shared_info"]!.refreshes;
    expect(withoutSleep(() => domain.domain.raisePortNoSleep(1)), "the send is taken");
    expect(domain.host.pageStatistics().users["shared_info"]!.refreshes === refreshes, "a send that may not sleep looks no page up");
  }
}

function vcpuInfoStaysInItsPage(): void {
  const domain = domainWithSharedInfo();
  const register = (mfn: number, offset: number): number => {
    domain.put(structOf(16, [vcpu_register_vcpu_info.mfn, 8, mfn], [vcpu_register_vcpu_info.offset, 4, offset]));
    return domain.call(__HYPERVISOR_vcpu_op, [VCPUOP_register_vcpu_info, 0, ARGUMENT_GVA]);
  };
  for (const offset of [4096 - vcpu_info.size + 8, 4096 - 8, 4096, 0xffff_fff8, 4, 1]) {
    expect(register(0x20, offset) === -EINVAL, `a vcpu_info at offset ${offset} is refused`);
  }
  domain.domain.raisePort(PORT);
  expect(domain.domain.upcallPending(0), "events go on to the vcpu_info that was there before");
}

function areasInOnePageAreToldApart(): void {
  const domain = domainWithSharedInfo();
  for (const gpa of [0x5100, 0x5200, 0x5104]) {
    domain.put(structOf(8, [0, 8, gpa]));
    expect(domain.call(__HYPERVISOR_vcpu_op, [VCPUOP_register_runstate_memory_area, 0, ARGUMENT_GVA]) === 0, "a run state area can be registered");
    domain.nowNs += 1000;
    domain.domain.setRunstate(0, domain.domain.runstate(0) === RUNSTATE_blocked ? 0 : RUNSTATE_blocked);
    const entry = domain.get(gpa, vcpu_runstate_info.size).u64(vcpu_runstate_info.state_entry_time);
    expect(entry === BigInt(domain.nowNs), `the area at 0x${gpa.toString(16)} is written where it is`);
  }
}

/** By name, for catcher.ts. */
export const CHECKS = {
  "a send that may not sleep takes no lock that is held": sleeplessSendTakesNoHeldLock,
  "a send that may not sleep looks no page up": sleeplessSendLooksNothingUp,
  "a vcpu_info that leaves its page is refused": vcpuInfoStaysInItsPage,
  "run state areas in one page are told apart": areasInOnePageAreToldApart,
} as const;
