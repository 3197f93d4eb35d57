/** How the host memory reaches the vCPUs: by requests. */
import { REQUEST_CODE_INVALIDATE } from "../abi/layout.js";
import type { VcpuState } from "../cpu/index.js";
import { flushVcpuTlbs, makeAllVcpusRequest } from "../exit/index.js";
import type { VcpuFlush } from "../host-memory/index.js";

/** The flushes of `vcpus`, for any thread; a vCPU's own thread is outside guest mode then, and sees the request before it enters again. */
export function vcpuFlush(vcpus: readonly VcpuState[]): VcpuFlush {
  return {
    tlbs: (mustNotSleep) => flushVcpuTlbs(vcpus, { mustNotSleep }),
    code: () => void makeAllVcpusRequest(vcpus, REQUEST_CODE_INVALIDATE),
  };
}
