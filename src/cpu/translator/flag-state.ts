/**
 * The arithmetic flags of a region. What the interpreter stores at every instruction (interpreter/flags.ts: result, aux, extra) is computed
 * here only where somebody needs it: until then the state is which operation came last, with its operands in locals.
 *
 * From block to block and out of the region the flags go as a note (VCPU.regionFlags), which says from which operation they come, and the three words,
 * which hold that operation's result and operands then. Note 0 = they are the interpreter's words themselves. All four are at home in the vCPU's state, as
 * general registers are (register-file.ts); in a loop with resident registers they are in locals.
 */
import { VCPU } from "../../abi/layout.js";
import { type CodeWriter, W } from "./wasm-writer.js";
import { LOCAL } from "./region-layout.js";

/** The words of the flags. */
type Word = "flagResult" | "flagAux" | "flagExtra";
const WORDS: readonly Word[] = ["flagResult", "flagAux", "flagExtra"];

const SIGN_BIT = 1n << 63n;
const CARRY_IN_BIT = 1n << 62n;

/** The last operation that set flags. Operands and result are in locals of `set`, zero extended from `size` bits. */
export type FlagState =
  /** What came into the block, noted or not. */
  | { readonly kind: "inherited" }
  /** They are the interpreter's words, at home or in their locals. */
  | { readonly kind: "words" }
  | { readonly kind: ArithmeticKind; readonly size: number; readonly set: number }
  /** CF is as it was before: at the top of its local, or (`inherits`) as it came into the block. */
  | { readonly kind: StepKind; readonly size: number; readonly set: number; readonly inherits: boolean }
  | { readonly kind: "shl" | "shr" | "sar"; readonly size: number; readonly set: number; readonly count: number };

type ArithmeticKind = "add" | "sub" | "carried-add" | "carried-sub" | "logic" | "multiply" | "product";
/** INC and DEC. */
export type StepKind = "increment" | "decrement";

/** Where a state keeps the first and second operand, the result, and the carry of before. */
export const flagLocals = (set: number): { a: number; b: number; r: number; carry: number } => {
  const first = LOCAL.flagSets + set * 4;
  return { a: first, b: first + 1, r: first + 2, carry: first + 3 };
};

/** Extends the zero-extended value of `size` bits on the stack by its sign. */
export function signExtend(code: CodeWriter, size: number): void {
  if (size !== 64) code.op(size === 32 ? W.i64Extend32S : size === 16 ? W.i64Extend16S : W.i64Extend8S);
}

const LOW_HALF = 0xffff_ffffn;

/** Pushes the high half of the unsigned product of two 64-bit locals. */
export function multiplyHigh(code: CodeWriter, a: number, b: number): void {
  const low = (local: number): CodeWriter => code.get(local).i64(LOW_HALF).op(W.i64And);
  const high = (local: number): CodeWriter => code.get(local).i64(32).op(W.i64ShrU);
  high(a);
  low(b).op(W.i64Mul);
  low(a);
  low(b).op(W.i64Mul).i64(32).op(W.i64ShrU, W.i64Add).set(LOCAL.scratch2);
  low(a);
  high(b).op(W.i64Mul).get(LOCAL.scratch2).i64(LOW_HALF).op(W.i64And, W.i64Add).set(LOCAL.scratch3);
  high(a);
  high(b).op(W.i64Mul);
  high(LOCAL.scratch2).op(W.i64Add);
  high(LOCAL.scratch3).op(W.i64Add);
}

/** Pushes the high half of the signed product of two 64-bit locals. */
export function multiplyHighSigned(code: CodeWriter, a: number, b: number): void {
  multiplyHigh(code, a, b);
  code.get(a).i64(63).op(W.i64ShrS).get(b).op(W.i64And, W.i64Sub).get(b).i64(63).op(W.i64ShrS).get(a).op(W.i64And, W.i64Sub);
}

/** Leaves in LOCAL.scratch4 0 when the signed product of `a` and `b`, whose low half is `r`, fits 64 bits. */
function signedOverflow(code: CodeWriter, a: number, b: number, r: number): void {
  multiplyHighSigned(code, a, b);
  code.get(r).i64(63).op(W.i64ShrS, W.i64Xor).set(LOCAL.scratch4);
}

