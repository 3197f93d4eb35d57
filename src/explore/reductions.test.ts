/** The three exhaustive searches see the same: outcomes and findings of hundreds of programs made by chance. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { EngineChecks } from "./checks.js";
import type { Operation, Scenario } from "./model.js";
import { load, note } from "./operations.js";
import { type ProgramOptions, makeProgram } from "./testing/programs.js";
import { searchAll, type Searched, type SearchName } from "./testing/search.js";

type Steps = Generator<Operation, void, number>;

/** Steps after which a program is too large to be searched without reduction; it is left out. */
const STEPS_LIMIT = 150_000;

interface Comparison {
  compared: number;
  readonly differing: number[];
  schedulesEvery: number;
  schedulesReduced: number;
  readonly findingKinds: Set<string>;
}

/** Compares a search with the one without reduction. */
function compare(name: SearchName, seeds: readonly [number, number], options: ProgramOptions, checks: Partial<EngineChecks> = {}): Comparison {
  const result: Comparison = { compared: 0, differing: [], schedulesEvery: 0, schedulesReduced: 0, findingKinds: new Set() };
  for (let seed = seeds[0]; seed < seeds[1]; seed++) {
    const create = makeProgram(seed, options);
    const reduced = searchAll(create, name, { isTso: options.isTso, checks });
    let every;
    try {
      every = searchAll(create, "every", { isTso: options.isTso, stepsLimit: STEPS_LIMIT });
    } catch (error) {
      if (/more than/.test(String(error))) continue;
      throw error;
    }
    result.compared++;
    result.schedulesEvery += every.tally.schedules;
    result.schedulesReduced += reduced.tally.schedules;
    for (const finding of every.findings) result.findingKinds.add(finding.split(":")[0]!);
    if (textOf(every, name) !== textOf(reduced, name) || [...reduced.findings].some((finding) => !every.findings.has(finding))) result.differing.push(seed);
  }
  return result;
}

/**
 * Outcomes and findings. Clocks tell of further data races behind the first, which the search over states may not: a value that was read
 * in a race orders nothing. So there it must find one if there is one, and none that the other does not.
 */
function textOf({ outcomes, findings }: Searched, name: SearchName): string {
  const plain = [...findings].map((finding) => (name === "states" && finding.startsWith("data-race") ? "data-race" : finding));
  return JSON.stringify([[...outcomes].sort(), [...new Set(plain)].sort()]);
}

const SMALL: ProgramOptions = { stepsMax: 3, threadsMax: 3, isTso: false, hasInvariant: false };
const KINDS = ["data-race", "deadlock", "double-free", "leak", "use-after-free"];

for (const name of ["dpor", "states"] as const) {
  test(`${name} loses no outcome and no finding of programs with two or three threads`, () => {
    const { compared, differing, schedulesEvery, schedulesReduced, findingKinds } = compare(name, [1, 350], SMALL);
    assert.deepEqual(differing, []);
    assert.ok(compared > 320, `${compared} programs`);
    assert.ok(schedulesReduced * 4 < schedulesEvery, `${schedulesReduced} of ${schedulesEvery} schedules`);
    assert.deepEqual(KINDS.filter((kind) => !findingKinds.has(kind)), [], "kinds of findings that no program has");
  });

  test(`${name} loses none where an invariant watches two words`, () => {
    const { differing, findingKinds } = compare(name, [1000, 1150], { ...SMALL, hasInvariant: true });
    assert.deepEqual(differing, []);
    assert.ok(findingKinds.has("invariant"));
  });

  test(`${name} loses none where plain stores are delayed`, () => {
    const { compared, differing } = compare(name, [2000, 2200], { ...SMALL, isTso: true });
    assert.deepEqual(differing, []);
    assert.ok(compared > 150, `${compared} programs`);
  });

  test(`${name} loses none of two threads with four and more steps`, () => {
    assert.deepEqual(compare(name, [3000, 3080], { ...SMALL, stepsMax: 4, threadsMax: 2 }).differing, []);
  });
}

test("what threads write together with their steps makes states differ", () => {
  const create = (): Scenario => {
    function* run(thread: number): Steps {
      yield load(0);
      yield note(1, thread);
    }
    return {
      words: [{ name: "w", value: 0 }, { name: "last", value: -1 }],
      threads: [0, 1, 2].map((thread) => ({ name: `t${thread}`, run: () => run(thread) })),
    };
  };
  for (const name of ["every", "states"] as const) assert.deepEqual([...searchAll(create, name).outcomes].sort(), ["0 0", "0 1", "0 2"], name);
});

// What follows plants faults into the engine: the comparison above can fail.

const PLANTED: readonly (readonly [SearchName, keyof EngineChecks, Partial<ProgramOptions>])[] = [
  ["dpor", "ordersReadsAndWrites", {}], ["dpor", "wakesSleepers", {}], ["dpor", "looksAtBlocked", {}], ["dpor", "ordersVisibleSteps", { hasInvariant: true }],
  ["dpor", "findsRaces", {}], ["dpor", "findsDeadlocks", {}], ["dpor", "findsFreedFrames", {}], ["dpor", "findsDoubleFrees", {}], ["dpor", "findsLeaks", {}],
  ["states", "hashesHistories", {}], ["states", "findsRaces", {}], ["states", "findsDeadlocks", {}],
];

for (const [name, check, options] of PLANTED) {
  test(`without ${check}, ${name} loses something`, () => {
    const { differing } = compare(name, [1000, 1120], { ...SMALL, ...options }, { [check]: false });
    assert.notDeepEqual(differing, []);
  });
}
