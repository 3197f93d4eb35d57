/** Regions that have been made before: who gets them, and who does not. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { VCPU_AREA } from "../abi/layout.js";
import { listing, type Listing } from "./bare-metal/listing.js";
import { ROUNDS, run } from "./bare-metal/tiers.js";
import { RAX, RBX, RCX } from "./index.js";
import { LIBRARY_REGIONS_MAX, type LibraryHost, type Recipe, TranslationLibrary } from "./translator/library.js";
import { RecipeBook } from "./translator/recipe-book.js";

const CODE = 0x10000;
/** Too many for these programs: nothing becomes hot by itself. */
const NEVER_HOT = 0x10_0000;

const ADDS = listing(CODE, `
  48 8d 04 48     again: lea rax, [rax+rcx*2]
  f6 c1 03        test cl, 3
  74 03           jz even
  48 31 c8        xor rax, rcx
  e8 06 00 00 00  even: call leaf
  48 ff c9        dec rcx
  75 ea           jnz again
  f4              hlt
  48 01 c3        leaf: add rbx, rax
  c3              ret
`);
/** The same but for one instruction: SUB for ADD. */
const SUBTRACTS: Listing = { ...ADDS, bytes: ADDS.bytes.map((byte, at) => (at === ADDS.bytes.length - 3 ? 0x29 : byte)) };

/** Without machine code, which is V8's business; `code` stands for it. */
function host(code?: Uint8Array): LibraryHost {
  return { digest: (content) => createHash("sha256").update(content).digest("hex"), takeNativeCode: () => code, restoreModule: () => undefined };
}

interface Outcome { readonly rax: bigint; readonly rbx: bigint; readonly instructions: number; readonly regions: number; readonly known: number }

function runProgram(program: Listing, translated: false | { library: TranslationLibrary; hotSamples?: number }): Outcome {
  const { machine: { state }, stop } = run(program, { [RCX]: ROUNDS, [RAX]: 1, [RBX]: 0 }, translated);
  assert.equal(stop.exit, "hlt");
  return {
    rax: state.gpr(RAX), rbx: state.gpr(RBX), instructions: state.instructionsRetired,
    regions: state.translation.regions, known: state.translation.known,
  };
}

const answer = ({ rax, rbx, instructions }: Outcome): unknown => ({ rax, rbx, instructions });

test("a region that was made once is had by another machine at its first sample, also from a saved library", () => {
  const library = new TranslationLibrary(host(Uint8Array.of(1, 2, 3)));
  const made = runProgram(ADDS, { library });
  const interpreted = runProgram(ADDS, false);
  assert.deepEqual(answer(made), answer(interpreted));
  assert.ok(made.regions > 0 && made.known === 0);
  for (const known of [library, new TranslationLibrary(host(), library.save())]) {
    const again = runProgram(ADDS, { library: known, hotSamples: NEVER_HOT });
    assert.deepEqual(answer(again), answer(interpreted));
    assert.ok(again.known > 0, "expected the region of the library to run");
    assert.equal(again.known, again.regions);
  }
});

test("code that differs in one byte gets no region of the library", () => {
  const library = new TranslationLibrary(host());
  runProgram(ADDS, { library });
  const other = runProgram(SUBTRACTS, { library, hotSamples: NEVER_HOT });
  assert.deepEqual(answer(other), answer(runProgram(SUBTRACTS, false)));
  // The traces in front of the changed one are the same, but a region has all of its own or is none.
  assert.equal(other.regions, 0);
});

test("a library without news is not saved again, and one that cannot be read is empty", () => {
  const library = new TranslationLibrary(host());
  runProgram(ADDS, { library });
  const saved = library.save();
  assert.ok(saved !== undefined);
  const loaded = new TranslationLibrary(host(), saved);
  assert.ok(loaded.recipes().length > 0);
  assert.equal(loaded.save(), undefined);
  assert.equal(new TranslationLibrary(host(), new TextEncoder().encode("\x12\0\0\0{\"format\":\"other\"}")).recipes().length, 0);
});

test("machine code that comes later is saved", () => {
  const library = new TranslationLibrary(host());
  runProgram(ADDS, { library });
  const loaded = new TranslationLibrary(host(Uint8Array.of(7)), library.save());
  assert.equal(loaded.save(), undefined);
  runProgram(ADDS, { library: loaded, hotSamples: NEVER_HOT });
  assert.ok(loaded.save() !== undefined);
});

test("a library has no more regions than it may, those that were used last", () => {
  const library = new TranslationLibrary(host(), undefined, 1);
  runProgram(ADDS, { library });
  const [first] = library.recipes();
  runProgram(SUBTRACTS, { library });
  assert.equal(library.recipes().length, 1);
  assert.notDeepEqual(library.recipes()[0], first);
});

test("a vCPU that has been told of more regions than a library has forgets the first of them, and their marks", () => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const book = new RecipeBook(memory, 0);
  const marked = (rip: number): boolean => (new Uint8Array(memory.buffer)[VCPU_AREA.knownEntries + (rip >> 3)]! & (1 << (rip & 7))) !== 0;
  const recipe = (rip: number): Recipe => ({ rips: [rip.toString(16)], checks: [0], first: 0, entries: [0] });
  for (let rip = 0; rip <= LIBRARY_REGIONS_MAX; rip++) {
    assert.equal(marked(rip), false);
    book.add([recipe(rip)]);
  }
  assert.deepEqual([marked(0), marked(LIBRARY_REGIONS_MAX / 2), marked(LIBRARY_REGIONS_MAX / 2 + 1), marked(LIBRARY_REGIONS_MAX)], [false, false, true, true]);
});
