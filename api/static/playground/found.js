// What the service finds for a question: the hits with their scores, and the context for a model.

import { bar, count } from "../figures.js";
import { button, el } from "../widget/dom.js";

/**
 * The hits and the context of a question, looked up when the reader opens them.
 * @param {import("../widget/service.js").Service} service
 * @param {{question: string, collection?: string, max_context_tokens?: number}} asked
 * @param {{onOpen: (hit: any) => void, explain: (error: any) => {title: string, text: string}}} page
 */
export function found(service, asked, { onOpen, explain }) {
  const body = el("div", {}, el("p", { className: "meta", role: "status" }, "Looking…"));
  const node = el("details", { className: "found" }, el("summary", {}, "Hits and context"), body);
  node.addEventListener("toggle", async () => {
    try {
      body.replaceChildren(...(await look(service, asked, onOpen)));
    } catch (error) {
      body.replaceChildren(el("p", { className: "notice bad" }, explain(error).text));
    }
  }, { once: true });
  return node;
}

async function look(service, { question, collection, max_context_tokens: limit }, onOpen) {
  const where = collection ? { collection } : {};
  const [search, context] = await Promise.all([
    service.post("v1/search", { question, ...where }),
    service.post("v1/context", { question, ...where, ...(limit && { max_context_tokens: limit }) }),
  ]).then((responses) => Promise.all(responses.map((response) => response.json())));
  const used = new Set(context.pieces.map((piece) => piece.document_id));
  const isUsed = (hit) => used.has(hit.document_id)
    && context.pieces.some((piece) => piece.document_id === hit.document_id && piece.start < hit.end && hit.start < piece.end);
  return [
    el("p", { className: "meta" }, "What is found for this question now. An answer that is reused was made from what was found then."),
    el("h3", {}, `Hits (${search.hits.length})`),
    search.hits.length
      ? el("ol", { className: "hits" }, ...search.hits.map((hit, index) => hitNode(hit, index + 1, isUsed(hit), onOpen)))
      : el("p", { className: "meta" }, "Nothing was found."),
    el("h3", {}, `Context: ${count(context.tokens)} tokens`),
    context.context
      ? el("pre", { className: "context", tabIndex: 0, ariaLabel: "Context", role: "region" }, context.context)
      : el("p", { className: "meta" }, "Nothing would be sent to a model."),
  ];
}

function hitNode(hit, rank, isUsed, onOpen) {
  return el("li", {},
    el("span", { className: "number", ariaHidden: "true" }, String(rank)),
    el("div", { className: "hit-head" },
      button(hit.title || hit.document_id, () => onOpen(hit), { className: "plain", ariaHasPopup: "dialog" }),
      el("span", { className: "score" }, bar(hit.score), hit.score.toFixed(3))),
    el("p", { className: "meta" }, `characters ${count(hit.start)} to ${count(hit.end)}`, isUsed ? " · in the context" : ""),
    el("p", { className: "excerpt" }, hit.text));
}