/** Kinds of the note; interpreter/region-flags.ts has the same. */
const NOTE_KINDS = {
  logic: 1, add: 2, sub: 3, increment: 4, decrement: 5, multiply: 6, product: 7, shl: 8, shr: 9, sar: 10, "carried-add": 11, "carried-sub": 12,
} as const;
/** Those of which CF is told by the second and third word, so that they may go from block to block: it is second < third. */
const PASSED: ReadonlySet<FlagState["kind"]> = new Set(["logic", "add", "sub", "increment", "decrement", "multiply"]);
const NOTE_SIZE_SHIFT = 4;
const NOTE_COUNT_SHIFT = 12;

/** Follows the flags through a block. */
export class FlagTracker {
  readonly #code: CodeWriter;
  #state: FlagState = { kind: "inherited" };
  #set = 0;
  /** Whether the block has asked for words that it may have inherited as a note. */
  #demanded = false;
  #isResident = false;
  /** Whether the words of the state "words" are in their locals, and whether what is at home is up to date. */
  #isLoaded = false;
  #isAtHome = true;

  constructor(code: CodeWriter) {
    this.#code = code;
  }

  /** Begins a block; with `words`, who goes to it has written them. */
  begin(words: boolean): void {
    this.#state = { kind: words ? "words" : "inherited" };
    this.#isLoaded = this.#isResident;
    this.#isAtHome = true;
    this.#demanded = false;
  }

  /** Begins a loop in which words and note are in locals. */
  beginLoop(): void {
    this.#isResident = true;
    this.restore();
  }

