// Plots over time, drawn by uPlot on a canvas; each has a legend in words and a table of its numbers.

import { el } from "../widget/dom.js";

const HEIGHT = 190;
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const isDark = matchMedia("(prefers-color-scheme: dark)");

/**
 * @typedef {{name: string, color: string, values: (number | null)[], isDashed?: boolean, isFilled?: boolean}} Series
 *   `color` is the name of a CSS variable
 * @typedef {{title: string, note?: string, show: (value: number) => string, series: Series[],
 *   kind: "stack" | "lines", range?: [number, number], isLog?: boolean, shown?: string[],
 *   mark?: (value: number) => string}} Plot
 *   `shown`: what the legend says of each series while nothing is pointed at; `mark`: a value at the
 *   axis, where that is written otherwise
 */

/** A plot on the page that can be given new numbers. */
export class TimePlot {
  constructor() {
    this.legend = el("ul", { className: "legend" });
    this.area = el("div", { className: "area", role: "img" });
    this.caption = el("figcaption");
    this.table = el("div", { className: "scroll", tabIndex: 0, role: "region" });
    const numbers = el("details", {}, el("summary", {}, "Numbers"), this.table);
    this.node = el("figure", { className: "panel" }, this.caption, this.legend, this.area, numbers);
    numbers.addEventListener("toggle", () => this.#fillTable());
    this.numbers = numbers;
    isDark.addEventListener("change", () => this.#draw());
    new ResizeObserver(() => this.#fit()).observe(this.area);
  }

  /**
   * @param {number[]} times of the points, in seconds
   * @param {Plot} plot
   * @param {(time: number) => string} name what a point is called
   */
  update(times, plot, name) {
    Object.assign(this, { times, plot, name });
    this.caption.replaceChildren(el("h2", {}, plot.title), plot.note ? el("p", { className: "meta" }, plot.note) : "");
    this.area.ariaLabel = `${plot.title}: a plot. Its numbers are in the table below it.`;
    this.table.ariaLabel = `Numbers of ${plot.title}`;
    this.#draw();
    this.#fillTable();
  }

  #draw() {
    if (!this.plot) return;
    this.chart?.destroy();
    const { series, kind } = this.plot;
    this.order = kind === "stack" ? [...series.keys()].reverse() : [...series.keys()]; // the highest is drawn first
    const drawn = kind === "stack" ? stacked(series) : series.map((one) => one.values);
    this.chart = new globalThis.uPlot(this.#options(), [this.times, ...this.order.map((place) => drawn[place])], this.area);
    this.#showLegend(null);
  }

  #options() {
    const { plot } = this;
    const axis = { stroke: style("--quiet"), font: "12px system-ui, sans-serif", ticks: { show: false } };
    const grid = { stroke: style("--line"), width: 1 };
    const only = plot.isLog ? { filter: tens } : {};
    return {
      width: Math.max(this.area.clientWidth, 120),
      height: HEIGHT,
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { show: plot.kind === "lines" } },
      tzDate: (time) => globalThis.uPlot.tzDate(new Date(time * 1000), "Etc/UTC"),
      scales: {
        x: { time: true, range: (_, low, high) => spread(low, high, this.times) },
        y: plot.isLog ? { distr: 3 } : { range: (_, __, high) => plot.range ?? [0, (high || 1) * 1.08] },
      },
      axes: [
        { ...axis, grid: { show: false }, size: 30, values: (_, splits) => splits.map((time) => shortTime(time, this.times)) },
        { ...axis, ...only, grid: { ...grid, ...only }, size: 58,
          values: (_, splits) => splits.map((value) => (value === null ? "" : (plot.mark ?? plot.show)(value))) },
      ],
      series: [{}, ...this.order.map((place) => seriesOptions(plot.series[place], plot.kind))],
      hooks: { setCursor: [(chart) => this.#showLegend(chart.cursor.idx)] },
    };
  }

  #showLegend(index) {
    const { series, show, shown } = this.plot;
    const isPointed = index !== null && index !== undefined;
    this.legend.replaceChildren(
      ...series.map((one, place) => {
        const value = one.values[index];
        const text = isPointed ? (value === null || value === undefined ? "none" : show(value)) : shown?.[place] ?? "";
        return el("li", {}, swatch(one), `${one.name} `, el("strong", {}, text));
      }),
      isPointed ? el("li", { className: "meta" }, this.name(this.times[index])) : "");
  }

  #fillTable() {
    if (!this.numbers.open || !this.plot) return;
    const { series, show } = this.plot;
    const cell = (value) => el("td", {}, value === null || value === undefined ? "none" : show(value));
    const rows = this.times.map((time, index) => el("tr", {}, el("th", { scope: "row" }, this.name(time)),
      ...series.map((one) => cell(one.values[index]))));
    this.table.replaceChildren(el("table", {},
      el("thead", {}, el("tr", {}, ...["Time", ...series.map((one) => one.name)].map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, ...rows.reverse())));
  }

  #fit() {
    const width = this.area.clientWidth;
    if (this.chart && width && width !== this.chart.width) this.chart.setSize({ width, height: HEIGHT });
  }
}

function seriesOptions({ color, isDashed, isFilled }, kind) {
  const ink = style(color);
  if (kind === "stack") {
    return { stroke: ink, fill: ink, width: 0, points: { show: false }, paths: globalThis.uPlot.paths.bars({ size: [0.72, 36] }) };
  }
  return {
    stroke: ink, width: 2, dash: isDashed ? [6, 4] : undefined, fill: isFilled ? `${ink}2b` : undefined,
    points: { show: (chart, index) => alone(chart.data[index]), size: 5, fill: ink }, spanGaps: false,
  };
}

// Of the lines of a logarithmic grid those at powers of ten.
const tens = (_, splits) => splits.map((value) => (Number.isInteger(Math.round(Math.log10(value) * 1e6) / 1e6) ? value : null));

// A line through few points says little without them.
const alone = (values) => values.filter((value) => value !== null).length < 4;

// Each series on top of those before it.
function stacked(series) {
  const heights = series[0].values.map(() => 0);
  return series.map((one) => one.values.map((value, index) => (heights[index] += value ?? 0)));
}

// Half a step around the first and the last point, for the bars.
function spread(low, high, times) {
  const step = times.length > 1 ? times[1] - times[0] : 86_400;
  return [low - step / 2, high + step / 2];
}

function shortTime(time, times) {
  const isWithinDays = times.length > 1 && times[1] - times[0] < 86_400;
  const at = new Date(time * 1000);
  const day = { day: "numeric", month: "short", timeZone: "UTC" };
  if (!isWithinDays || at.getUTCHours() === 0) return at.toLocaleDateString("en-GB", day);
  return `${at.getUTCHours()}:00`;
}

function swatch({ color, isDashed }) {
  const node = el("span", { className: isDashed ? "swatch dashed" : "swatch", ariaHidden: "true" });
  node.style.setProperty("--swatch", `var(${color})`);
  return node;
}
