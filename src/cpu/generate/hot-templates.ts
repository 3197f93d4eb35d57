/**
 * AssemblyScript text of the handlers that are inlined in the dispatch loop. Locals of the loop: `c` vCPU base, `op`, `tlb`, `trace`,
 * `remaining`, `bailOp`, `dispatchOp`, `link`. A handler ends with `op += 32; continue;` or moves `op` itself.
 *
 * Sizes are bits. A form is "r" (register), "m" (memory operand with base, index and displacement) or "b" (no index).
 */
export type Form = "r" | "m" | "b";

/** What a template is asked for. */
export interface TemplateRequest {
  readonly size: number;
  readonly form: Form;
  /** The memory or rm operand is the source ("G,E"), not the destination. */
  readonly load: boolean;
  /** Number behind the template's name ("hot:jcc:4"). */
  readonly parameter: number;
}

/** Text of a family of handlers that are inlined in the loop. */
export interface Template {
  /** Whether the register form of "G,E" is that of "E,G" with the operands swapped by the decoder. */
  readonly swaps: boolean;
  /** Whether the form without index is made apart. */
  readonly baseForm: boolean;
  /** The handler's text, or undefined where the template has no such variant (the legacy handler is then used). */
  generate(request: TemplateRequest): string | undefined;
}

const NEXT = "op += 32; continue;";
const BAIL = "{ op = bailOp; continue; }";
const MARK = "store<u32>(c + L.VCPU_currentOp, op);";
const REG = "load<u32>(op + 4)";
const RM = "load<u32>(op + 8)";

const address = (form: Form): string => form === "b"
  ? `load<u64>(${RM}) + u64(load<i32>(op + 16))`
  : `load<u64>(${RM}) + (load<u64>(load<u32>(op + 12)) << u64(load<u8>(op + 20))) + u64(load<i32>(op + 16))`;

/** Statements that leave in `p` the host address of `bits` at `va`, readable. */
const readAt = (bits: number): string => `
  const e = tlbEntry(tlb, va); let p: u32;
  if (((va + ${bits / 8 - 1}) & PAGE_MASK) == load<u64>(e)) p = u32(va) + load<u32>(e + 24);
  else { ${MARK} p = hotLoad(va, ${bits / 8}); if (p == 0) ${BAIL} }`;

/** As readAt, for 64 bits on the stack. */
const popAt = `
  const e = tlbEntry(tlb, va); let p: u32;
  if (((va + 7) & PAGE_MASK) == load<u64>(e)) p = u32(va) + load<u32>(e + 24);
  else { ${MARK} p = hotPop(va); if (p == 0) ${BAIL} }`;

const readOperand = (bits: number, form: Form): string => `const va: u64 = ${address(form)}; ${readAt(bits)}`;

/** Statements that leave in `p` the host address of `bits` at the operand, to be changed in place. */
const modifyOperand = (bits: number, form: Form): string => `
  const va: u64 = ${address(form)}; const e = tlbEntry(tlb, va); let p: u32;
  if (((va + ${bits / 8 - 1}) & PAGE_MASK) == load<u64>(e + 8)) p = u32(va) + load<u32>(e + 24);
  else { ${MARK} p = hotModify(va, ${bits / 8}); if (p == 0) ${BAIL} }`;

/** Statements that end a modification of `p`; `flags` run before the trace is left because code changed. */
const commit = (flags: string): string => `
  let s: i32 = 0;
  if (p == c + L.VCPU_AREA_modifyBounce) { ${MARK} s = hotCommit(); if (s != 0 && s != BAIL_NEXT) ${BAIL} }
  ${flags}
  if (s != 0) ${BAIL}
  ${NEXT}`;

/** Statements that store `value` (u64 text) as `bits` at `va`; `after` runs once the store is done. */
const writeAt = (bits: number, value: string, after = ""): string => `
  const e = tlbEntry(tlb, va);
  if (((va + ${bits / 8 - 1}) & PAGE_MASK) == load<u64>(e + 8)) { store<u${bits}>(u32(va) + load<u32>(e + 24), ${value}); ${after} ${NEXT} }
  ${MARK} const s = hotStore(va, u64(${value}), ${bits / 8});
  if (s == 0) { ${after} ${NEXT} }
  ${after === "" ? "" : `if (s == BAIL_NEXT) { ${after} }`}
  ${BAIL}`;

