/** String instructions (Intel SDM vol 2); REP is looked at by the handlers. */
import { row, type InstructionRow } from "./format.js";

/** The rows of this family. */
export const rows: readonly InstructionRow[] = [
  row("A4", "MOVS Yb,Xb", "movs8"),
  row("A5", "MOVS Yv,Xv", "movs{s}"),
  row("A6", "CMPS Xb,Yb", "cmps8"),
  row("A7", "CMPS Xv,Yv", "cmps{s}"),
  row("AA", "STOS Yb,AL", "stos8"),
  row("AB", "STOS Yv,rAX", "stos{s}"),
  row("AC", "LODS AL,Xb", "lods8"),
  row("AD", "LODS rAX,Xv", "lods{s}"),
  row("AE", "SCAS AL,Yb", "scas8"),
  row("AF", "SCAS rAX,Yv", "scas{s}"),
];