  /** Ends that. What is behind gets there by ways that have stored (`keep`). */
  endLoop(): void { this.#isResident = false; }

  /** Brings what a loop has in locals home; elsewhere it is there. */
  keep(): void {
    if (!this.#isResident) return;
    this.#storeWords();
    this.#code.get(LOCAL.base).get(LOCAL.flagNote).access(W.i32Store, VCPU.regionFlags);
  }

  /** The other way round. */
  restore(): void {
    if (!this.#isResident) return;
    this.#loadWords();
    this.#code.get(LOCAL.base).access(W.i32Load, VCPU.regionFlags).set(LOCAL.flagNote);
  }

  /** Pushes the note. */
  note(): void {
    if (this.#isResident) this.#code.get(LOCAL.flagNote);
    else this.#code.get(LOCAL.base).access(W.i32Load, VCPU.regionFlags);
  }

  #loadWords(): void {
    for (const word of WORDS) this.#code.get(LOCAL.base).access(W.i64Load, VCPU[word]).set(LOCAL[word]);
  }

  #storeWords(): void {
    for (const word of WORDS) this.#code.get(LOCAL.base).get(LOCAL[word]).access(W.i64Store, VCPU[word]);
  }

  /** Writes a word, or the note, to where it goes from block to block. */
  #put(word: Word, pushValue: () => void): void {
    const code = this.#code;
    if (!this.#isResident) code.get(LOCAL.base);
    pushValue();
    if (this.#isResident) code.set(LOCAL[word]);
    else code.access(W.i64Store, VCPU[word]);
  }

  #putNote(note: number): void {
    const code = this.#code;
    if (this.#isResident) code.i32(note).set(LOCAL.flagNote);
    else code.get(LOCAL.base).i32(note).access(W.i32Store, VCPU.regionFlags);
  }

  /** Pushes an inherited word. */
  #push(word: Word): void {
    if (this.#isResident) this.#code.get(LOCAL[word]);
    else this.#code.get(LOCAL.base).access(W.i64Load, VCPU[word]);
  }

  /** Whether the block needs to be begun with words: what has been written of it is wrong otherwise. */
  get demanded(): boolean { return this.#demanded; }

  /** Locals for the next operation; they are not those of the present state. */
  nextSet(): number {
    this.#set = 1 - this.#set;
    return this.#set;
  }

  #change(state: FlagState): void {
    this.#state = state;
    this.#isAtHome = false;
  }

  /** An operation has left its operands and result in `set`. */
  put(kind: ArithmeticKind, size: number, set: number): void {
    this.#change({ kind, size, set });
  }

  /** INC or DEC has left its operand and result in `set`; `inherits` is what `takeCarry` said before. */
  putStep(kind: StepKind, size: number, set: number, inherits: boolean): void {
    this.#change({ kind, size, set, inherits });
  }

  /** Keeps CF for an operation that leaves it as it is: in a local of `set`, or, which is said, where the block has inherited it. */
  takeCarry(set: number): boolean {
    const state = this.#state;
    if (state.kind === "inherited" || (isStep(state) && state.inherits)) return true;
    this.carry();
    this.#code.i64(63).op(W.i64Shl).set(flagLocals(set).carry);
    return false;
  }

  putShift(kind: "shl" | "shr" | "sar", size: number, set: number, count: number): void {
    this.#change({ kind, size, set, count });
  }

  /** The words have been written to their locals by somebody else. */
  putWords(): void {
    this.#change({ kind: "words" });
    this.#isLoaded = true;
    if (this.#isResident) this.#putNote(0);
  }

  /** The interpreter has written the words, at home; in a loop they have been restored since. */
  wordsCame(): void {
    this.#state = { kind: "words" };
    this.#isLoaded = this.#isResident;
    this.#isAtHome = true;
  }

  /** Writes the words that the interpreter expects to where they go from block to block; the state stays what it is, for the way that does not come here. */
  writeWords(): void {
    const state = this.#state;
    if (state.kind === "inherited") this.#demanded = true;
    else if (state.kind === "words") this.#writeLoaded();
    else {
      this.#computeWords(state, (word, pushValue) => this.#put(word, pushValue));
      this.#putNote(0);
    }
  }

  /** Gives each word of the interpreter to `put`, with what pushes its value. */
  #computeWords(state: Extract<FlagState, { set: number }>, put: (word: Word, pushValue: () => void) => void): void {
    const code = this.#code;
    put("flagResult", () => {
      code.get(flagLocals(state.set).r);
      signExtend(code, state.size);
    });
    put("flagAux", () => this.#writeAux(state));
    put("flagExtra", () => code.i64(0));
  }

  /** Words in locals go home. */
  #writeLoaded(): void {
    if (this.#isResident || this.#isAtHome) return;
    this.#storeWords();
    this.#putNote(0);
  }

  /** As writeWords, but only notes where the words come from: for the ways out. */
  writeNote(): void {
    const state = this.#state;
    if (this.#isAtHome || state.kind === "inherited") return;
    if (state.kind === "words") return void this.#writeLoaded();
    const code = this.#code;
    const { a, b, r, carry } = flagLocals(state.set);
    const put = (word: Word, local: number): void => this.#put(word, () => code.get(local));
    const clear = (word: Word): void => this.#put(word, () => code.i64(0));
    switch (state.kind) {
      case "sub": put("flagAux", a); put("flagExtra", b); break;
      case "add": put("flagAux", r); put("flagExtra", a); break;
      case "logic": put("flagResult", r); clear("flagAux"); clear("flagExtra"); break;
      case "increment": case "decrement":
        put("flagResult", r);
        if (state.inherits) this.#noteInheritedCarry();
        else {
          clear("flagAux");
          this.#put("flagExtra", () => code.get(carry).i64(63).op(W.i64ShrU));
        }
        break;
      case "multiply": put("flagResult", r); clear("flagAux"); put("flagExtra", carry); break;
      case "shl": case "shr": case "sar": put("flagResult", r); put("flagAux", a); break;
      default: put("flagResult", r); put("flagAux", a); put("flagExtra", b); break;
    }
    this.#putNote(NOTE_KINDS[state.kind] | (state.size << NOTE_SIZE_SHIFT) | ("count" in state ? state.count << NOTE_COUNT_SHIFT : 0));
  }

  /** What came as a note tells CF by second < third already; what came as words is made to. */
  #noteInheritedCarry(): void {
    const code = this.#code;
    this.note();
    code.op(W.i32Eqz);
    code.openUnlikely();
    this.#put("flagExtra", () => this.#pushTopOfAux());
    this.#put("flagAux", () => code.i64(0));
    code.close();
  }

  #pushTopOfAux(): void {
    this.#push("flagAux");
    this.#code.i64(63).op(W.i64ShrU);
  }

  /** Pushes the CF that came into the block, an i64. */
  #pushInheritedCarry(): void {
    const code = this.#code;
    this.#push("flagAux");
    this.#push("flagExtra");
    code.op(W.i64LtU, W.i64ExtendU);
    this.#pushTopOfAux();
    this.note();
    code.op(W.select);
  }

  /** As writeNote, for the way to another block, which may ask for CF. */
  pass(): void {
    if (PASSED.has(this.#state.kind)) this.writeNote();
    else if (!this.#isAtHome) this.writeWords();
  }

  /** As pass, before ways part, so that none of them has to. Not in a loop, where some ways need not. */
  flush(): void {
    if (this.#isResident) return;
    this.pass();
    this.#isAtHome = true;
  }

  /** Leaves the words in their locals, and goes on from there; whoever asks may change them. */
  settle(): void {
    this.#settle();
    this.#isAtHome = false;
  }

  /** As settle, for those who only read. */
  #settle(): void {
    const state = this.#state;
    if (state.kind === "inherited") this.#demanded = true;
    if (state.kind === "inherited" || state.kind === "words") {
      if (!this.#isLoaded) this.#loadWords();
      this.#isLoaded = true;
      this.#state = { kind: "words" };
      return;
    }
    this.#computeWords(state, (word, pushValue) => {
      pushValue();
      this.#code.set(LOCAL[word]);
    });
    this.putWords();
  }

  /** Pushes the aux word. */
  #writeAux(state: Extract<FlagState, { set: number }>): void {
    const { size } = state;
    const code = this.#code;
    const { a, b, r, carry } = flagLocals(state.set);
    switch (state.kind) {
      case "logic": code.i64(0); break;
      case "add": case "carried-add":
        // (a & b) | ((a | b) & ~r)
        code.get(a).get(b).op(W.i64And).get(a).get(b).op(W.i64Or).get(r).i64(-1).op(W.i64Xor, W.i64And, W.i64Or);
        this.#carries(size);
        break;
      case "sub": case "carried-sub":
        // (~a & b) | ((~a | b) & r)
        code.get(a).i64(-1).op(W.i64Xor).tee(LOCAL.scratch).get(b).op(W.i64And).get(LOCAL.scratch).get(b).op(W.i64Or).get(r).op(W.i64And, W.i64Or);
        this.#carries(size);
        break;
      case "increment": case "decrement":
        if (state.inherits) {
          this.#pushInheritedCarry();
          code.i64(63).op(W.i64Shl).set(carry);
        }
        this.#stepAux(state.kind, a, r, carry, size);
        break;
      case "product": signedOverflow(code, a, b, r); code.i64(SIGN_BIT).i64(0).get(LOCAL.scratch4).i64(0).op(W.i64Ne, W.select); break;
      case "multiply": code.i64(SIGN_BIT).i64(0).get(carry).i64(0).op(W.i64Ne, W.select); break;
      default: this.#shiftAux(state); break;
    }
  }

  /** Moves the carry vector on the stack to the top, keeping the carry out of bit 3. */
  #carries(size: number): void {
    if (size === 64) return;
    this.#code.tee(LOCAL.scratch).i64(64 - size).op(W.i64Shl).get(LOCAL.scratch).i64(8).op(W.i64And, W.i64Or);
  }

  /** INC and DEC keep CF: bit 63 stays, bit 62 makes OF come out right. */
  #stepAux(kind: StepKind, a: number, r: number, carry: number, size: number): void {
    const code = this.#code;
    if (kind === "increment") code.get(a).get(r).i64(-1).op(W.i64Xor, W.i64And);
    else code.get(a).i64(-1).op(W.i64Xor).get(r).op(W.i64And);
    this.#carries(size);
    code.tee(LOCAL.scratch).i64(8).op(W.i64And).get(carry).op(W.i64Or);
    code.get(carry).get(LOCAL.scratch).op(W.i64Xor).get(LOCAL.scratch).i64(1).op(W.i64Shl, W.i64Xor).i64(1).op(W.i64ShrU).i64(CARRY_IN_BIT).op(W.i64And, W.i64Or);
  }

  #shiftAux({ kind, size, set, count }: Extract<FlagState, { count: number }>): void {
    const code = this.#code;
    const { a, r } = flagLocals(set);
    // The bit shifted out last.
    code.get(a);
    if (kind === "shl") {
      if (size === 64) code.i64(64 - count).op(W.i64ShrU);
      else code.i64(count).op(W.i64Shl).i64(size).op(W.i64ShrU);
    } else {
      if (kind === "sar") signExtend(code, size);
      code.i64(count - 1).op(kind === "sar" ? W.i64ShrS : W.i64ShrU);
    }
    code.i64(1).op(W.i64And).tee(LOCAL.scratch).i64(63).op(W.i64Shl);
    // carry ^ overflow: the top of the result (SHL), carry ^ top of the operand (SHR), the carry (SAR).
    if (kind === "sar") code.get(LOCAL.scratch);
    else {
      code.get(kind === "shl" ? r : a).i64(size - 1).op(W.i64ShrU).i64(1).op(W.i64And);
      if (kind === "shr") code.get(LOCAL.scratch).op(W.i64Xor);
    }
    code.i64(62).op(W.i64Shl, W.i64Or);
  }