/** Stores `value` into the general register whose address is `target`, as `bits` (32 bits clear the upper half). */
const setRegister = (bits: number, target: string, value: string): string =>
  bits === 32 ? `store<u64>(${target}, u64(${value}));` : `store<u${bits}>(${target}, ${value});`;

const signed = (bits: number, value: string): string => `u64(i64(<i${bits}>(${value})))`;
const carries = (bits: number, vector: string): string => bits === 64 ? vector : `((u64(${vector}) << ${64 - bits}) | u64((${vector}) & 8))`;

/** Flags of a result with a carry vector. */
const setFlags = (bits: number, result: string, vector: string): string => `
  store<u64>(c + L.VCPU_flagResult, ${signed(bits, result)});
  store<u64>(c + L.VCPU_flagAux, ${vector === "0" ? "0" : carries(bits, vector)});
  store<u64>(c + L.VCPU_flagExtra, 0);`;

const ALU: Readonly<Record<string, { result: string; vector: string; carryIn?: boolean }>> = {
  add: { result: "a + b", vector: "(a & b) | ((a | b) & ~r)" },
  or: { result: "a | b", vector: "0" },
  adc: { result: "a + b + k", vector: "(a & b) | ((a | b) & ~r)", carryIn: true },
  sbb: { result: "a - b - k", vector: "(~a & b) | ((~a | b) & r)", carryIn: true },
  and: { result: "a & b", vector: "0" },
  sub: { result: "a - b", vector: "(~a & b) | ((~a | b) & r)" },
  xor: { result: "a ^ b", vector: "0" },
  cmp: { result: "a - b", vector: "(~a & b) | ((~a | b) & r)" },
  test: { result: "a & b", vector: "0" },
};

function alu(name: string): Template {
  const { result, vector, carryIn } = ALU[name]!;
  const writes = name !== "cmp" && name !== "test";
  const type = (size: number): string => `u${size}`;
  return {
    swaps: true,
    baseForm: true,
    generate({ size, form, load }) {
      const t = type(size);
      const compute = `${carryIn ? `const k = <${t}>(load<u64>(c + L.VCPU_flagAux) >> 63);` : ""}
        const r: ${t} = <${t}>(${result}); const v: ${t} = <${t}>(${vector});`;
      const flags = setFlags(size, "r", vector === "0" ? "0" : "v");
      if (form === "r") {
        return `const d = ${RM}; const a = load<${t}>(d); const b = load<${t}>(${REG}); ${compute}
          ${writes ? setRegister(size, "d", "r") : ""} ${flags} ${NEXT}`;
      }
      if (load || !writes) {
        const operands = load ? `const d = ${REG}; const a = load<${t}>(d); const b = load<${t}>(p);` : `const a = load<${t}>(p); const b = load<${t}>(${REG});`;
        return `${readOperand(size, form)} ${operands} ${compute} ${writes ? setRegister(size, "d", "r") : ""} ${flags} ${NEXT}`;
      }
      return `${modifyOperand(size, form)} const a = load<${t}>(p); const b = load<${t}>(${REG}); ${compute} store<${t}>(p, r); ${commit(flags)}`;
    },
  };
}

function unary(compute: (t: string) => string, flags: (size: number) => string): Template {
  return {
    swaps: false,
    baseForm: false,
    generate({ size, form }) {
      const t = `u${size}`;
      if (form === "r") return `const p = ${RM}; const a = load<${t}>(p); ${compute(t)} ${setRegister(size, "p", "r")} ${flags(size)} ${NEXT}`;
      return `${modifyOperand(size, form)} const a = load<${t}>(p); ${compute(t)} store<${t}>(p, r); ${commit(flags(size))}`;
    },
  };
}

/** INC and DEC keep CF: bit 63 of aux stays, bit 62 makes OF come out right. */
const stepFlags = (vector: string) => (size: number): string => `
  const v: u${size} = <u${size}>(${vector}); const w: u64 = ${carries(size, "v")}; const old = load<u64>(c + L.VCPU_flagAux) & SIGN_BIT;
  store<u64>(c + L.VCPU_flagResult, ${signed(size, "r")});
  store<u64>(c + L.VCPU_flagAux, old | ((old ^ w ^ (w << 1)) >> 1 & (SIGN_BIT >> 1)) | (w & 8));
  store<u64>(c + L.VCPU_flagExtra, 0);`;

