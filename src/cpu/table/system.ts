/** System instructions: segments, descriptor tables, control registers, MSRs, ports, flags of privilege (Intel SDM vol 2; vol 3 §2.8). */
import { row, type InstructionOptions, type InstructionRow } from "./format.js";

const system: InstructionOptions = { system: true };
const segments: InstructionOptions = { noDifferential: "loads a segment register" };
const answered: InstructionOptions = { noDifferential: "answered by the hypervisor" };
const moment: InstructionOptions = { noDifferential: "depends on the moment" };
const selector: InstructionOptions = { noDifferential: "depends on the descriptor tables" };
const invalid: InstructionOptions = { noDifferential: "always faults" };
const bases: InstructionOptions = { only64: true, feature: "FSGSBASE", noDifferential: "changes a segment base that the test program needs" };

function segmentRows(): InstructionRow[] {
  return [
    row("8C /r", "MOV Ev,Sw", "movFromSegment", selector),
    row("8E /r", "MOV Sw,Ew", "movToSegment", segments),
    row("06", "PUSH ES", "pushEs", { not64: true }),
    row("0E", "PUSH CS", "pushCs", { not64: true }),
    row("16", "PUSH SS", "pushSs", { not64: true }),
    row("1E", "PUSH DS", "pushDs", { not64: true }),
    row("0F A0", "PUSH FS", "pushFs", { ...selector, default64: true }),
    row("0F A8", "PUSH GS", "pushGs", { ...selector, default64: true }),
    row("07", "POP ES", "popEs", { not64: true }),
    row("17", "POP SS", "popSs", { not64: true }),
    row("1F", "POP DS", "popDs", { not64: true }),
    row("0F A1", "POP FS", "popFs", { ...segments, default64: true }),
    row("0F A9", "POP GS", "popGs", { ...segments, default64: true }),
    row("C4 /r", "LES Gz,Mp", "les", { not64: true }),
    row("C5 /r", "LDS Gz,Mp", "lds", { not64: true }),
    row("0F B2 /r", "LSS Gv,Mp", "lss", segments),
    row("0F B4 /r", "LFS Gv,Mp", "lfs", segments),
    row("0F B5 /r", "LGS Gv,Mp", "lgs", segments),
    row("0F 02 /r", "LAR Gv,Ew", "lar", selector),
    row("0F 03 /r", "LSL Gv,Ew", "lsl", selector),
    row("0F 00 /0", "SLDT Ev", "sldt", selector),
    row("0F 00 /1", "STR Ev", "str", selector),
    row("0F 00 /2", "LLDT Ew", "lldt", system),
    row("0F 00 /3", "LTR Ew", "ltr", system),
    row("0F 00 /4", "VERR Ew", "verr", selector),
    row("0F 00 /5", "VERW Ew", "verw", selector),
    row("63 /r", "ARPL Ew,Gw", "arpl", { not64: true }),
  ];
}

function tableRows(): InstructionRow[] {
  return [
    row("0F 01 /0", "SGDT Ms", "sgdt", selector),
    row("0F 01 /1", "SIDT Ms", "sidt", selector),
    row("0F 01 /2", "LGDT Ms", "lgdt", system),
    row("0F 01 /3", "LIDT Ms", "lidt", system),
    row("0F 01 /4", "SMSW Ev", "smsw", selector),
    row("0F 01 /6", "LMSW Ew", "lmsw", { ...system, endsTrace: true }),
    row("0F 01 /7", "INVLPG Mb", "invlpg", system),
  ];
}

