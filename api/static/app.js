// Asks the service, shows the answer, its citations and its bill.
// Documents are hostile: every text enters the page as text, never as markup.

import { KeyForm } from "./key.js";
import { button, el, link } from "./widget/dom.js";
import { quotePlace } from "./widget/quotes.js";
import { Service } from "./widget/service.js";

const $ = (selector) => document.querySelector(selector);

const TIERS = {
  cache: "An earlier answer, checked and reused",
  extractive: "Quoted from the documents; no model was paid",
  local: "Written by your own model",
  premium: "Written by the premium model",
};
// Asked of the project's own handbook; other documents are asked about by their titles.
const HANDBOOK = /thrifty rag|\banswers?\b.*\bcosts?\b|\bcosts?\b.*\banswers?\b/i;
const EXAMPLES = ["What does an answer cost?", "What happens when the documents do not answer?", "Which file formats can be read?"];
const MOST_LISTED = 200;
const FILTER_FROM = 12;

let documents = [];
let running = null; // {question, controller} of the question under way
let lastOpened = 0; // counts the readings, so that a slow one does not overwrite a later one

const service = new Service(document.baseURI);
const keyForm = new KeyForm(service, look);
const PROBLEMS = {
  unreachable: ["The service cannot be reached", "Check that rag serve is running."],
  "broken off": ["The answer broke off"],
};

// The title and the text of an error, whoever raised it.
function explain({ kind, message }) {
  const [title, text] = PROBLEMS[kind] ?? [kind ? "The service could not answer" : "The answer broke off"];
  return { title, text: text ?? message };
}

// --- asking

async function ask() {
  const question = $("#question").value.trim();
  $("#question-note").textContent = question ? "" : "Write a question first.";
  if (!question) return $("#question").focus();
  if (running?.question === question) return;
  running?.controller.abort();
  const current = (running = { question, controller: new AbortController() });
  const body = { question };
  if ($("#collection").value) body.collection = $("#collection").value;
  if ($("#max-context-tokens").value) body.max_context_tokens = Number($("#max-context-tokens").value);
  showLoading(question);
  let text = "";
  try {
    const show = () => running === current && showText(text, []);
    const answer = await service.answer(body, {
      signal: current.controller.signal,
      onText: (more) => show((text += more)),
      onRestart: () => show((text = "")),
    });
    if (running === current) showAnswer(answer, body.collection);
  } catch (error) {
    if (running === current) showProblem(error);
    if (error.status === 401) look(); // the key was revoked
  } finally {
    if (running === current) {
      running = null;
      setBusy(false);
    }
  }
}

function setBusy(busy) {
  $("#progress").hidden = !busy;
  $("#answer").ariaBusy = String(busy);
}

function showLoading(question) {
  $("#result").hidden = false;
  $("#asked").textContent = question;
  for (const id of ["#examples", "#problem", "#notice", "#citations", "#facts"]) $(id).hidden = true;
  $("#answer").replaceChildren();
  setBusy(true);
  $("#result").scrollIntoView({ block: "nearest" });
}

function showProblem(error) {
  const stopped = { title: "Stopped", text: "You stopped this question." };
  const { title, text } = error.name === "AbortError" ? stopped : explain(error);
  $("#problem").hidden = false;
  $("#problem").replaceChildren(el("strong", {}, title), el("p", {}, text),
    error.kind === "refused" ? "" : button("Try again", ask));
}

// --- the answer

function showAnswer(answer, collection) {
  const citations = answer.citations ?? [];
  const abstained = answer.status === "abstained";
  const notice = {
    abstained: ["The documents do not answer this.", "Try other words, or add a document that knows."],
    degraded: ["This answer is plainer than usual.", answer.degraded_because ?? ""],
  }[answer.status];
  $("#notice").hidden = !notice;
  if (notice) $("#notice").replaceChildren(el("strong", {}, notice[0]), notice[1]);
  const repeats = abstained && /^the documents do not answer this/i.test(answer.answer);
  showText(repeats ? "" : answer.answer ?? "", citations);
  $("#citations").hidden = !citations.length;
  $("#citations-title").textContent = abstained ? "What comes closest" : "Citations";
  $("#citations ol").replaceChildren(...citations.map((citation) => citationCard(citation, collection)));
  $("#facts").hidden = false;
  $("#facts").replaceChildren(facts(answer), bill(answer.cost ?? {}));
}

function showText(text, citations) {
  const blocks = text.split(/\n\s*\n/).filter((block) => block.trim());
  $("#answer").replaceChildren(...blocks.map((block) => prose("p", block, ...withMarkers(block, citations))));
}