/** Shifts: the count is a byte at the reg slot (immediate, 1 or CL). */
function shift(name: "shl" | "shr" | "sar"): Template {
  return {
    swaps: false,
    baseForm: false,
    generate({ size, form }) {
      const t = `u${size}`;
      const mask = size === 64 ? 63 : 31;
      const wide = size < 32 ? "u32" : t;
      const value = name === "sar" ? `<i${size < 32 ? 32 : size}>(<i${size}>a)` : `<${wide}>a`;
      const bits = name === "shl"
        ? `const r: ${t} = ${size < 32 ? `<${t}>((<u64>a) << u64(n))` : `a << <${t}>n`}; const k: u64 = ${size < 64 ? `((u64(a) << u64(n)) >> ${size}) & 1` : "(a >> u64(64 - n)) & 1"};`
        : name === "shr"
          ? `const r: ${t} = <${t}>(${value} >> <${wide}>n); const k: u64 = u64((${value} >> <${wide}>(n - 1)) & 1);`
          : `const r: ${t} = <${t}>(${value} >> <i${size < 32 ? 32 : size}>n); const k: u64 = u64((${value} >> <i${size < 32 ? 32 : size}>(n - 1)) & 1);`;
      const top = (text: string): string => `(u64(${text}) >> ${size - 1} & 1)`;
      const overflow = name === "shl" ? `(${top("r")} ^ k)` : name === "shr" ? top("a") : "u64(0)";
      const flags = `const o: u64 = ${overflow};
        store<u64>(c + L.VCPU_flagResult, ${signed(size, "r")});
        store<u64>(c + L.VCPU_flagAux, (k << 63) | ((k ^ o) << 62)); store<u64>(c + L.VCPU_flagExtra, 0);`;
      const count = `const n: u32 = u32(load<u8>(${REG})) & ${mask};`;
      if (form === "r") {
        const none = size === 32 ? `{ const z = ${RM}; store<u64>(z, u64(load<u32>(z))); ${NEXT} }` : `{ ${NEXT} }`;
        return `${count} if (n == 0) ${none} const p = ${RM}; const a = load<${t}>(p); ${bits} ${setRegister(size, "p", "r")} ${flags} ${NEXT}`;
      }
      return `${count} ${modifyOperand(size, form)} if (n == 0) { ${NEXT} } const a = load<${t}>(p); ${bits} store<${t}>(p, r); ${commit(flags)}`;
    },
  };
}

/** MOV in all its forms; the source of a store is the reg slot (a register, or the immediate in the op). */
const mov: Template = {
  swaps: true,
  baseForm: true,
  generate({ size, form, load }) {
    const t = `u${size}`;
    if (form === "r") return `${setRegister(size, RM, `load<${t}>(${REG})`)} ${NEXT}`;
    if (load) return `${readOperand(size, form)} ${setRegister(size, REG, `load<${t}>(p)`)} ${NEXT}`;
    return `const va: u64 = ${address(form)}; const v = load<${t}>(${REG}); ${writeAt(size, "v")}`;
  },
};

function extend(from: number, isSigned: boolean): Template {
  return {
    swaps: false,
    baseForm: true,
    generate({ size, form }) {
      const convert = (text: string): string => isSigned && size > from ? `<i${size}>(${text})` : `<u${size}>(${text})`;
      // Where nothing is extended the load must be unsigned, for a 32-bit result clears the upper half.
      const source = `load<${isSigned && size > from ? "i" : "u"}${from}>`;
      const set = (text: string): string => setRegister(size, REG, `<u${size}>${convert(text)}`);
      if (form === "r") return `${set(`${source}(${RM})`)} ${NEXT}`;
      return `${readOperand(from, form)} ${set(`${source}(p)`)} ${NEXT}`;
    },
  };
}

const CONDITION_TEXT = [
  "overflowFlag(c)", "i64(load<u64>(c + L.VCPU_flagAux)) < 0", "load<u64>(c + L.VCPU_flagResult) == 0",
  "(i64(load<u64>(c + L.VCPU_flagAux)) < 0 || load<u64>(c + L.VCPU_flagResult) == 0)", "signFlag(c)", "parityFlag(c)", "lessFlag(c)",
  "(lessFlag(c) || load<u64>(c + L.VCPU_flagResult) == 0)",
] as const;
const condition = (code: number): string => code & 1 ? `!(${CONDITION_TEXT[code >> 1]})` : `(${CONDITION_TEXT[code >> 1]})`;

