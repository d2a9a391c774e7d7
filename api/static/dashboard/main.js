// Fetches the numbers of the dashboard and shows them; looks again by itself while it is seen.

import { count, milliseconds, percent, roundDollars } from "../figures.js";
import { KeyForm } from "../key.js";
import { button, el } from "../widget/dom.js";
import { Service } from "../widget/service.js";
import { budgets, tables } from "./lists.js";
import { TimePlot } from "./plots.js";

const $ = (selector) => document.querySelector(selector);
const AGAIN_MS = 10_000;
const HOUR_S = 3_600;
const TIERS = ["cache", "extractive", "local", "premium"];

const service = new Service(document.baseURI);
const keyForm = new KeyForm(service, look);
const plots = Array.from({ length: 5 }, () => new TimePlot());
let last = ""; // what was shown last, so that the same is not drawn again
let running = null;

async function look() {
  running?.abort();
  const current = (running = new AbortController());
  try {
    const response = await service.request(`v1/dashboard?${query()}`, { signal: current.signal });
    const text = await response.text();
    if (running !== current) return;
    $("#problem").hidden = true;
    showLock();
    showState("ready", `As of ${new Date().toLocaleTimeString("en-GB", { timeZone: "UTC" })}`);
    if (text !== last) show(JSON.parse((last = text)));
  } catch (error) {
    if (error.name === "AbortError" || running !== current) return;
    if (showLock(error)) showState("waiting", "Waiting for a key");
    else showProblem(error);
  }
}

// Behind a form that asks for a key nothing is seen, not what another key has shown either.
function showLock(error) {
  const isLocked = keyForm.show(error);
  $("#choice").hidden = isLocked;
  $("#forget-key").hidden = !service.key;
  if (isLocked) {
    last = "";
    for (const id of ["#problem", "#empty", "#content"]) $(id).hidden = true;
  }
  return isLocked;
}

function query() {
  const asked = new URLSearchParams();
  const first = new Date(Date.now() - (Number($("#days").value) - 1) * 24 * HOUR_S * 1000);
  asked.set("since", first.toISOString().slice(0, 10));
  if ($("#collection").value) asked.set("collection", $("#collection").value);
  if ($("#reference").value) asked.set("reference", $("#reference").value);
  return asked;
}

function showState(state, text) {
  $("#service").dataset.state = state;
  $("#service").textContent = text;
}

function showProblem({ kind, message }) {
  const isLost = kind === "unreachable";
  showState("down", isLost ? "The service cannot be reached" : "The service could not tell");
  $("#problem").hidden = false;
  $("#problem").replaceChildren(el("strong", {}, isLost ? "The service cannot be reached" : "The numbers could not be fetched"),
    el("p", {}, isLost ? "Check that rag serve is running." : message), button("Try again", look));
}

function show(told) {
  showCollections(told.collections);
  const isEmpty = !told.total.answers;
  $("#empty").hidden = !isEmpty;
  $("#content").hidden = false;
  for (const node of [$("#sums"), ...plots.map((plot) => plot.node)]) node.hidden = isEmpty;
  $("#budgets").replaceChildren(...budgets(told.walls));
  $("#tables").replaceChildren(...tables(told));
  if (isEmpty) return;
  $("#sums").replaceChildren(...sums(told));
  const points = everyPoint(told);
  const times = points.map((point) => point.time);
  const name = (time) => new Date(time * 1000).toISOString().slice(0, told.step === "hour" ? 16 : 10).replace("T", " ");
  const shown = [costs, tiers, shares, confidence, latency].map((make) => make(points, told));
  plots.forEach((plot, place) => plot.update(times, shown[place], name));
}

function showCollections(names) {
  const known = [...$("#collection").options].slice(1).map((option) => option.value);
  $("#collection-field").hidden = names.length < 2;
  if (String(known) === String(names)) return;
  const chosen = $("#collection").value;
  $("#collection").replaceChildren(el("option", { value: "" }, "all"), ...names.map((name) => el("option", { value: name }, name)));
  $("#collection").value = names.includes(chosen) ? chosen : "";
}

// --- figures

function sums({ total, judged, wrong }) {
  const share = (part) => percent(part / total.answers);
  const ofBaseline = Number(total.baseline_usd) > 0 && total.saved_usd !== null
    ? `${Math.floor((Number(total.saved_usd) / Number(total.baseline_usd)) * 100)}% of ${roundDollars(total.baseline_usd)}` : "";
  return [
    sum("Spent", roundDollars(total.spent_usd), `${roundDollars((Number(total.spent_usd) / total.answers) * 1000)} per 1,000 answers`),
    sum("Saved", roundDollars(total.saved_usd), ofBaseline),
    sum("Answers", count(total.answers), `${share(total.statuses.abstained)} not answered`),
    sum("Given again", share(total.tiers.cache), `${count(total.tiers.cache)} answers`),
    sum("Premium", share(total.tiers.premium), `${count(total.tiers.premium)} answers`),
    sum("Confidence", percent(total.confidence), "on average"),
    sum("Latency", milliseconds(total.p50_ms), `95% within ${milliseconds(total.p95_ms)}`),
    sum("Said to be wrong", judged ? percent(wrong / judged) : "unknown", `${count(wrong)} of ${count(judged)} judged`),
  ];
}

