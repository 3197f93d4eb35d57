/** General-purpose instructions of the base set (Intel SDM vol 2), as far as they are neither string, far-transfer nor system instructions. */
import { row, type InstructionOptions, type InstructionRow } from "./format.js";

/** Condition suffixes by condition code (SDM vol 1 appendix B). */
export const CONDITIONS = ["O", "NO", "B", "NB", "Z", "NZ", "BE", "NBE", "S", "NS", "P", "NP", "L", "NL", "LE", "NLE"] as const;

const hex = (value: number): string => value.toString(16).toUpperCase().padStart(2, "0");

const ARITHMETIC = ["ADD", "OR", "ADC", "SBB", "AND", "SUB", "XOR", "CMP"] as const;

function arithmeticRows(): InstructionRow[] {
  return ARITHMETIC.flatMap((name, index) => {
    const run = `hot:${name.toLowerCase()}`;
    const logic = name === "OR" || name === "AND" || name === "XOR";
    const options: InstructionOptions = { lock: name !== "CMP", ...(logic ? { undefinedFlags: "AF" } : {}) };
    const plain: InstructionOptions = { ...options, lock: false };
    const base = index * 8;
    return [
      row(`${hex(base)} /r`, `${name} Eb,Gb`, run, options),
      row(`${hex(base + 1)} /r`, `${name} Ev,Gv`, run, options),
      row(`${hex(base + 2)} /r`, `${name} Gb,Eb`, run, plain),
      row(`${hex(base + 3)} /r`, `${name} Gv,Ev`, run, plain),
      row(hex(base + 4), `${name} AL,Ib`, run, plain),
      row(hex(base + 5), `${name} rAX,Iz`, run, plain),
      row(`80 /${index}`, `${name} Eb,Ib`, run, options),
      row(`81 /${index}`, `${name} Ev,Iz`, run, options),
      row(`82 /${index}`, `${name} Eb,Ib`, run, { ...options, not64: true }),
      row(`83 /${index}`, `${name} Ev,Ibs`, run, options),
    ];
  });
}

function shiftRows(): InstructionRow[] {
  const names = ["ROL", "ROR", "RCL", "RCR", "SHL", "SHR", "SAL", "SAR"] as const;
  return names.flatMap((name, index) => {
    const hot = name === "SAL" ? "hot:shl" : `hot:${name.toLowerCase()}`;
    const rotate = index < 4;
    const run = rotate ? `${name.toLowerCase()}{s}` : hot;
    const one: InstructionOptions = rotate ? {} : { undefinedFlags: "AF" };
    const many: InstructionOptions = { undefinedFlags: rotate ? "OF" : "OF AF" };
    return [
      row(`C0 /${index}`, `${name} Eb,Ib`, run, many),
      row(`C1 /${index}`, `${name} Ev,Ib`, run, many),
      row(`D0 /${index}`, `${name} Eb,1`, run, one),
      row(`D1 /${index}`, `${name} Ev,1`, run, one),
      row(`D2 /${index}`, `${name} Eb,CL`, run, many),
      row(`D3 /${index}`, `${name} Ev,CL`, run, many),
    ];
  });
}

function conditionRows(): InstructionRow[] {
  return CONDITIONS.flatMap((condition, code) => [
    row(hex(0x70 + code), `J${condition} Jb`, `hot:jcc:${code}`, { endsTrace: true, default64: true, legacyRun: "jccLegacy" }),
    row(`0F ${hex(0x80 + code)}`, `J${condition} Jz`, `hot:jcc:${code}`, { endsTrace: true, default64: true, legacyRun: "jccLegacy" }),
    row(`0F ${hex(0x90 + code)} /r`, `SET${condition} Eb`, `hot:setcc:${code}`),
    row(`0F ${hex(0x40 + code)} /r`, `CMOV${condition} Gv,Ev`, `hot:cmov:${code}`),
  ]);
}

const branch: InstructionOptions = { endsTrace: true };

