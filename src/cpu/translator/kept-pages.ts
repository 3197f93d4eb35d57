/**
 * What a loop with resident registers (register-file.ts) knows of the guest memory that it has looked up: for each of its first accesses, the page that it found last. Mostly the next round's is
 * the same, and found without the TLB. The loop is left whenever something is requested, and so for whoever takes a frame away; what else changes mappings is a function of the interpreter, behind which nothing is known.
 */
import { TLB_ADDEND } from "../../abi/layout.js";
import { KEPT_PAGES, LOCAL } from "./region-layout.js";
import { PAGE_MASK } from "./tlb-look-up.js";
import { type CodeWriter, W } from "./wasm-writer.js";

/** No address, and its bits below those of a page are no alignment either. */
const NONE = -1;

/** The pages of one loop at a time. */
export class KeptPages {
  readonly #code: CodeWriter;
  #isInLoop = false;
  #used = 0;

  constructor(code: CodeWriter) { this.#code = code; }

  /** Begins a loop, of which none are known. */
  beginLoop(): void {
    this.#isInLoop = true;
    this.#used = 0;
    this.forget();
  }

  /** Ends that: code that is written from here on keeps none. */
  endLoop(): void { this.#isInLoop = false; }

  /** Whether the loop would keep a page for one more access. */
  get isAtHand(): boolean { return this.#isInLoop && this.#used < KEPT_PAGES; }

  /** Mappings, or what may be done to memory, may have changed. Outside of a loop there is nothing to do. */
  forget(): void {
    if (!this.#isInLoop) return;
    for (let page = 0; page < KEPT_PAGES; page++) this.#code.i64(NONE).set(LOCAL.keptPages + page);
  }

  /**
   * Finds the `bytes` bytes (a power of two) at LOCAL.address, and pushes their host address: by the next page that the loop keeps, if they are aligned and lie in it; else `lookUp` writes how the TLB's entry
   * is found, to LOCAL.tlbEntry. Returns false, and writes nothing, when the loop keeps no more.
   */
  pushKept(bytes: number, lookUp: () => void): boolean {
    if (!this.isAtHand) return false;
    const code = this.#code;
    const page = LOCAL.keptPages + this.#used, addend = LOCAL.keptAddends + this.#used;
    this.#used++;
    code.get(LOCAL.address).i64(PAGE_MASK | (bytes - 1)).op(W.i64And).get(page).op(W.i64Ne);
    code.openUnlikely();
    lookUp();
    code.get(LOCAL.address).i64(PAGE_MASK).op(W.i64And).set(page).get(LOCAL.tlbEntry).access(W.i32Load, TLB_ADDEND).set(addend).close();
    code.get(LOCAL.address).op(W.i32Wrap).get(addend).op(W.i32Add);
    return true;
  }
}