  /** Pushes CF as an i64, 0 or 1. */
  carry(): void {
    const state = this.#state;
    const code = this.#code;
    if (state.kind === "sub" || state.kind === "add" || state.kind === "logic") {
      const { a, b, r } = flagLocals(state.set);
      if (state.kind === "logic") code.i64(0);
      else if (state.kind === "sub") code.get(a).get(b).op(W.i64LtU, W.i64ExtendU);
      else code.get(r).get(a).op(W.i64LtU, W.i64ExtendU);
      return;
    }
    if (state.kind === "inherited" || (isStep(state) && state.inherits)) return this.#pushInheritedCarry();
    if (isStep(state)) code.get(flagLocals(state.set).carry);
    else if (state.kind === "words") {
      if (this.#isLoaded) code.get(LOCAL.flagAux);
      else this.#push("flagAux");
    } else this.#writeAux(state);
    code.i64(63).op(W.i64ShrU);
  }

  /** Pushes whether condition code `condition` (SDM vol 1 appendix B) holds, an i32. */
  condition(condition: number): void {
    if (!this.#directCondition(condition >> 1)) {
      this.#settle();
      this.#wordCondition(condition >> 1);
    }
    if ((condition & 1) !== 0) this.#code.op(W.i32Eqz);
  }

  /** Conditions that follow from the operands at once. Returns false when this one does not. */
  #directCondition(pair: number): boolean {
    const state = this.#state;
    const code = this.#code;
    if ((state.kind === "inherited" || isStep(state)) && pair === 1) {
      this.carry();
      code.op(W.i32Wrap);
      return true;
    }
    if (state.kind === "words" || state.kind === "inherited") return false;
    const { size } = state;
    const { a, b, r } = flagLocals(state.set);
    const signed = (local: number): void => { code.get(local); signExtend(code, size); };
    if (pair === 2) { code.get(r).op(W.i64Eqz); return true; }
    if (pair === 4) { signed(r); code.i64(0).op(W.i64LtS); return true; }
    if (pair === 5) { code.get(r).i64(0xff).op(W.i64And, W.i64Popcnt, W.i32Wrap).i32(1).op(W.i32And, W.i32Eqz); return true; }
    if (state.kind === "sub") {
      if (pair === 1 || pair === 3) { code.get(a).get(b).op(pair === 1 ? W.i64LtU : W.i64LeU); return true; }
      if (pair >= 6) { signed(a); signed(b); code.op(pair === 6 ? W.i64LtS : W.i64LeS); return true; }
    } else if (state.kind === "logic") {
      if (pair === 0 || pair === 1) { code.i32(0); return true; }
      if (pair === 3) { code.get(r).op(W.i64Eqz); return true; }
      signed(r);
      code.i64(0).op(pair === 6 ? W.i64LtS : W.i64LeS);
      return true;
    } else if (state.kind === "add" && pair === 1) {
      code.get(r).get(a).op(W.i64LtU);
      return true;
    }
    return false;
  }