/** The rows of this family. */
export const rows: readonly InstructionRow[] = [
  ...arithmeticRows(),
  ...shiftRows(),
  ...conditionRows(),

  row("88 /r", "MOV Eb,Gb", "hot:mov"),
  row("89 /r", "MOV Ev,Gv", "hot:mov"),
  row("8A /r", "MOV Gb,Eb", "hot:mov"),
  row("8B /r", "MOV Gv,Ev", "hot:mov"),
  row("A0", "MOV AL,Ob", "hot:mov"),
  row("A1", "MOV rAX,Ov", "hot:mov"),
  row("A2", "MOV Ob,AL", "hot:mov"),
  row("A3", "MOV Ov,rAX", "hot:mov"),
  row("B0+r", "MOV Zb,Ib", "hot:mov"),
  row("B8+r", "MOV Zv,Iv", "hot:mov"),
  row("C6 /0", "MOV Eb,Ib", "hot:mov"),
  row("C7 /0", "MOV Ev,Iz", "hot:mov"),
  row("0F B6 /r", "MOVZX Gv,Eb", "hot:movzx8"),
  row("0F B7 /r", "MOVZX Gv,Ew", "hot:movzx16"),
  row("0F BE /r", "MOVSX Gv,Eb", "hot:movsx8"),
  row("0F BF /r", "MOVSX Gv,Ew", "hot:movsx16"),
  row("63 /r", "MOVSXD Gv,Ed", "hot:movsxd", { only64: true }),
  row("8D /r", "LEA Gv,Mn", "hot:lea"),

  row("84 /r", "TEST Eb,Gb", "hot:test", { undefinedFlags: "AF" }),
  row("85 /r", "TEST Ev,Gv", "hot:test", { undefinedFlags: "AF" }),
  row("A8", "TEST AL,Ib", "hot:test", { undefinedFlags: "AF" }),
  row("A9", "TEST rAX,Iz", "hot:test", { undefinedFlags: "AF" }),
  row("F6 /0", "TEST Eb,Ib", "hot:test", { undefinedFlags: "AF" }),
  row("F6 /1", "TEST Eb,Ib", "hot:test", { undefinedFlags: "AF" }),
  row("F7 /0", "TEST Ev,Iz", "hot:test", { undefinedFlags: "AF" }),
  row("F7 /1", "TEST Ev,Iz", "hot:test", { undefinedFlags: "AF" }),
  row("F6 /2", "NOT Eb", "hot:not", { lock: true }),
  row("F7 /2", "NOT Ev", "hot:not", { lock: true }),
  row("F6 /3", "NEG Eb", "hot:neg", { lock: true }),
  row("F7 /3", "NEG Ev", "hot:neg", { lock: true }),
  row("FE /0", "INC Eb", "hot:inc", { lock: true }),
  row("FF /0", "INC Ev", "hot:inc", { lock: true }),
  row("FE /1", "DEC Eb", "hot:dec", { lock: true }),
  row("FF /1", "DEC Ev", "hot:dec", { lock: true }),
  row("40+r", "INC Zv", "hot:inc", { not64: true }),
  row("48+r", "DEC Zv", "hot:dec", { not64: true }),

  row("F6 /4", "MUL Eb", "mul8", { undefinedFlags: "SF ZF AF PF" }),
  row("F7 /4", "MUL Ev", "mul{s}", { undefinedFlags: "SF ZF AF PF" }),
  row("F6 /5", "IMUL Eb", "imul8", { undefinedFlags: "SF ZF AF PF" }),
  row("F7 /5", "IMUL Ev", "imul{s}", { undefinedFlags: "SF ZF AF PF" }),
  row("F6 /6", "DIV Eb", "div8", { undefinedFlags: "OF SF ZF AF PF CF" }),
  row("F7 /6", "DIV Ev", "div{s}", { undefinedFlags: "OF SF ZF AF PF CF" }),
  row("F6 /7", "IDIV Eb", "idiv8", { undefinedFlags: "OF SF ZF AF PF CF" }),
  row("F7 /7", "IDIV Ev", "idiv{s}", { undefinedFlags: "OF SF ZF AF PF CF" }),
  row("0F AF /r", "IMUL Gv,Ev", "hot:imul", { undefinedFlags: "SF ZF AF PF" }),
  row("69 /r", "IMUL Gv,Ev,Iz", "hot:imul3", { undefinedFlags: "SF ZF AF PF" }),
  row("6B /r", "IMUL Gv,Ev,Ibs", "hot:imul3", { undefinedFlags: "SF ZF AF PF" }),

  row("0F A4 /r", "SHLD Ev,Gv,Ib", "shld{s}", { undefinedFlags: "OF AF" }),
  row("0F A5 /r", "SHLD Ev,Gv,CL", "shldCl{s}", { undefinedFlags: "OF AF" }),
  row("0F AC /r", "SHRD Ev,Gv,Ib", "shrd{s}", { undefinedFlags: "OF AF" }),
  row("0F AD /r", "SHRD Ev,Gv,CL", "shrdCl{s}", { undefinedFlags: "OF AF" }),

  row("0F A3 /r", "BT Ev,Gv", "bt{s}", { undefinedFlags: "OF SF AF PF" }),
  row("0F AB /r", "BTS Ev,Gv", "bts{s}", { undefinedFlags: "OF SF AF PF", lock: true }),
  row("0F B3 /r", "BTR Ev,Gv", "btr{s}", { undefinedFlags: "OF SF AF PF", lock: true }),
  row("0F BB /r", "BTC Ev,Gv", "btc{s}", { undefinedFlags: "OF SF AF PF", lock: true }),
  row("0F BA /4", "BT Ev,Ib", "btImmediate{s}", { undefinedFlags: "OF SF AF PF" }),
  row("0F BA /5", "BTS Ev,Ib", "btsImmediate{s}", { undefinedFlags: "OF SF AF PF", lock: true }),
  row("0F BA /6", "BTR Ev,Ib", "btrImmediate{s}", { undefinedFlags: "OF SF AF PF", lock: true }),
  row("0F BA /7", "BTC Ev,Ib", "btcImmediate{s}", { undefinedFlags: "OF SF AF PF", lock: true }),
  row("0F BC /r", "BSF Gv,Ev", "bsf{s}", { undefinedFlags: "OF SF AF PF CF" }),
  row("0F BD /r", "BSR Gv,Ev", "bsr{s}", { undefinedFlags: "OF SF AF PF CF" }),
  row("F3 0F B8 /r", "POPCNT Gv,Ev", "popcnt{s}", { feature: "POPCNT" }),
  row("0F C8+r", "BSWAP Zv", "bswap{s}"),
  row("0F 38 F0 /r", "MOVBE Gv,Mv", "movbeLoad{s}", { feature: "MOVBE" }),
  row("0F 38 F1 /r", "MOVBE Mv,Gv", "movbeStore{s}", { feature: "MOVBE" }),

  row("86 /r", "XCHG Eb,Gb", "xchg8", { lock: true }),
  row("87 /r", "XCHG Ev,Gv", "xchg{s}", { lock: true }),
  row("90+r", "XCHG Zv,rAX", "xchgAccumulator{s}"),
  row("0F B0 /r", "CMPXCHG Eb,Gb", "cmpxchg8", { lock: true }),
  row("0F B1 /r", "CMPXCHG Ev,Gv", "cmpxchg{s}", { lock: true }),
  row("0F C0 /r", "XADD Eb,Gb", "xadd8", { lock: true }),
  row("0F C1 /r", "XADD Ev,Gv", "xadd{s}", { lock: true }),
  row("REX.0 0F C7 /1", "CMPXCHG8B Mq", "cmpxchg8b", { lock: true }),
  row("REX.W 0F C7 /1", "CMPXCHG16B Mdq", "cmpxchg16b", { lock: true, feature: "CMPXCHG16B", aligned: 16 }),

  row("98", "CBW rAX", "convertAccumulator{s}"),
  row("99", "CWD rAX", "convertPair{s}"),

  row("50+r", "PUSH Zv", "hot:push", { default64: true, legacyRun: "pushReg" }),
  row("58+r", "POP Zv", "hot:pop", { default64: true, legacyRun: "popReg" }),
  row("68", "PUSH Iz", "hot:push", { default64: true, legacyRun: "pushImm" }),
  row("6A", "PUSH Ibs", "hot:push", { default64: true, legacyRun: "pushImm" }),
  row("FF /6", "PUSH Ev", "hot:push", { default64: true, legacyRun: "pushRm" }),
  row("8F /0", "POP Ev", "hot:pop", { default64: true, legacyRun: "popRm" }),

  row("E8", "CALL Jz", "hot:call", { ...branch, default64: true, legacyRun: "callRel" }),
  row("FF /2", "CALL Ev", "hot:callRm", { ...branch, default64: true, legacyRun: "callRm" }),
  row("E9", "JMP Jz", "hot:jmp", { ...branch, default64: true, legacyRun: "jmpRel" }),
  row("EB", "JMP Jb", "hot:jmp", { ...branch, default64: true, legacyRun: "jmpRel" }),
  row("FF /4", "JMP Ev", "hot:jmpRm", { ...branch, default64: true, legacyRun: "jmpRm" }),
  row("C3", "RET", "hot:ret", { ...branch, default64: true, legacyRun: "retNear" }),
  row("C2", "RET Iw", "retImmediate64", { ...branch, default64: true, legacyRun: "retNearImm" }),

  row("90", "NOP", "hot:nop"),
  row("F3 90", "PAUSE", "hot:nop"),
  row("0F 1F /0", "NOP Ev", "hot:nop"),
  row("0F 18 /r", "PREFETCH Mb", "hot:nop"),
  row("0F 0D /r", "PREFETCHW Mb", "hot:nop"),
  row("0F 19 /r", "NOP Ev", "hot:nop"),
  row("0F 1A /r", "NOP Ev", "hot:nop"),
  row("0F 1B /r", "NOP Ev", "hot:nop"),
  row("0F 1C /r", "NOP Ev", "hot:nop"),
  row("0F 1D /r", "NOP Ev", "hot:nop"),
  row("0F 1E /r", "NOP Ev", "hot:nop"),
  row("NP 0F AE /5", "LFENCE Rd", "hot:nop"),
  row("NP 0F AE /6", "MFENCE Rd", "memoryFence"),
  row("NP 0F AE /7", "SFENCE Rd", "hot:nop"),
  row("NP 0F AE /7", "CLFLUSH Mb", "clflush", { feature: "CLFSH" }),
];