function controlRows(): InstructionRow[] {
  return [
    row("0F 20 /r", "MOV Rd,Cd", "movFromControl", system),
    row("0F 22 /r", "MOV Cd,Rd", "movToControl", { ...system, endsTrace: true }),
    row("0F 21 /r", "MOV Rd,Dd", "movFromDebug", system),
    row("0F 23 /r", "MOV Dd,Rd", "movToDebug", { ...system, endsTrace: true }),
    row("0F 06", "CLTS", "clts", system),
    row("0F 08", "INVD", "flushCaches", system),
    row("0F 09", "WBINVD", "flushCaches", system),
    row("0F 01 E8", "SERIALIZE", "serialize", { endsTrace: true, feature: "SERIALIZE" }),
    row("F4", "HLT", "hlt", { ...system, endsTrace: true }),
  ];
}

function registerRows(): InstructionRow[] {
  return [
    row("0F 32", "RDMSR", "rdmsr", system),
    row("0F 30", "WRMSR", "wrmsr", system),
    row("0F 31", "RDTSC", "rdtsc", moment),
    row("0F 01 F9", "RDTSCP", "rdtscp", { ...moment, feature: "RDTSCP" }),
    row("0F 33", "RDPMC", "rdpmc", system),
    row("0F A2", "CPUID", "cpuid", answered),
    row("0F 01 C1", "VMCALL", "hypercall", system),
    row("0F 01 D9", "VMMCALL", "hypercall", system),
    row("0F C7 /6", "RDRAND Rv", "rdrand", { ...moment, feature: "RDRAND" }),
    row("0F 01 F8", "SWAPGS", "swapgs", { ...system, only64: true }),
    row("F3 0F AE /0", "RDFSBASE Ry", "rdfsbase", bases),
    row("F3 0F AE /1", "RDGSBASE Ry", "rdgsbase", bases),
    row("F3 0F AE /2", "WRFSBASE Ry", "wrfsbase", bases),
    row("F3 0F AE /3", "WRGSBASE Ry", "wrgsbase", bases),
  ];
}

function portRows(): InstructionRow[] {
  return [
    row("E4", "IN AL,Ib", "inByteImmediate", system),
    row("E5", "IN eAX,Ib", "inWideImmediate", system),
    row("EC", "IN AL,DX", "inByteRegister", system),
    row("ED", "IN eAX,DX", "inWideRegister", system),
    row("E6", "OUT Ib,AL", "outByteImmediate", system),
    row("E7", "OUT Ib,eAX", "outWideImmediate", system),
    row("EE", "OUT DX,AL", "outByteRegister", system),
    row("EF", "OUT DX,eAX", "outWideRegister", system),
    row("6C", "INS Yb,DX", "insByte", system),
    row("6D", "INS Yz,DX", "insWide", system),
    row("6E", "OUTS DX,Xb", "outsByte", system),
    row("6F", "OUTS DX,Xz", "outsWide", system),
  ];
}

function flagRows(): InstructionRow[] {
  return [
    row("9C", "PUSHF", "pushf", { default64: true }),
    row("9D", "POPF", "popf", { default64: true }),
    row("9F", "LAHF", "lahf"),
    row("9E", "SAHF", "sahf"),
    row("F8", "CLC", "clc"),
    row("F9", "STC", "stc"),
    row("F5", "CMC", "cmc"),
    row("FC", "CLD", "cld"),
    row("FD", "STD", "std"),
    row("0F 01 CA", "CLAC", "hot:clac", { ...system, feature: "SMAP" }),
    row("0F 01 CB", "STAC", "hot:stac", { ...system, feature: "SMAP" }),
    row("FA", "CLI", "cli", system),
    row("FB", "STI", "sti", system),
  ];
}

/** The rows of this family. */
export const rows: readonly InstructionRow[] = [
  ...segmentRows(),
  ...tableRows(),
  ...controlRows(),
  ...registerRows(),
  ...portRows(),
  ...flagRows(),
  row("0F 0B", "UD2", "undefinedInstruction", { ...invalid, endsTrace: true }),
  row("0F B9 /r", "UD1 Gv,Ev", "undefinedInstruction", { ...invalid, endsTrace: true }),
  row("0F FF /r", "UD0 Gv,Ev", "undefinedInstruction", { ...invalid, endsTrace: true }),
];