// Hard-wrapped prose flows; lists, tables and code keep their lines.
function prose(tag, text, ...children) {
  const isLaidOut = /\n(\s{2,}|\t|\s*([-*+|>#]|\d+[.)]\s|```))|^\s*([-*+|>#]\s|```).*\n/.test(text);
  const isCode = /```|\n( {4}|\t)|^\s*\|.*\n/.test(text);
  return el(tag, { className: isCode ? "verbatim code" : isLaidOut ? "verbatim" : "" }, ...children);
}

function withMarkers(text, citations) {
  const known = new Set(citations.map((citation) => String(citation.marker)));
  return text.split(/(\[\d+(?:\s*,\s*\d+)*\])/).flatMap((part, index) => {
    if (index % 2 === 0) return [part];
    const numbers = part.slice(1, -1).split(",").map((number) => number.trim());
    return numbers.every((number) => known.has(number)) ? numbers.map(markerLink) : [part];
  });
}

function markerLink(number) {
  return el("a", {
    className: "marker", href: `#citation-${number}`, ariaLabel: `Citation ${number}`,
    onclick: (event) => {
      event.preventDefault();
      $(`#citation-${number}`).focus();
    },
  }, `[${number}]`);
}

function citationCard(citation, collection) {
  const open = () => openReader(citation.document_id, citation.collection ?? collection, citation);
  return el("li", {
    className: "cited", id: `citation-${citation.marker}`, tabIndex: -1,
    onclick: (event) => {
      if (!event.target.closest("a, button") && !String(getSelection())) open();
    },
  },
  el("span", { className: "number", ariaHidden: "true" }, String(citation.marker)),
  button(citation.title || citation.document_id, open, { className: "plain", ariaHasPopup: "dialog" }),
  el("p", { className: "meta" }, sourceNode(citation.source), pageText(citation.page)),
  prose("blockquote", citation.quote, citation.quote));
}

const pageText = (page) => (page ? ` · page ${page}` : "");

const sourceNode = (source) => (/^https?:/i.test(source ?? "") ? link(source, source) : source ?? "");

function facts({ status, confidence, tier, usage }) {
  const fact = (name, ...values) => el("div", {}, el("dt", {}, name), el("dd", {}, ...values));
  const known = typeof confidence === "number";
  const percent = known ? `${Math.min(Math.round(confidence * 100), confidence < 1 ? 99 : 100)}%` : "unknown";
  const meter = el("meter", { min: 0, max: 1, value: confidence ?? 0, ariaLabel: "Confidence" }, percent);
  return el("dl", {},
    fact("Confidence", el("span", { className: "gauge" }, known ? meter : "", percent)),
    fact("Tier", el("strong", {}, tier ?? "none"), el("span", { className: "meta" }, status === "abstained" ? "" : TIERS[tier] ?? "")),
    fact("Context", `${(usage?.context_tokens ?? 0).toLocaleString("en")} tokens`));
}

function bill({ lines = [], total_usd: total, baseline_usd: baseline, saved_usd: saved }) {
  const row = (name, ms, usd) => el("tr", {}, el("th", { scope: "row", colSpan: ms ? 1 : 2 }, ...name),
    ms ? el("td", {}, ms) : "", el("td", {}, usd));
  const totalMs = lines.reduce((sum, line) => sum + line.ms, 0);
  const share = saved && Number(baseline) > 0 ? ` (${Math.floor((Number(saved) / Number(baseline)) * 100)}%)` : "";
  return el("table", { className: "bill" },
    el("caption", {}, "Bill"),
    el("thead", {}, el("tr", {}, ...["Stage", "Time", "Cost"].map((name) => el("th", { scope: "col" }, name)))),
    el("tbody", {}, ...lines.map((line) => row(
      [line.stage, line.model ? el("span", { className: "meta" }, line.model) : ""], milliseconds(line.ms), dollars(line.usd)))),
    el("tfoot", {},
      row(["Total"], milliseconds(totalMs), dollars(total)),
      row(["Baseline", el("span", { className: "meta" }, "top chunks, whole, to a premium model")], "", dollars(baseline)),
      row([`Saved${share}`], "", dollars(saved))));
}

const milliseconds = (ms) => (ms < 1000 ? `${ms.toFixed(ms < 10 ? 1 : 0)} ms` : `${(ms / 1000).toFixed(1)} s`);

// Dollars arrive as decimal strings; null is unknown and never shown as nothing.
function dollars(usd) {
  if (!Number.isFinite(parseFloat(usd))) return "unknown";
  const value = Math.abs(Number(usd));
  const text = value === 0 ? "0" : value < 5e-7 ? value.toPrecision(2) : value.toFixed(value < 1 ? 6 : 2);
  return `${Number(usd) < 0 ? "−" : ""}$${text}`;
}

// --- one document

async function openReader(documentId, collection, citation = null) {
  const opened = (lastOpened += 1);
  $("#reader-title").textContent = citation?.title ?? documentId;
  $("#reader-meta").textContent = "Fetching the document…";
  $("#reader-text").textContent = "";
  showReaderNote("");
  $("#reader").showModal();
  try {
    const found = await service.document(documentId, collection);
    if (opened === lastOpened) showDocument(found, citation);
  } catch (error) {
    if (opened === lastOpened) showReaderNote(explain(error).text);
  }
}

function showDocument({ title, text, sources = [] }, citation) {
  $("#reader-title").textContent = title;
  $("#reader-meta").replaceChildren(
    ...sources.flatMap((source, index) => [index ? ", " : "", sourceNode(source)]), pageText(citation?.page));
  const body = $("#reader-text");
  const [start, end] = citation ? quotePlace(text, citation) : [0, 0];
  if (start === end) {
    if (citation) showReaderNote("The document has changed since this answer: the quote is no longer in it.");
    body.textContent = text;
    body.scrollTop = 0;
    return body.focus();
  }
  const mark = el("mark", { tabIndex: -1 }, text.slice(start, end));
  body.replaceChildren(text.slice(0, start), mark, text.slice(end));
  mark.focus({ preventScroll: true });
  mark.scrollIntoView({ block: mark.offsetHeight > body.clientHeight ? "start" : "center", behavior: "instant" });
}

function showReaderNote(message) {
  $("#reader-note").hidden = !message;
  $("#reader-note").textContent = message;
}

// --- what is indexed

async function look() {
  const [ready, listing] = await Promise.allSettled([
    service.request("ready"),
    service.request("v1/documents").then((response) => response.json()),
  ]);
  const failed = [ready, listing].find((outcome) => outcome.status === "rejected");
  const wasLocked = !keyForm.node.hidden;
  const isLocked = keyForm.show(listing.reason);
  $("#ask").hidden = isLocked;
  $("#forget-key").hidden = !service.key;
  documents = listing.status === "fulfilled" ? listing.value.documents ?? listing.value : [];
  if (!Array.isArray(documents)) documents = [];
  if (isLocked) showState("waiting", "Waiting for a key");
  else showService(failed?.reason, documents.length);
  if (wasLocked && !isLocked) $("#question").focus();
  $("#empty").hidden = listing.status === "rejected" || documents.length > 0;
  $("#documents").hidden = !documents.length;
  $("#documents .count").textContent = `(${documents.length.toLocaleString("en")})`;
  $("#filter-field").hidden = documents.length < FILTER_FROM;
  showExamples();
  showCollections();
  listDocuments();
}

function showService(error, count) {
  if (error) showState("down", `${explain(error).title}: ${explain(error).text}`);
  else showState("ready", `Ready · ${count.toLocaleString("en")} ${count === 1 ? "document" : "documents"}`);
}

function showState(state, text) {
  $("#service").dataset.state = state;
  $("#service").textContent = text;
}

function showExamples() {
  const titles = documents.map((item) => item.title ?? "").filter((title) => /^(?=.* ).{1,40}$/.test(title));
  const chosen = documents.some((item) => HANDBOOK.test(item.title)) ? EXAMPLES
    : titles.slice(0, EXAMPLES.length).map((title) => `What do the documents say about ${title}?`);
  $("#examples").hidden = !chosen.length;
  $("#examples ul").replaceChildren(...chosen.map((question) => el("li", {}, button(question, () => {
    $("#question").value = question;
    ask();
  }))));
}

function showCollections() {
  const names = [...new Set(documents.map((item) => item.collection).filter(Boolean))].sort();
  $("#collection").replaceChildren(...names.map((name) => el("option", { value: name }, name)));
  if (names.includes("default")) $("#collection").value = "default";
  $("#collection-field").hidden = names.length < 2;
  if (names.length > 1) $(".options").open = true;
}

function listDocuments() {
  const wanted = $("#filter").value.trim().toLowerCase();
  const fitting = documents.filter((item) => `${item.title}\n${item.sources}`.toLowerCase().includes(wanted));
  $("#documents ul").replaceChildren(...fitting.slice(0, MOST_LISTED).map((item) => el("li", {},
    button(item.title || item.document_id, () => openReader(item.document_id, item.collection), { className: "plain", ariaHasPopup: "dialog" }),
    el("p", { className: "meta" }, sourceNode(item.sources?.[0]),
      item.sources?.length > 1 ? ` and ${item.sources.length - 1} more` : "", ` · chunks: ${item.chunks ?? "unknown"}`))));
  $("#documents [role=status]").textContent = !fitting.length ? "No document fits."
    : fitting.length > MOST_LISTED ? `The first ${MOST_LISTED} of ${fitting.length}: filter to find the rest.` : "";
}

// --- hands

$("#ask").before(keyForm.node);
$("#forget-key").addEventListener("click", () => {
  keyForm.forget();
  location.reload();
});
$("#ask").addEventListener("submit", (event) => {
  event.preventDefault();
  ask();
});
$("#question").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  ask();
});
$("#question").addEventListener("input", () => ($("#question-note").textContent = ""));
$("#stop").addEventListener("click", () => {
  running?.controller.abort();
  $("#question").focus();
});
$("#filter").addEventListener("input", listDocuments);
$("#look-again").addEventListener("click", look);
$("#close").addEventListener("click", () => $("#reader").close());
$("#reader").addEventListener("click", (event) => {
  if (event.target === event.currentTarget) event.currentTarget.close(); // the backdrop
});

look();