/** Goes to the trace linked at `op + at`, or to the dispatcher with RIP = trace start + `offset`, asking it to make the link. */
const follow = (at: number, offset: string): string => `
  const t = load<u32>(op + ${at});
  if (t != 0) {
    remaining -= i32(load<u16>(t + 20));
    if (remaining >= 0 && load<i32>(c + L.VCPU_request) == 0) { trace = t; op = t + 32; continue; }
    remaining += i32(load<u16>(t + 20));
    store<u64>(c + L.VCPU_rip, load<u64>(t)); op = dispatchOp; continue;
  }
  store<u64>(c + L.VCPU_rip, load<u64>(trace) + ${offset}); link = op + ${at}; op = dispatchOp; continue;`;
/** Takes a conditional jump out of the middle of a trace: what the trace counted behind it was not executed. */
const LEAVE = `remaining += load<i32>(op + 28); ${follow(24, "u64(load<i32>(op + 16))")}`;
/**
 * As `follow`, for branches with one target: the link may leave the page, because it counts only while the PC cache key it was made
 * under (in the place of the second link) is still the present one.
 */
const followFar = (offset: string): string => `
  const t = load<u32>(op + 24);
  if (t != 0 && load<u32>(op + 28) == quickKey(load<u32>(pcEpoch))) {
    remaining -= i32(load<u16>(t + 20));
    if (remaining >= 0 && load<i32>(c + L.VCPU_request) == 0) { trace = t; op = t + 32; continue; }
    remaining += i32(load<u16>(t + 20));
    store<u64>(c + L.VCPU_rip, load<u64>(t)); op = dispatchOp; continue;
  }
  store<u64>(c + L.VCPU_rip, load<u64>(trace) + ${offset}); link = (op + 24) | LINK_FAR; op = dispatchOp; continue;`;
/** Goes to the RIP in `target` by way of the PC cache, or to the dispatcher. `note` is done with the trace `t` that was found there. */
const followCached = (note = ""): string => `
  if (quick) {
    const slot = pcCacheSlot(pcCache, target);
    if (load<u64>(slot) == target && load<u32>(slot + 8) == quickKey(load<u32>(pcEpoch)) && load<i32>(c + L.VCPU_request) == 0) {
      const t = load<u32>(slot + 12);
      const left = remaining - i32(load<u16>(t + 20));
      ${note}
      if (left >= 0) { remaining = left; trace = t; op = t + 32; continue; }
    }
  }
  store<u64>(c + L.VCPU_rip, target); op = dispatchOp; continue;`;
/** For computed jumps, whose ops have no immediate: the last two traces that it led to are there, for the translator (translator/traces.ts, notedTargets). */
const followNoting = followCached("if (load<u32>(op + 24) != t) { store<u32>(op + 28, load<u32>(op + 24)); store<u32>(op + 24, t); }");
const BEHIND = "u64(u32(load<u16>(op + 2)) + u32(load<u8>(op + 22)))";

const only64 = (text: string): Template => ({ swaps: false, baseForm: false, generate: ({ size }) => size === 64 ? text : undefined });

/** Pushes the u64 text `value` and then does `after`. */
const push = (value: string, after: string): string => `
  const va: u64 = load<u64>(c + 32) - 8; const v: u64 = ${value}; const e = tlbEntry(tlb, va);
  if (((va + 7) & PAGE_MASK) == load<u64>(e + 8)) store<u64>(u32(va) + load<u32>(e + 24), v);
  else { ${MARK} const s = hotPush(va, v); if (s != 0) { if (s != BAIL_NEXT) ${BAIL} pushed = s; } }
  store<u64>(c + 32, va); ${after}`;

/** STAC and CLAC: the TLB of the loop follows RFLAGS.AC. */
const accessControl = (flags: string): Template => ({
  swaps: false, baseForm: false,
  generate: () => `if (load<u32>(c + L.VCPU_cpl) != 0) { ${MARK} raise(VECTOR_UD); ${BAIL.slice(1, -1)} }
    store<u64>(c + L.VCPU_rflags, ${flags}); tlb = currentTlb(); ${NEXT}`,
});

