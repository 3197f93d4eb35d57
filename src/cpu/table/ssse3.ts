/** Rows of SSSE3 (Intel SDM vol 2). Handlers: src/cpu/interpreter/sse-*.ts and mmx-*.ts. */
import { row, type InstructionOptions, type InstructionRow } from "./format.js";

const SSSE3: InstructionOptions = { feature: "SSSE3" };
const SSSE3_ALIGNED: InstructionOptions = { feature: "SSSE3", aligned: 16 };

/** The rows of SSSE3. */
export const rows: InstructionRow[] = [
  row("NP 0F 38 00 /r", "PSHUFB Pq,Qq", "mmxPshufb", SSSE3),
  row("66 0F 38 00 /r", "PSHUFB Vdq,Wdq", "ssePshufb", SSSE3_ALIGNED),
  row("NP 0F 38 01 /r", "PHADDW Pq,Qq", "mmxPhaddw", SSSE3),
  row("66 0F 38 01 /r", "PHADDW Vdq,Wdq", "ssePhaddw", SSSE3_ALIGNED),
  row("NP 0F 38 02 /r", "PHADDD Pq,Qq", "mmxPhaddd", SSSE3),
  row("66 0F 38 02 /r", "PHADDD Vdq,Wdq", "ssePhaddd", SSSE3_ALIGNED),
  row("NP 0F 38 03 /r", "PHADDSW Pq,Qq", "mmxPhaddsw", SSSE3),
  row("66 0F 38 03 /r", "PHADDSW Vdq,Wdq", "ssePhaddsw", SSSE3_ALIGNED),
  row("NP 0F 38 04 /r", "PMADDUBSW Pq,Qq", "mmxPmaddubsw", SSSE3),
  row("66 0F 38 04 /r", "PMADDUBSW Vdq,Wdq", "ssePmaddubsw", SSSE3_ALIGNED),
  row("NP 0F 38 05 /r", "PHSUBW Pq,Qq", "mmxPhsubw", SSSE3),
  row("66 0F 38 05 /r", "PHSUBW Vdq,Wdq", "ssePhsubw", SSSE3_ALIGNED),
  row("NP 0F 38 06 /r", "PHSUBD Pq,Qq", "mmxPhsubd", SSSE3),
  row("66 0F 38 06 /r", "PHSUBD Vdq,Wdq", "ssePhsubd", SSSE3_ALIGNED),
  row("NP 0F 38 07 /r", "PHSUBSW Pq,Qq", "mmxPhsubsw", SSSE3),
  row("66 0F 38 07 /r", "PHSUBSW Vdq,Wdq", "ssePhsubsw", SSSE3_ALIGNED),
  row("NP 0F 38 08 /r", "PSIGNB Pq,Qq", "mmxPsignb", SSSE3),
  row("66 0F 38 08 /r", "PSIGNB Vdq,Wdq", "ssePsignb", SSSE3_ALIGNED),
  row("NP 0F 38 09 /r", "PSIGNW Pq,Qq", "mmxPsignw", SSSE3),
  row("66 0F 38 09 /r", "PSIGNW Vdq,Wdq", "ssePsignw", SSSE3_ALIGNED),
  row("NP 0F 38 0A /r", "PSIGND Pq,Qq", "mmxPsignd", SSSE3),
  row("66 0F 38 0A /r", "PSIGND Vdq,Wdq", "ssePsignd", SSSE3_ALIGNED),
  row("NP 0F 38 0B /r", "PMULHRSW Pq,Qq", "mmxPmulhrsw", SSSE3),
  row("66 0F 38 0B /r", "PMULHRSW Vdq,Wdq", "ssePmulhrsw", SSSE3_ALIGNED),
  row("NP 0F 38 1C /r", "PABSB Pq,Qq", "mmxPabsb", SSSE3),
  row("66 0F 38 1C /r", "PABSB Vdq,Wdq", "ssePabsb", SSSE3_ALIGNED),
  row("NP 0F 38 1D /r", "PABSW Pq,Qq", "mmxPabsw", SSSE3),
  row("66 0F 38 1D /r", "PABSW Vdq,Wdq", "ssePabsw", SSSE3_ALIGNED),
  row("NP 0F 38 1E /r", "PABSD Pq,Qq", "mmxPabsd", SSSE3),
  row("66 0F 38 1E /r", "PABSD Vdq,Wdq", "ssePabsd", SSSE3_ALIGNED),
  row("NP 0F 3A 0F /r", "PALIGNR Pq,Qq,Ib", "mmxPalignr", SSSE3),
  row("66 0F 3A 0F /r", "PALIGNR Vdq,Wdq,Ib", "ssePalignr", SSSE3_ALIGNED),
];
