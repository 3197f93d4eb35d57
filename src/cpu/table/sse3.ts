/** Rows of SSE3 on XMM registers (FISTTP stands with x87) (Intel SDM vol 2). Handlers: src/cpu/interpreter/sse-*.ts and mmx-*.ts. */
import { row, type InstructionOptions, type InstructionRow } from "./format.js";

const SSE3: InstructionOptions = { feature: "SSE3" };
const SSE3_ALIGNED: InstructionOptions = { feature: "SSE3", aligned: 16 };

/** The rows of SSE3 on XMM registers. */
export const rows: InstructionRow[] = [
  row("F2 0F F0 /r", "LDDQU Vdq,Mdq", "sseLoadUnaligned", SSE3),
  row("F3 0F 12 /r", "MOVSLDUP Vps,Wps", "sseMovsldup", SSE3_ALIGNED),
  row("F3 0F 16 /r", "MOVSHDUP Vps,Wps", "sseMovshdup", SSE3_ALIGNED),
  row("F2 0F 12 /r", "MOVDDUP Vdq,Wq", "sseMovddup", SSE3),
  row("66 0F 7C /r", "HADDPD Vpd,Wpd", "sseHaddpd", SSE3_ALIGNED),
  row("F2 0F 7C /r", "HADDPS Vps,Wps", "sseHaddps", SSE3_ALIGNED),
  row("66 0F 7D /r", "HSUBPD Vpd,Wpd", "sseHsubpd", SSE3_ALIGNED),
  row("F2 0F 7D /r", "HSUBPS Vps,Wps", "sseHsubps", SSE3_ALIGNED),
  row("66 0F D0 /r", "ADDSUBPD Vpd,Wpd", "sseAddsubpd", SSE3_ALIGNED),
  row("F2 0F D0 /r", "ADDSUBPS Vps,Wps", "sseAddsubps", SSE3_ALIGNED),
];
