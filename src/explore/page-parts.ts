/** Style and script of the page that shows a schedule. Plain text for the browser: no build, no library. */

export const PAGE_STYLE = `
:root { color-scheme: light dark; --line: #8884; --now: #ffd54a55; --bad: #d33; --change: #2a7de1; }
* { box-sizing: border-box; }
body { margin: 0; font: 14px/1.45 ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; height: 100vh; display: flex; flex-direction: column; }
header { padding: 10px 16px; border-bottom: 1px solid var(--line); }
h1 { font-size: 18px; margin: 0; } p { margin: 2px 0; } .about { opacity: .75; font-size: 12px; } .finding { color: var(--bad); font-weight: bold; }
nav { margin-top: 8px; display: flex; gap: 6px; align-items: center; } button { font: inherit; padding: 2px 10px; cursor: pointer; }
output { min-width: 9em; text-align: center; } .keys { opacity: .6; font-size: 12px; margin-left: 1em; }
main { flex: 1; min-height: 0; display: flex; } .scroll { flex: 1; overflow: auto; } aside { overflow: auto; border-left: 1px solid var(--line); min-width: 16em; }
table { border-collapse: collapse; width: 100%; } th { position: sticky; top: 0; background: Canvas; text-align: left; z-index: 1; }
th, td { padding: 2px 10px; border-bottom: 1px solid var(--line); vertical-align: top; }
td.number { opacity: .5; text-align: right; width: 3em; } tr.step { cursor: pointer; }
tr.later td { opacity: .25; } tr.now td { background: var(--now); } .remark { opacity: .7; font-style: italic; } .bad { color: var(--bad); font-weight: bold; }
.change { color: var(--change); } tr.changed td { background: var(--now); font-weight: bold; } .was { opacity: .6; font-weight: normal; }
`;

export const PAGE_SCRIPT = `
"use strict";
const trace = JSON.parse(document.getElementById("trace").textContent);
const byId = (id) => document.getElementById(id);
const cell = (name, text, kind) => { const made = document.createElement(name); made.textContent = text; if (kind) made.className = kind; return made; };
const steps = trace.steps;
const rows = [];
let place = 0;

function addLines(into, step) {
  into.append(cell("div", step.says));
  for (const remark of step.remarks) into.append(cell("div", remark, "remark"));
}
function badRow(findings) {
  for (const { kind, says } of findings) {
    const row = document.createElement("tr");
    const text = cell("td", kind + ": " + says, "bad");
    text.colSpan = trace.threads.length + 2;
    row.append(text);
    byId("steps").append(row);
  }
}
function drawSteps() {
  const head = document.createElement("tr");
  for (const name of ["", ...trace.threads, "changes"]) head.append(cell("th", name));
  byId("steps").append(head);
  badRow(trace.atStart);
  steps.forEach((step, index) => {
    const row = document.createElement("tr");
    row.append(cell("td", String(index + 1), "number"));
    trace.threads.forEach((_, thread) => { const column = cell("td", ""); if (thread === step.thread) addLines(column, step); row.append(column); });
    row.append(cell("td", step.changes.map(({ word, before, after }) => word + " " + before + " \\u2192 " + after).join(", "), "change"));
    row.addEventListener("click", () => show(index + 1));
    byId("steps").append(row);
    rows.push(row);
    badRow(step.findings);
  });
  badRow(trace.atEnd);
}
function drawWords() {
  const table = byId("words");
  table.replaceChildren();
  const head = document.createElement("tr");
  head.append(cell("th", "word"), cell("th", "value"));
  table.append(head);
  const now = place === 0 ? trace.wordsAtStart : steps[place - 1].words;
  const before = place <= 1 ? trace.wordsAtStart : steps[place - 2].words;
  trace.words.forEach((name, at) => {
    const row = document.createElement("tr");
    const value = cell("td", now[at]);
    if (now[at] !== before[at]) { row.className = "changed"; value.append(cell("span", " (was " + before[at] + ")", "was")); }
    row.append(cell("td", name), value);
    table.append(row);
  });
}
function show(to) {
  place = Math.max(0, Math.min(steps.length, to));
  rows.forEach((row, index) => { row.className = "step" + (index + 1 === place ? " now" : index >= place ? " later" : ""); });
  byId("place").textContent = place === 0 ? "start" : "step " + place + " of " + steps.length;
  if (place > 0) rows[place - 1].scrollIntoView({ block: "nearest" });
  drawWords();
}
const moves = { first: () => 0, back: () => place - 1, on: () => place + 1, last: () => steps.length };
for (const id of Object.keys(moves)) byId(id).addEventListener("click", () => show(moves[id]()));
const keys = { ArrowLeft: "back", k: "back", ArrowRight: "on", j: "on", " ": "on", Home: "first", End: "last" };
addEventListener("keydown", (event) => {
  const move = keys[event.key];
  if (move === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  show(moves[move]());
});
drawSteps();
show(steps.length);
`;
