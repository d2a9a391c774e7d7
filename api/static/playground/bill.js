// What an answer cost and how long its stages took: two bars, and a table with a bar for each stage.

import { bar, dollars, milliseconds } from "../figures.js";
import { el } from "../widget/dom.js";

/**
 * The bill of an answer.
 * @param {{lines?: any[], total_usd?: string | null, baseline_usd?: string | null, saved_usd?: string | null}} cost
 */
export function bill({ lines = [], total_usd: total, baseline_usd: baseline, saved_usd: saved }) {
  const totalMs = lines.reduce((sum, line) => sum + line.ms, 0);
  const share = saved && Number(baseline) > 0 ? ` (${Math.floor((Number(saved) / Number(baseline)) * 100)}%)` : "";
  return el("table", { className: "bill" },
    el("caption", {}, "Bill"),
    el("thead", {}, el("tr", {}, ...["Stage", "Time", "Cost"].map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, ...stages(lines, totalMs)),
    el("tfoot", {},
      row(["Total", against(total, baseline)], milliseconds(totalMs), dollars(total)),
      row(["Baseline", el("span", { className: "meta" }, "top chunks, whole, to a premium model"), against(baseline, total)],
        "", dollars(baseline)),
      row([`Saved${share}`], "", dollars(saved))));
}

// Each stage begins where the one before it ended.
function stages(lines, totalMs) {
  let begun = 0;
  return lines.map((line) => {
    const start = begun / (totalMs || 1);
    begun += line.ms;
    const trace = bar(line.ms / (totalMs || 1), { start, className: "trace" });
    return row([line.stage, line.model ? el("span", { className: "meta" }, line.model) : "", trace],
      milliseconds(line.ms), dollars(line.usd));
  });
}

// One sum beside another: the longer bar is the dearer.
function against(usd, other) {
  const [own, most] = [Number(usd ?? NaN), Math.max(Number(usd ?? NaN), Number(other ?? NaN))];
  return Number.isFinite(most) && most > 0 ? bar(own / most, { className: "sum" }) : "";
}

function row(name, ms, usd) {
  return el("tr", {}, el("th", { scope: "row", colSpan: ms ? 1 : 2 }, ...name), ms ? el("td", {}, ms) : "", el("td", {}, usd));
}
