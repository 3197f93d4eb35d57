/** A schedule as a page of its own, without anything from elsewhere, through which one steps with keys and buttons. */
import type { ExploreReport } from "./explore.js";
import { PAGE_SCRIPT, PAGE_STYLE } from "./page-parts.js";

function escapeText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

/** The page. Precondition: the report has a schedule. */
export function drawPage(report: ExploreReport): string {
  if (report.schedule === undefined) throw new RangeError("there is no schedule to draw");
  const { trace, replay, preemptions } = report.schedule;
  const name = report.mutation === undefined ? report.scenario : `${report.scenario} with "${report.mutation}"`;
  const [first] = report.findings;
  const title = first === undefined ? `${name}: nothing wrong` : `${name}: ${first.kind}`;
  // What stands in a script element must not end it.
  const data = JSON.stringify(trace).replaceAll("<", "\\u003c").replaceAll("\u2028", "\\u2028").replaceAll("\u2029", "\\u2029");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeText(title)}</title>
<style>${PAGE_STYLE}</style>
</head>
<body>
<header>
<h1>${escapeText(name)}</h1>
<p class="finding">${escapeText(first === undefined ? "nothing wrong" : `${first.kind}: ${first.says}`)}</p>
<p class="about">${trace.steps.length} steps, ${preemptions} preemption${preemptions === 1 ? "" : "s"} &middot; ${escapeText(report.bounds)}</p>
<p class="about">replay: <code>${escapeText(replay)}</code></p>
<nav><button id="first" title="Home">|&lt;</button><button id="back" title="left, k">&lt; back</button><output id="place"></output><button
 id="on" title="right, j, space">on &gt;</button><button id="last" title="End">&gt;|</button><span class="keys">keys: &larr; &rarr; Home End</span></nav>
</header>
<main><div class="scroll"><table id="steps"></table></div><aside><table id="words"></table></aside></main>
<script id="trace" type="application/json">${data}</script>
<script>${PAGE_SCRIPT}</script>
</body>
</html>
`;
}
