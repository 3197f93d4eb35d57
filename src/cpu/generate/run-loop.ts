/** Assembles generated/run.ts: the dispatch loop with the hot handlers inlined, and the switch over the function handlers. */
import { DEAD_TRACE, FUSED_CONDITIONS, fusedText, HOT_TEMPLATES, TRACE_END, type Form } from "./hot-templates.js";
import type { HandlerMeaning } from "../translator/meaning.js";
import { NOT_REPEATED } from "./not-repeated.js";
import { rowSizes, type RowHandlers } from "./decoder-tables.js";
import type { ParsedRow } from "./forms.js";

/** Handlers with a fixed number, by name; hand-written in the loop below or in the interpreter. */
export const SPECIAL_HANDLERS = {
  HANDLER_DISPATCH: 0, HANDLER_BAIL: 1, HANDLER_DEAD: 2, HANDLER_TRACE_END: 3, HANDLER_ADDRESS_SEGMENT: 4,
  HANDLER_REGION: 5, HANDLER_REGION_AWAITED: 6,
} as const;
const FIRST_HOT = 7;
/** Functions that the decoder names itself. */
export const SPECIAL_FUNCTIONS = {
  HANDLER_ADDRESS_32: "addressShort", HANDLER_ADDRESS_LEGACY: "addressLegacy", HANDLER_ADDRESS_ONLY: "addressOnly", HANDLER_ADDRESS_ABSOLUTE: "addressAbsolute",
  HANDLER_INVALID: "invalidOpcode", HANDLER_TOO_LONG: "instructionTooLong", HANDLER_HOST_BREAKPOINT: "hostBreakpoint",
} as const;

/** Text in front of the call of a function whose effects cannot be undone, or differ each time: a stretch that is checked ends there (lock-step.ts). */
function cut(name: string): string {
  const reason = NOT_REPEATED[name];
  return reason === undefined ? "" : `lockStep != IDLE ? cutStretch(L.STRETCH_END_${reason}) : `;
}

/** Numbers the handlers as rows ask for them. */
export class HandlerRegistry {
  readonly #hot = new Map<string, { id: number; name: string; meaning: HandlerMeaning }>();
  readonly #functions = new Map<string, number>();
  readonly missing = new Set<string>();
  readonly #known: ReadonlyMap<string, string>;
  #sealedHot = 0;

  /** `known` maps the name of each exported function of the interpreter to its module. */
  constructor(known: ReadonlyMap<string, string>) {
    this.#known = known;
    for (const name of [...Object.values(SPECIAL_FUNCTIONS), "unsupportedInstruction"]) this.functionHandler(name);
  }