const templates: Record<string, Template> = {
  mov,
  movzx8: extend(8, false), movzx16: extend(16, false), movsx8: extend(8, true), movsx16: extend(16, true), movsxd: extend(32, true),
  shl: shift("shl"), shr: shift("shr"), sar: shift("sar"),
  not: unary((t) => `const r: ${t} = ~a;`, () => ""),
  neg: unary((t) => `const r: ${t} = <${t}>(0 - a); const v: ${t} = a | r;`, (size) => setFlags(size, "r", "v")),
  inc: unary((t) => `const r: ${t} = <${t}>(a + 1);`, stepFlags("a & ~r")),
  dec: unary((t) => `const r: ${t} = <${t}>(a - 1);`, stepFlags("~a & r")),
  lea: {
    swaps: false, baseForm: true,
    generate: ({ size, form }) => form === "r" ? undefined : `${setRegister(size, REG, `<u${size}>(${address(form)})`)} ${NEXT}`,
  },
  imul: {
    swaps: false, baseForm: false,
    generate: ({ size, form }) => imul(size, form, REG, `load<i${size}>(${REG})`),
  },
  imul3: {
    swaps: false, baseForm: false,
    generate: ({ size, form }) => imul(size, form, REG, `<i${size}>load<i64>(op + 24)`),
  },
  setcc: {
    swaps: false, baseForm: false,
    generate({ form, parameter }) {
      if (form === "r") return `store<u8>(${RM}, ${condition(parameter)} ? 1 : 0); ${NEXT}`;
      return `const va: u64 = ${address(form)}; const v: u8 = ${condition(parameter)} ? 1 : 0; ${writeAt(8, "v")}`;
    },
  },
  cmov: {
    swaps: false, baseForm: false,
    generate({ size, form, parameter }) {
      const source = form === "r" ? `const p = ${RM};` : readOperand(size, form);
      const otherwise = size === 32 ? `else { const d = ${REG}; store<u64>(d, u64(load<u32>(d))); }` : "";
      return `${source} if (${condition(parameter)}) { ${setRegister(size, REG, `load<u${size}>(p)`)} } ${otherwise} ${NEXT}`;
    },
  },
  stac: accessControl("load<u64>(c + L.VCPU_rflags) | FLAG_AC"),
  clac: accessControl("load<u64>(c + L.VCPU_rflags) & ~FLAG_AC"),
  nop: { swaps: false, baseForm: false, generate: () => NEXT },
  jcc: {
    swaps: false, baseForm: false,
    generate: ({ size, parameter }) => size !== 64 ? undefined
      : `if (${condition(parameter)}) { ${LEAVE} } ${NEXT}`,
  },
  jmp: only64(followFar("u64(load<i32>(op + 16))")),
  call: only64(`let pushed: i32 = 0; ${push(`load<u64>(trace) + ${BEHIND}`, `
    if (pushed != 0) { store<u64>(c + L.VCPU_rip, load<u64>(trace) + u64(load<i32>(op + 16))); setBail(BAIL_JUMP); ${MARK} op = bailOp; continue; }
    ${followFar("u64(load<i32>(op + 16))")}`)}`),
  callRm: {
    swaps: false, baseForm: false,
    generate({ size, form }) {
      if (size !== 64) return undefined;
      const target = form === "r" ? `const target: u64 = load<u64>(${RM});` : `let target: u64 = 0; { ${readOperand(64, form)} target = load<u64>(p); }`;
      return `${target} if (!isCanonical(target)) { ${MARK} badCallTarget(load<u64>(c + 32) - 8); ${BAIL.slice(1, -1)} }
        let pushed: i32 = 0; ${push(`load<u64>(trace) + ${BEHIND}`, `
        if (pushed != 0) { store<u64>(c + L.VCPU_rip, target); setBail(BAIL_JUMP); ${MARK} op = bailOp; continue; }
        ${followNoting}`)}`;
    },
  },
  jmpRm: {
    swaps: false, baseForm: false,
    generate({ size, form }) {
      if (size !== 64) return undefined;
      const target = form === "r" ? `const target: u64 = load<u64>(${RM});` : `let target: u64 = 0; { ${readOperand(64, form)} target = load<u64>(p); }`;
      return `${target} if (!isCanonical(target)) { ${MARK} raiseError(VECTOR_GP, 0); ${BAIL.slice(1, -1)} }
        ${followNoting}`;
    },
  },
  ret: only64(`const va: u64 = load<u64>(c + 32); ${popAt} const target = load<u64>(p);
    if (!isCanonical(target)) { ${MARK} raiseError(VECTOR_GP, 0); ${BAIL.slice(1, -1)} }
    store<u64>(c + 32, va + 8); ${followCached()}`),
  push: {
    swaps: false, baseForm: false,
    generate({ size, form }) {
      if (size !== 64) return undefined;
      const finish = `if (pushed != 0) ${BAIL} ${NEXT}`;
      // Register and immediate are both in the reg slot; a memory source is read first.
      if (form === "r") return `let pushed: i32 = 0; ${push(`load<u64>(${REG})`, finish)}`;
      return `let source: u64 = 0; { ${readOperand(64, form)} source = load<u64>(p); } let pushed: i32 = 0; ${push("source", finish)}`;
    },
  },
  pop: {
    swaps: false, baseForm: false,
    generate({ size, form }) {
      if (size !== 64) return undefined;
      if (form === "r") {
        return `const va: u64 = load<u64>(c + 32); ${popAt} const v = load<u64>(p); store<u64>(c + 32, va + 8); store<u64>(${RM}, v); ${NEXT}`;
      }
      // The address of the destination counts RSP as already popped (SDM vol 2, POP).
      return `let v: u64 = 0; const sp: u64 = load<u64>(c + 32); { const va = sp; ${popAt} v = load<u64>(p); }
        store<u64>(c + 32, sp + 8); const va: u64 = ${address(form)}; store<u64>(c + 32, sp); ${writeAt(64, "v", "store<u64>(c + 32, sp + 8);")}`;
    },
  },
};
for (const name of Object.keys(ALU)) templates[name] = alu(name);