  /** Conditions from the three words (interpreter/flags.ts). */
  #wordCondition(pair: number): void {
    const code = this.#code;
    const { flagResult, flagAux, flagExtra } = LOCAL;
    const zero = (): void => { code.get(flagResult).op(W.i64Eqz); };
    const overflow = (): void => { code.get(flagAux).get(flagAux).i64(1).op(W.i64Shl, W.i64Xor); };
    const sign = (): void => { code.get(flagResult).get(flagExtra).op(W.i64Xor); };
    const negative = (): void => { code.i64(0).op(W.i64LtS); };
    switch (pair) {
      case 0: overflow(); negative(); break;
      case 1: code.get(flagAux); negative(); break;
      case 2: zero(); break;
      case 3: code.get(flagAux); negative(); zero(); code.op(W.i32Or); break;
      case 4: sign(); negative(); break;
      case 5: sign(); code.i64(0xff).op(W.i64And, W.i64Popcnt, W.i32Wrap).i32(1).op(W.i32And, W.i32Eqz); break;
      default:
        sign();
        overflow();
        code.op(W.i64Xor);
        negative();
        if (pair === 7) { zero(); code.op(W.i32Or); }
    }
  }
}

function isStep(state: FlagState): state is Extract<FlagState, { inherits: boolean }> { return "inherits" in state; }