function sum(name, value, note) {
  return el("div", { className: "panel" }, el("dt", {}, name), el("dd", { className: "value" }, value), el("dd", { className: "meta" }, note));
}

// --- plots

// The points with those between in which nothing happened, up to now.
function everyPoint({ since, until, step, points }) {
  const length = step === "hour" ? HOUR_S : 24 * HOUR_S;
  const begin = Date.parse(`${since}T00:00Z`) / 1000;
  const end = Math.min(Date.parse(`${until}T00:00Z`) / 1000 + 24 * HOUR_S, Date.now() / 1000);
  const chars = step === "hour" ? 13 : 10;
  const known = new Map(points.map((point) => [point.start, point]));
  const all = [];
  for (let time = begin; time < end; time += length) {
    all.push({ time, ...known.get(new Date(time * 1000).toISOString().slice(0, chars)) });
  }
  return all;
}

const number = (text) => (text === null || text === undefined ? null : Number(text));
const ofAnswers = (part, answers) => (answers ? part / answers : null);

function costs(points, { total }) {
  return {
    title: "Dollars", note: "Spent, and what the same questions would have cost as whole chunks sent to a premium model.",
    kind: "lines", show: roundDollars, shown: [roundDollars(total.spent_usd), roundDollars(total.baseline_usd)],
    series: [
      { name: "Spent", color: "--spent", isFilled: true, values: points.map((point) => number(point.spent_usd) ?? 0) },
      { name: "Baseline", color: "--quiet", isDashed: true, values: points.map((point) => number(point.baseline_usd) ?? 0) },
    ],
  };
}

function tiers(points, { total }) {
  return {
    title: "Answers by tier", note: "Who wrote them, the cheapest below.", kind: "stack", show: whole,
    shown: TIERS.map((tier) => percent(total.tiers[tier] / total.answers)),
    series: TIERS.map((tier) => ({ name: tier, color: `--tier-${tier}`, values: points.map((point) => point.tiers?.[tier] ?? 0) })),
  };
}

function shares(points, { total }) {
  const of = (part) => points.map((point) => (point.answers ? ofAnswers(part(point), point.answers) : null));
  return {
    title: "Given again and not answered", note: "Shares of all answers.", kind: "lines", show: percent, range: [0, 1],
    shown: [percent(total.tiers.cache / total.answers), percent(total.statuses.abstained / total.answers)],
    series: [
      { name: "Given again", color: "--tier-cache", values: of((point) => point.tiers.cache) },
      { name: "Not answered", color: "--tier-premium", values: of((point) => point.statuses.abstained) },
    ],
  };
}

function confidence(points, { total }) {
  return {
    title: "Confidence", note: "The mean of all answers.", kind: "lines", show: percent, range: [0, 1], shown: [percent(total.confidence)],
    series: [{ name: "Mean", color: "--accent", values: points.map((point) => point.confidence ?? null) }],
  };
}

function latency(points, { total }) {
  return {
    title: "Latency", note: "Half of the answers, and 95 of 100, took less. Each line is ten times the one below.",
    kind: "lines", show: milliseconds, mark: (ms) => (ms < 1000 ? `${ms} ms` : `${ms / 1000} s`), isLog: true, shown: [milliseconds(total.p50_ms), milliseconds(total.p95_ms)],
    series: [
      { name: "Half", color: "--accent", values: points.map((point) => point.p50_ms || null) },
      { name: "95 of 100", color: "--tier-local", values: points.map((point) => point.p95_ms || null) },
    ],
  };
}

const whole = (value) => (Number.isInteger(value) ? count(value) : "");

// --- hands

$("#choice").addEventListener("submit", (event) => event.preventDefault());
$("#choice").addEventListener("change", look);
$("#choice").before(keyForm.node);
$("#forget-key").addEventListener("click", () => {
  keyForm.forget();
  location.reload();
});
const lookAgain = () => document.hidden || !keyForm.node.hidden || look();
document.addEventListener("visibilitychange", lookAgain);
setInterval(lookAgain, AGAIN_MS);
$("#plots").prepend(...plots.map((plot) => plot.node));
look();
