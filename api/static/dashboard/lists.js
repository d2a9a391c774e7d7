// The lists and tables of the dashboard: budgets, answers worth a look, drift, jobs.

import { bar, count, dollars, milliseconds, percent, roundDollars } from "../figures.js";
import { el, plain } from "../widget/dom.js";

const LEVELS = { stable: "Stable", moved: "Moved", drifted: "Drifted" };
const NUMBERS = { confidence: "Confidence", top_score: "Best score", top_cosine: "Highest cosine" };
const SCOPES = { service: "The service", tenant: "Tenant", key: "Key" };

/** How full the budgets are. */
export function budgets(walls) {
  return [el("h2", {}, "Budgets"), walls.length ? el("ul", { className: "rows" }, ...walls.map(wall))
    : nothing("No budget is set: spending is not limited.")];
}

/** The other tables of what `GET /v1/dashboard` tells. */
export function tables(told) {
  return [
    answers("Questions that the documents do not answer", told.unanswered, told.keeps_questions,
      "Every question was answered.", (line) => [line.times > 1 ? `${count(line.times)} times` : "once", `last ${moment(line.at)}`]),
    answers("Said to be wrong", told.worst_rated, told.keeps_questions,
      told.judged ? "Nobody said that an answer was wrong." : "Nobody has judged an answer yet.",
      (line) => [`${percent(line.confidence)} sure`, line.tier, moment(line.at)]),
    answers("The dearest answers", told.dearest, told.keeps_questions, "No answer has cost anything.",
      (line) => [dollars(line.spent_usd), line.tier, milliseconds(line.ms), moment(line.at)]),
    drift(told.drift),
    panel("Ingestion jobs", "", told.jobs.length ? jobs(told.jobs) : nothing("No job was run yet.")),
  ];
}

function panel(title, note, ...content) {
  return el("section", { className: "panel" }, el("h2", {}, title), note ? el("p", { className: "meta" }, note) : "", ...content);
}

const nothing = (text) => el("p", { className: "meta" }, text);

function wall({ scope, name, period, limit_usd: limit, spent_usd: spent, reserved_usd: reserved }) {
  const taken = (Number(spent) + Number(reserved)) / Number(limit);
  const share = Number(limit) > 0 ? taken : 1;
  const who = [SCOPES[scope], name, period].filter(Boolean).join(" ");
  const kept = Number(reserved) > 0 ? `, ${roundDollars(reserved)} reserved` : "";
  return el("li", {},
    el("p", {}, el("strong", {}, who), ` ${roundDollars(spent)} of ${roundDollars(limit)}${kept}`,
      share >= 1 ? " · spent" : ""),
    bar(share, { className: share >= 0.9 ? "full" : "" }));
}

function answers(title, lines, keepsQuestions, none, tell) {
  const hint = lines.length && !keepsQuestions
    ? "The words of questions are not kept. RAG_DASHBOARD__KEEP_QUESTIONS=true keeps them from then on." : "";
  const item = (line) => el("li", {},
    line.question ? el("p", { className: "question", dir: "auto" }, plain(line.question)) : el("p", {}, el("code", {}, line.id)),
    el("p", { className: "meta" }, tell(line).join(" · ")));
  return panel(title, hint, lines.length ? el("ol", { className: "rows" }, ...lines.map(item)) : nothing(none));
}

function drift({ reference, latest, numbers, topics, topic_level: topicLevel }) {
  const weeks = `The last seven days (${count(latest.answers)} answers) against the week from ${reference.since} (${count(reference.answers)}).`;
  const shown = (value) => (value === null ? "unknown" : value.toFixed(2));
  const row = (name, was, now, found) => el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, was), el("td", {}, now),
    el("td", {}, level(found)));
  const table = el("table", {},
    el("thead", {}, el("tr", {}, ...["Median", "Then", "Now", "Drift"].map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, ...numbers.map((one) => row(NUMBERS[one.name] ?? one.name, shown(one.was), shown(one.now), one.level))));
  const topic = ({ title, document_id: id, was, now }) => el("li", {},
    el("p", {}, title ? plain(title) : el("span", {}, el("code", {}, id), " (gone)"), ` ${percent(was)} → ${percent(now)}`),
    bar(was, { className: "was" }), bar(now));
  return panel("Drift", weeks, el("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: "Drift of numbers" }, table),
    el("h3", {}, "Topics ", level(topicLevel)),
    topics.length ? el("ul", { className: "rows" }, ...topics.map(topic)) : nothing("No answer of both weeks cites a document."));
}

function level(name) {
  return name ? el("span", { className: `chip ${name}` }, LEVELS[name]) : el("span", { className: "meta" }, "too few answers");
}

function jobs(lines) {
  const row = ({ state, collection, created_at: at, progress, reason }) => el("tr", {},
    el("th", { scope: "row" }, moment(at)), el("td", {}, collection),
    el("td", {}, el("span", { className: `chip ${state}` }, state), reason ? el("span", { className: "meta" }, ` ${plain(reason)}`) : ""),
    el("td", {}, progress ? `${count(progress.files_done)} of ${count(progress.files_total)}` : ""));
  return el("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: "Ingestion jobs" }, el("table", {},
    el("thead", {}, el("tr", {}, ...["Begun", "Collection", "State", "Files"].map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, ...lines.map(row))));
}

/** A time of the service as a person reads it, in UTC. */
function moment(text) {
  const at = new Date(text);
  return at.toLocaleString("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZone: "UTC" });
}
