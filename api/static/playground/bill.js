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
  return el("div", {}, el("table", { className: "bill" },
    el("caption", {}, "Bill"),
    el("thead", {}, el("tr", {}, ...["Stage", "Time", "Cost"].map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, ...stages(lines, totalMs)),
    el("tfoot", {},
      row(["Total"], milliseconds(totalMs), dollars(total)),
      row(["Baseline", el("span", { className: "meta" }, "top chunks, whole, to a premium model")], "", dollars(baseline)),
      row([`Saved${share}`], "", dollars(saved)))), against(total, baseline));
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

// Both sums as bars, for the eye alone: the longer one is the dearer.
function against(total, baseline) {
  const sums = [Number(total ?? NaN), Number(baseline ?? NaN)];
  const most = Math.max(...sums);
  if (!(most > 0)) return "";
  return el("div", { className: "against", ariaHidden: "true" },
    el("span", {}, "Total"), bar(sums[0] / most), el("span", {}, "Baseline"), bar(sums[1] / most, { className: "was" }));
}

function row(name, ms, usd) {
  return el("tr", {}, el("th", { scope: "row", colSpan: ms ? 1 : 2 }, ...name), ms ? el("td", {}, ms) : "", el("td", {}, usd));
}
