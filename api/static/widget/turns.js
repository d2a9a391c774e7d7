// One question with its answer, as the visitor sees it.

import { button, el, icon, plain } from "./dom.js";
import { wayOn } from "./handoff.js";
import { markdown } from "./markdown.js";

const UNSURE_BELOW = 0.5; // an answer that is more likely wrong than right says so

/**
 * What a turn asks of the chat around it.
 * @typedef {object} Deeds
 * @property {Record<string, string>} words
 * @property {string} handoff where to go with what is not answered; "": where the service says
 * @property {(citation: any, opener: HTMLElement) => void} open
 * @property {(turn: import("./memory.js").Turn, verdict: "right" | "wrong") => Promise<boolean>} rate
 * @property {(turn: import("./memory.js").Turn, contact: string) => Promise<boolean>} handOff
 * @property {(view: TurnView) => void} retry
 */

/** A turn and its nodes. */
export class TurnView {
  /**
   * @param {import("./memory.js").Turn} turn
   * @param {Deeds} deeds
   */
  constructor(turn, deeds) {
    this.turn = turn;
    this.deeds = deeds;
    this.body = el("div", { className: "answer" });
    this.node = el("article", { className: "turn" },
      el("h3", { className: "asked" }, hidden(`${deeds.words.asked}: `), el("span", { dir: "auto" }, plain(turn.question))),
      this.body);
  }

  /** Nothing is there yet. */
  showWaiting() {
    this.body.replaceChildren(el("p", { className: "waiting quiet" }, this.deeds.words.searching));
  }

  /** @param {string} text what has been written so far */
  showText(text) {
    if (text.trim()) this.body.replaceChildren(...markdown(text, () => null));
    else this.showWaiting();
  }

  /** The answer, whole. Returns what a screen reader shall say. */
  showAnswer() {
    const { words } = this.deeds;
    const { status, answer, confidence, citations = [] } = this.turn.answer;
    const isMissing = status === "abstained";
    const markers = new Map(citations.map((citation) => [citation.marker, citation]));
    const texts = isMissing ? [el("p", {}, words.missing)]
      : markdown(answer ?? "", (number) => markers.has(number) && this.#marker(markers.get(number)));
    if (!isMissing && confidence < UNSURE_BELOW) texts.push(el("p", { className: "note" }, words.unsure));
    const spoken = texts.map((node) => node.textContent).join("\n");
    this.body.replaceChildren(...texts,
      isMissing ? wayOn(this.turn, this.deeds) : "",
      citations.length ? this.#sources(isMissing ? words.closest : words.sources, citations) : "",
      isMissing ? "" : this.#rating());
    return spoken;
  }

  /**
   * Why there is no answer, with another try where that may help. Returns what to say.
   * @param {"unreachable" | "busy" | "refused" | "broken" | "stopped"} kind
   */
  showProblem(kind) {
    const { words, retry } = this.deeds;
    const mayRetry = kind !== "refused";
    this.body.replaceChildren(
      el("p", { className: kind === "stopped" ? "quiet" : "note" }, words[kind]),
      el("p", { className: "deeds" },
        mayRetry ? button(words.retry, () => retry(this), { className: "deed" }) : "",
        kind === "stopped" ? "" : wayOn(this.turn, this.deeds)));
    return words[kind];
  }

  #marker(citation) {
    const name = this.deeds.words.source.replace("{n}", citation.marker);
    return button(String(citation.marker), (event) => this.deeds.open(citation, event.currentTarget), {
      className: "marker", ariaLabel: name, ariaHasPopup: "dialog", title: plain(citation.title),
    });
  }

  #sources(title, citations) {
    const { words, open } = this.deeds;
    return el("div", { className: "sources" },
      el("h4", { className: "quiet" }, title),
      el("ul", {}, ...citations.map((citation) => el("li", {},
        el("button", { type: "button", className: "source", ariaHasPopup: "dialog", onclick: (event) => open(citation, event.currentTarget) },
          el("span", { className: "number" }, String(citation.marker)),
          el("span", { dir: "auto" }, plain(citation.title || citation.document_id)),
          citation.page ? el("span", { className: "quiet" }, words.page.replace("{n}", Number(citation.page))) : "")))));
  }

  #rating() {
    const { words, rate } = this.deeds;
    const choices = [["right", words.yes], ["wrong", words.no]].map(([verdict, name]) => {
      const pressed = () => String(this.turn.verdict === verdict);
      const choice = button(icon("thumb"), async () => {
        const isTold = await rate(this.turn, verdict);
        for (const [one, refresh] of choices) one.ariaPressed = refresh();
        said.textContent = isTold ? words.thanks : words.unreachable;
      }, { className: `round ${verdict}`, ariaLabel: name, title: name, ariaPressed: pressed() });
      return [choice, pressed];
    });
    const said = el("span", { className: "quiet", role: "status" });
    return el("div", { className: "rating", role: "group", ariaLabel: words.helpful },
      el("span", { className: "quiet" }, words.helpful), ...choices.map(([choice]) => choice), said);
  }
}

/** @param {string} text for screen readers alone */
export const hidden = (text) => el("span", { className: "hidden" }, text);
