/** What this room asks of the rooms above it; `machine` wires them. */
import type { Gfn } from "../abi/address.js";

/** The domain as its back ends see it. XenDomain fits. */
export interface DeviceDomain {
  /** An HVM parameter (HVM_PARAM_*). */
  param(index: number): number;
  /** Notifies the guest by `port`, without sleeping; false = the port is not connected to the back ends. */
  raisePortNoSleep(port: number): boolean;
  /** Takes the back end's end of a port the guest opened; false = it did not. */
  bindPort(port: number): boolean;
  /** Ports by which the guest notified the back ends since the last call. */
  takeDeviceEvents(): number[];
  /** gfn of frame `index` of the grant table; undefined = not mapped. */
  grantFrame(index: number): Gfn | undefined;
}

/** Time since VM start in ns, the same origin in every thread. */
export interface DeviceClock {
  nowNs(): number;
}
