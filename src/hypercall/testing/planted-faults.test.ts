/**
 * Each fault of the tables (guest-page/testing/page-mutations.ts, event-mutations.ts) is planted into a copy of the compiled code of its
 * own and must be noticed by its catcher; a copy without any fault must pass all of them. A fault that does not fit into
 * the code any more fails, too. Ends with a table: id, fault, what noticed it or why there is no such line here.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, before, describe, it } from "node:test";
import { MutantTree } from "../../guest-page/testing/mutant-tree.js";
import { WATCH_MS } from "../../guest-page/testing/mutation.js";
import type { Catcher, Mutation } from "../../guest-page/testing/mutation.js";
import { PAGE_MUTATIONS } from "../../guest-page/testing/page-mutations.js";
import { CHECKS as PAGE_CHECKS } from "../../guest-page/testing/page-checks.js";
import { SCENARIOS as PAGE_SCENARIOS } from "../../guest-page/testing/page-scenarios.js";
import { CHECKS as EVENT_CHECKS } from "./event-checks.js";
import { CHECKS as KVM_CHECKS } from "../../kvm/testing/kvm-checks.js";
import { CHECKS as KVM_STRESS } from "../../kvm/testing/kvm-stress.js";
import { KVM_MUTATIONS } from "../../kvm/testing/kvm-mutations.js";
import { EVENT_MUTATIONS } from "./event-mutations.js";
import { SCENARIOS as EVENT_SCENARIOS } from "./event-scenarios.js";

const MUTATIONS: readonly Mutation[] = [...PAGE_MUTATIONS, ...EVENT_MUTATIONS, ...KVM_MUTATIONS].sort((a, b) => placeOf(a) - placeOf(b));
/** The whole of the historic list: every number of it has an entry. */
const HISTORIC_COUNT = 40;
/** Beyond a catcher's own time: start, and the catcher's watchdog. */
const GRACE_MS = 30_000;
const AT_ONCE = 2;

function placeOf({ id }: Mutation): number {
  const [, letter = "", number = "0", rest = ""] = /^([A-Z])(\d+)(.*)$/.exec(id) ?? [];
  return "MPEK".indexOf(letter) * 1000 + Number(number) + (rest === "" ? 0 : 0.5);
}

interface Outcome {
  /** 0 = the catcher was content, 1 = it found something, 3 = it hung, undefined = it did not even end. */
  readonly status: number | undefined;
  readonly text: string;
}

function runCatcher(tree: MutantTree, { module, name, timeMs, firstSeed = 1 }: Catcher): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [tree.path("guest-page/testing/catcher.js"), module, name, String(timeMs), String(firstSeed)], { stdio: ["ignore", "pipe", "pipe"] });
    let text = "";
    child.stdout.on("data", (chunk: Buffer) => (text += String(chunk)));
    child.stderr.on("data", (chunk: Buffer) => (text += String(chunk)));
    const timer = setTimeout(() => child.kill("SIGKILL"), timeMs + GRACE_MS);
    child.once("close", (status) => {
      clearTimeout(timer);
      resolve({ status: status ?? undefined, text: text.trim() });
    });
  });
}

const lines: string[] = [];

/** The first line of what a catcher said, without its own name. */
function gist({ status, text }: Outcome, name: string): string {
  const said = text.split("\n")[0]!.replace(`${name}, `, "").replace(`${name}: `, "");
  return status === 3 || status === undefined ? "it hangs" : said.slice(0, 140);
}

async function runMutation({ id, what, fate }: Mutation): Promise<void> {
  if (fate.kind === "impossible") {
    lines.push(`${id} | ${what} | cannot exist: ${fate.why}`);
    return;
  }
  const tree = MutantTree.create(fate.edits);
  try {
    const outcome = await runCatcher(tree, fate.by);
    lines.push(`${id} | ${what} | ${fate.kind === "caught" ? `caught by "${fate.by.name}": ${gist(outcome, fate.by.name)}` : `harmless: ${fate.why}`}`);
    if (fate.kind === "caught") assert.notEqual(outcome.status, 0, `${id}, "${what}", was not noticed: ${outcome.text}`);
    else assert.equal(outcome.status, 0, `${id}, "${what}", is called harmless: ${outcome.text}`);
  } finally {
    tree.remove();
  }
}

/** The catchers of all faults, each once. */
function catchers(): Catcher[] {
  const all = MUTATIONS.flatMap(({ fate }) => (fate.kind === "impossible" ? [] : [fate.by]));
  return [...new Map(all.map((by) => [`${by.module} ${by.name}`, by])).values()];
}

describe("code without a planted fault", { concurrency: AT_ONCE, timeout: 300_000 }, () => {
  let tree: MutantTree;
  before(() => (tree = MutantTree.create()));
  after(() => tree.remove());
  for (const by of catchers()) {
    it(`passes "${by.name}"`, async () => {
      const { status, text } = await runCatcher(tree, { ...by, timeMs: WATCH_MS });
      assert.equal(status, 0, text);
    });
  }
});

describe("a planted fault", { concurrency: AT_ONCE, timeout: 600_000 }, () => {
  for (const mutation of MUTATIONS) {
    const is = { caught: "is noticed", harmless: "changes nothing", impossible: "has no line here" }[mutation.fate.kind];
    it(`${is}: ${mutation.id}, ${mutation.what}`, () => runMutation(mutation));
  }
  after(() => {
    console.log(["id | fault | fate", ...lines.sort((a, b) => placeOf({ id: a.split(" ")[0]! } as Mutation) - placeOf({ id: b.split(" ")[0]! } as Mutation))].join("\n"));
  });
});

it("every catcher is a scenario or a check", () => {
  const names = [...PAGE_SCENARIOS, ...EVENT_SCENARIOS].map(({ name }) => name).concat(Object.keys(PAGE_CHECKS), Object.keys(EVENT_CHECKS), Object.keys(KVM_CHECKS), Object.keys(KVM_STRESS));
  for (const { name } of catchers()) assert.ok(names.includes(name), name);
});

it("every fault of the historic list has an entry, and none has two", () => {
  const ids = MUTATIONS.map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length);
  for (let number = 1; number <= HISTORIC_COUNT; number++) assert.ok(ids.includes(`M${number}`), `M${number} has no entry`);
});