  /** Number of the hot handler with this text; `meaning` is what the translator makes of it. */
  hotHandler(text: string, name: string, meaning: HandlerMeaning): number {
    const key = text.replace(/\s+/g, " ");
    let entry = this.#hot.get(key);
    if (entry === undefined) {
      entry = { id: FIRST_HOT + this.#hot.size, name, meaning };
      this.#hot.set(key, entry);
    }
    return entry.id;
  }

  /** Number of the hot handler with this text, if a row has asked for it. */
  findHot(text: string): number | undefined {
    return this.#hot.get(text.replace(/\s+/g, " "))?.id;
  }

  /** Function handlers are numbered from 0x4000 until `finish` packs them behind the hot ones. */
  functionHandler(name: string): number {
    if (!this.#known.has(name)) {
      this.missing.add(name);
      name = "unsupportedInstruction";
    }
    let id = this.#functions.get(name);
    if (id === undefined) {
      id = 0x4000 + this.#functions.size;
      this.#functions.set(name, id);
    }
    return id;
  }

  hasFunction(name: string): boolean { return this.#functions.has(name); }

  /** Final number of a handler. */
  finish(id: number): number {
    this.#sealedHot = FIRST_HOT + this.#hot.size;
    return id >= 0x4000 ? this.#sealedHot + id - 0x4000 : id;
  }

  /** What each handler does, by its final number; the special ones are left out. */
  get meanings(): (HandlerMeaning | undefined)[] {
    const all: (HandlerMeaning | undefined)[] = [];
    for (const { id, meaning } of this.#hot.values()) all[id] = meaning;
    for (const [name, id] of this.#functions) all[this.finish(id)] = { run: name };
    return all;
  }

  get hotCases(): string {
    return [...this.#hot].map(([text, { id, name }]) => `      case ${id}: { // ${name}\n        ${text}\n      }`).join("\n");
  }

  get functionCases(): string {
    return [...this.#functions].map(([name, id]) => `    case ${this.finish(id)}: return ${cut(name)}${name}(op);`).join("\n");
  }

  get functionImports(): string {
    const byModule = new Map<string, string[]>();
    for (const name of this.#functions.keys()) {
      const module = this.#known.get(name)!;
      byModule.set(module, [...(byModule.get(module) ?? []), name]);
    }
    return [...byModule].map(([module, names]) => `import { ${names.sort().join(", ")} } from "../${module}";`).join("\n");
  }

  get counts(): { hot: number; functions: number } { return { hot: this.#hot.size, functions: this.#functions.size }; }
}

const FUSED_FORMS: readonly (readonly [Form, boolean])[] = [["r", false], ["b", false], ["b", true], ["m", true]];

/**
 * The table of fusions, for the decoder: per hot handler a u8 (0, or n: row n - 1 of the second table), and rows of 16 u16 by
 * condition code (0, or the handler that does both). Call when all rows have their handlers.
 */
export function makeFusions(registry: HandlerRegistry): { index: Uint8Array; fused: Uint16Array } {
  const rows: { first: number; handlers: number[] }[] = [];
  for (const name of ["cmp", "test"] as const) {
    for (const size of [8, 32, 64]) {
      for (const [form, load] of FUSED_FORMS) {
        const first = registry.findHot(HOT_TEMPLATES[name]!.generate({ size, form, load, parameter: 0 })!);
        if (first === undefined) continue;
        const handlers = new Array<number>(16).fill(0);
        for (const code of FUSED_CONDITIONS) handlers[code] = registry.hotHandler(fusedText(name, size, form, load, code), `${name} ${size} ${form}${load ? " load" : ""} + jcc ${code}`,
            { run: name, size, form, load, parameter: 0 });
        rows.push({ first, handlers });
      }
    }
  }
  const index = new Uint8Array(Math.max(...rows.map((row) => row.first)) + 1);
  rows.forEach((row, number) => { index[row.first] = number + 1; });
  return { index, fused: Uint16Array.from(rows.flatMap((row) => row.handlers)) };
}

const FORMS: readonly Form[] = ["r", "m", "b"];

/** Finds or makes the handlers of one row. */
export function handlersOf(parsed: ParsedRow, registry: HandlerRegistry): RowHandlers {
  const { run, options, form: rowForm } = parsed.row;
  const hot = run.startsWith("hot:");
  const [name, parameter] = hot ? [run.split(":")[1]!, Number(run.split(":")[2] ?? 0)] : ["", 0];
  const first = parsed.operands[0]?.letter ?? "";
  const second = parsed.operands[1]?.letter ?? "";
  const load = first === "G" || ((first === "AL" || first === "rAX") && second === "O");
  const memoryOnly = parsed.memory === true || parsed.operands.some((operand) => operand.letter === "O");
  const registerOnly = parsed.memory === false || (!parsed.hasModrm && !memoryOnly);
  const table: [number, number, number][] = [[0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]];
  const template = HOT_TEMPLATES[name];
  if (hot && template === undefined) throw new Error(`instruction table: ${rowForm}: no template ${name}`);
  for (const size of rowSizes(parsed)) {
    const index = Math.log2(size / 8);
    FORMS.forEach((form, formIndex) => {
      if ((form === "r" && memoryOnly) || (form !== "r" && registerOnly)) return;
      let handler: number;
      if (template === undefined) {
        handler = registry.functionHandler(run.replace("{s}", String(size)).replace("{f}", form === "r" ? "r" : "m"));
      } else {
        const asForm = form === "b" && !template.baseForm ? "m" : form;
        const text = template.generate({ size, form: asForm, load, parameter });
        if (text !== undefined) handler = registry.hotHandler(text, `${rowForm} ${size} ${asForm}`, { run: name, size, form: asForm, load, parameter });
        else if (options.legacyRun !== undefined) handler = registry.functionHandler(options.legacyRun);
        else return;
      }
      table[index]![formIndex] = handler;
    });
  }
  const lockName = hot && options.lock ? `locked${name[0]!.toUpperCase()}${name.slice(1)}` : undefined;
  return {
    handlers: table,
    lockHandler: lockName === undefined ? 0 : registry.functionHandler(lockName),
    legacyHandler: options.legacyRun === undefined ? 0 : registry.functionHandler(options.legacyRun),
    swap: template !== undefined && template.swaps && load && !memoryOnly,
  };
}

/** The text of generated/run.ts. */
export function runLoopText(registry: HandlerRegistry): string {
  const unknown = Object.keys(NOT_REPEATED).filter((name) => !registry.hasFunction(name));
  if (unknown.length > 0) throw new Error(`not-repeated.ts names functions that no row has: ${unknown.join(", ")}`);
  return `// Generated from the instruction table by src/cpu/generate. Do not edit.
import * as L from "./layout";
import { BAIL_JUMP, BAIL_NEXT, TRACE_SECOND_GFN } from "../op";
import { VECTOR_GP, VECTOR_UD, bail, codeChanged, cpu, raise, raiseError, setBail, setCurrentTrace } from "../state";
import { FLAG_AC, lessFlag, overflowFlag, parityFlag, signFlag } from "../flags";
import { afterStore, badCallTarget, hotCommit, hotLoad, hotModify, hotPop, hotPush, hotStore } from "../memory";
import { isCanonical } from "../page-walk";
import { currentTlb, tlbEntry } from "../tlb";
import { signedOverflow64 } from "../integer";
import { writeRegionFlags } from "../region-flags";
import { dropPcCache, noteMissedWindow, pcCacheSlot, warmTrace } from "../code-cache";
import { checkDue, checkEntry, checkEvery, cutStretch, IDLE, lockStep, regionsHeld } from "../lock-step";
import { dispatchExit, dispatchQuick, dispatchRemaining, dispatchTrace, enterDispatch, goesOnInRegion, leaveTrace, quickKey, regionOverdraft } from "../dispatch";
${registry.functionImports}

const NO_GFN: u32 = 0xffff_ffff;
const PAGE_MASK: u64 = 0xffff_ffff_ffff_f000;
const SIGN_BIT: u64 = 1 << 63;
/** Marks a link that may leave its page (links are at multiples of 4). */
const LINK_FAR: u32 = 1;

/** Runs the function handler of \`op\`. Returns 0 or BAIL_*. */
function runFunction(handler: u32, op: u32): i32 {
  switch (handler) {
${registry.functionCases}
    default: return unsupportedInstruction(op);
  }
}

/**
 * Runs the function handler of \`op\` in \`trace\`, for a region; with op 0 only writes the flags that it has noted; with an odd one, twice its slot and 1, besides notes that it has missed a window in \`trace\`. Returns 0, or 1: the region has to be left for the bail op, or 2: so it has,
 * unless it goes on at VCPU.rip by way of the PC cache, with the TLB of VCPU.regionTlb.
 */
export function callFromRegion(trace: u32, op: u32): i32 {
  if (load<u32>(cpu + L.VCPU_regionFlags) != 0) writeRegionFlags();
  if (op == 0) return 0;
  if ((op & 1) != 0) {
    noteMissedWindow(trace, op >> 1);
    return 0;
  }
  setCurrentTrace(trace);
  store<u32>(cpu + L.VCPU_currentOp, op);
  const r = runFunction(load<u16>(op), op);
  if ((r | codeChanged) == 0) return 0;
  if (r != 0) setBail(r);
  else afterStore();
  return r == BAIL_JUMP && codeChanged == 0 && goesOnInRegion() ? 2 : 1;
}

/** Runs guest code until something needs the run loop. \`budget\` is in instructions. Returns EXIT_*. */
export function interpret(c: u32, budget: i32): i32 {
  let remaining: i32 = budget;
  let link: u32 = 0;
  let trace: u32 = 0;
  let tlb: u32 = 0;
  // What the quick way through the PC cache needs; they change only where the slow way is taken.
  let pcCache: u32 = 0;
  let pcEpoch: u32 = c;
  let quick: bool = false;
  let overdraft: i32 = regionOverdraft;
  const dispatchOp: u32 = c + L.VCPU_AREA_dispatchOps;
  const bailOp: u32 = dispatchOp + 32;
  let op: u32 = dispatchOp;
  while (true) {
    const handler = u32(load<u16>(op));
    switch (handler) {
      case 0: { // DISPATCH: the quick way, when nothing asks for attention and no link is to be made
        const rip = load<u64>(c + L.VCPU_rip);
        if (quick && (link == 0 || (link & LINK_FAR) != 0)) {
          const slot = pcCacheSlot(pcCache, rip);
          const key = quickKey(load<u32>(pcEpoch));
          if (load<u64>(slot) == rip && load<u32>(slot + 8) == key && load<i32>(c + L.VCPU_request) == 0) {
            const t = load<u32>(slot + 12);
            if (link != 0) { store<u32>(link & ~LINK_FAR, t); store<u32>((link & ~LINK_FAR) + 4, key); }
            const left = remaining - i32(load<u16>(t + 20));
            if (left >= 0) { link = 0; remaining = left; trace = t; op = t + 32; continue; }
          }
        }
        const flushes = load<u64>(c + L.VCPU_counterArenaFlushes);
        const branch = (link & ~LINK_FAR) - 24;
        const branchHandler = (link & LINK_FAR) != 0 ? load<u16>(branch) : 0;
        op = enterDispatch(remaining, (link & LINK_FAR) != 0 ? 0 : link, trace);
        remaining = dispatchRemaining;
        overdraft = regionOverdraft;
        if (op == 0) return dispatchExit;
        trace = dispatchTrace;
        const user = load<u32>(c + L.VCPU_cpl) == 3;
        tlb = currentTlb();
        pcCache = user ? c + L.VCPU_AREA_userPcCache : c + L.VCPU_AREA_kernelPcCache;
        pcEpoch = user ? c + L.VCPU_userEpoch : c + L.VCPU_kernelEpoch;
        quick = dispatchQuick;
        // A far link is made here too, if the trace is the one that was asked for (no interrupt came first), lies in one page, and the
        // branch still stands: its trace may have been dropped while this one was decoded, and a link in a dead op would leave the branch's
        // instruction out.
        if ((link & LINK_FAR) != 0 && quick && load<u64>(trace) == rip && load<u32>(trace + TRACE_SECOND_GFN) == NO_GFN
          && load<u64>(c + L.VCPU_counterArenaFlushes) == flushes && load<u16>(branch) == branchHandler) {
          store<u32>(branch + 24, trace);
          store<u32>(branch + 28, quickKey(load<u32>(pcEpoch)));
        }
        link = 0;
        continue;
      }
      case 1: { // BAIL
        link = 0;
        quick = false;
        op = leaveTrace(trace, remaining);
        remaining = dispatchRemaining;
        if (op == 0) return dispatchExit;
        continue;
      }
      case 2: { // DEAD: the trace was dropped; branches of other pages that lead here are sent on
        remaining += i32(load<u16>(trace + 20));
        if (load<u32>(op + 24) == 0) dropPcCache(load<u64>(trace));
        ${DEAD_TRACE}
      }
      case 3: { // TRACE_END
        ${TRACE_END}
      }
      case 4: { // ADDRESS_SEGMENT: base + index + displacement + FS or GS base, 64-bit
        const base = load<u64>(c + L.VCPU_segments + u32(load<u8>(op + 21)) * L.SEGMENT_SIZE + L.SEGMENT_BASE);
        store<u64>(c + L.VCPU_temporaryAddress, load<u64>(load<u32>(op + 8)) + (load<u64>(load<u32>(op + 12)) << u64(load<u8>(op + 20))) + u64(load<i32>(op + 16)) + base);
        op += 32; continue;
      }
      case 5: { // REGION: the translation of this trace and of those around it; with no budget left the interpreter does the one trace it has begun
        if (remaining < overdraft || regionsHeld) { op += 32; continue; }
        if (checkEvery != 0 && lockStep == IDLE && checkDue()) {
          const counted = i32(load<u16>(trace + 20));
          const done = checkEntry(trace, remaining - overdraft + counted);
          // What could not be checked is left to the interpreter; behind a difference the dispatcher ends the run.
          if (done == 0 && lockStep == IDLE) { op += 32; continue; }
          remaining += counted - done;
          link = 0;
          quick = false;
          op = dispatchOp;
          continue;
        }
        const answer = call_indirect<u64>(load<u32>(op + 4), load<u32>(op + 8), remaining - overdraft + i32(load<u16>(trace + 20)), tlb, quick ? pcCache : pcCache | L.CACHES_SHUT, pcEpoch);
        remaining = i32(answer >> 32) + overdraft;
        op = u32(answer);
        trace = load<u32>(c + L.VCPU_regionTrace);
        // STAC and CLAC in the region have changed which TLB answers, SYSCALL and SYSRET the privilege.
        tlb = load<u32>(c + L.VCPU_regionTlb);
        const isUser = load<u32>(c + L.VCPU_cpl) == 3;
        pcCache = isUser ? c + L.VCPU_AREA_userPcCache : c + L.VCPU_AREA_kernelPcCache;
        pcEpoch = isUser ? c + L.VCPU_userEpoch : c + L.VCPU_kernelEpoch;
        if (load<u32>(c + L.VCPU_regionFlags) != 0) writeRegionFlags();
        if (op == trace + 32) warmTrace(trace, 1);
        store<u64>(c + L.VCPU_counterRegionEntries, load<u64>(c + L.VCPU_counterRegionEntries) + 1);
        continue;
      }
      case 6: { // REGION_AWAITED: the translation is not there yet
        op += 32;
        continue;
      }
${registry.hotCases}
      default: {
        setCurrentTrace(trace);
        store<u32>(c + L.VCPU_currentOp, op);
        const r = runFunction(handler, op);
        if ((r | codeChanged) != 0) {
          if (r != 0) setBail(r);
          else afterStore();
          op = bailOp;
          continue;
        }
        op += 32;
        continue;
      }
    }
  }
}
`;
}