function imul(size: number, form: Form, target: string, factor: string): string {
  const source = form === "r" ? `const p = ${RM};` : readOperand(size, form);
  const product = size === 64
    ? `const x: i64 = load<i64>(p); const y: i64 = ${factor}; const r: i64 = x * y; const o: bool = signedOverflow64(x, y, r);`
    : `const w: i64 = i64(load<i${size}>(p)) * i64(${factor}); const r: i${size} = <i${size}>w; const o: bool = i64(r) != w;`;
  return `${source} ${product} ${setRegister(size, target, `<u${size}>r`)}
    store<u64>(c + L.VCPU_flagResult, u64(i64(r))); store<u64>(c + L.VCPU_flagAux, o ? SIGN_BIT : 0); store<u64>(c + L.VCPU_flagExtra, 0); ${NEXT}`;
}

/** Condition codes that a comparison is fused with: all but overflow and parity. */
export const FUSED_CONDITIONS = [2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15] as const;

/** What a fused condition asks of the operands `a`, `b` (CMP) or of the result `r` (TEST). */
function fusedCondition(name: "cmp" | "test", size: number, code: number): string {
  const i = `i${size}`;
  const positive = name === "test"
    ? [undefined, "false", "r == 0", "r == 0", `<${i}>r < 0`, undefined, `<${i}>r < 0`, `<${i}>r <= 0`][code >> 1]
    : [undefined, "a < b", "a == b", "a <= b", `<${i}>r < 0`, undefined, `<${i}>a < <${i}>b`, `<${i}>a <= <${i}>b`][code >> 1];
  return code & 1 ? `!(${positive})` : `(${positive})`;
}

/**
 * CMP or TEST with the Jcc behind it in one handler: saves a dispatch on every seventh instruction. The Jcc keeps its op, which the
 * handler takes target and links from.
 */
export function fusedText(name: "cmp" | "test", size: number, form: Form, load: boolean, code: number): string {
  const { result, vector } = ALU[name]!;
  const t = `u${size}`;
  const operands = form === "r" ? `const a = load<${t}>(${RM}); const b = load<${t}>(${REG});`
    : load ? `${readOperand(size, form)} const a = load<${t}>(${REG}); const b = load<${t}>(p);`
      : `${readOperand(size, form)} const a = load<${t}>(p); const b = load<${t}>(${REG});`;
  return `${operands} const r: ${t} = <${t}>(${result}); const v: ${t} = <${t}>(${vector}); ${setFlags(size, "r", vector === "0" ? "0" : "v")}
    op += 32;
    if (${fusedCondition(name, size, code)}) { ${LEAVE} } ${NEXT}`;
}

/** The templates by the name that a row's `run` gives behind "hot:". */
export const HOT_TEMPLATES: Readonly<Record<string, Template>> = templates;
/** Text of a dropped trace's op: on to the trace that took its place. */
export const DEAD_TRACE = followFar("0");
/** Text of the trace end: goes on at the next instruction's trace. */
export const TRACE_END = follow(24, "u64(load<i32>(op + 16))");
