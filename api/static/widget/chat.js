// The element <thrifty-rag-chat>: a button in the corner, and the conversation that it opens.

import { button, el, icon } from "./dom.js";
import { speak } from "./languages.js";
import { Memory, visitor } from "./memory.js";
import { Reader } from "./reader.js";
import { Problem, Service } from "./service.js";
import { STYLE } from "./style.js";
import { TurnView, hidden } from "./turns.js";

const LONGEST_QUESTION = 4_000; // as the service has it
const PHONE = "(max-width: 30rem), (max-height: 26rem)"; // as the style has it
const KEPT_OF_ANSWERS = ["id", "status", "answer", "confidence", "citations", "action"];

/**
 * The chat. Attributes: data-service, data-key, data-collection, data-title, data-greeting,
 * data-language, data-theme (light, dark), data-color, data-position (left, right), data-handoff.
 */
export class ThriftyRagChat extends HTMLElement {
  /** The service of elements that name none. */
  static home = document.baseURI;

  connectedCallback() {
    if (this.shadowRoot) return;
    const { service, key = "", collection, title, language } = this.dataset;
    const base = new URL(service ? service.replace(/\/?$/, "/") : ThriftyRagChat.home, document.baseURI).href;
    const spoken = speak([language, document.documentElement.lang, ...navigator.languages]);
    this.words = { ...spoken.words, title: title || spoken.words.title };
    this.lang = spoken.language;
    this.dir = spoken.direction;
    this.service = new Service(base, key, key && visitor());
    this.memory = new Memory([base, key, collection].filter(Boolean).join(" "));
    this.reader = new Reader(this.service, this.words);
    this.#build();
    this.#paint();
    this.memory.turns.forEach((turn) => this.#recall(turn));
    // A page that a phone has just loaded is not covered; a wide one shows what it showed before.
    if (this.memory.isOpen && !matchMedia(PHONE).matches) this.#show();
  }

  /** What the service calls this visitor, for one who asks to be forgotten; "" without a key. */
  get visitor() {
    return this.service?.visitor ?? "";
  }

  /** Open the conversation, as the button in the corner does. */
  open() {
    if (!this.panel.open) this.#show();
    this.input.focus();
  }

  /** Close the conversation; an answer under way goes on. */
  close() {
    this.launcher.hidden = false;
    this.panel.close();
    this.#remember(false);
    this.launcher.focus();
  }

  /**
   * Ask a question as if the visitor had typed it.
   * @param {string} question
   */
  async ask(question) {
    const asked = question.trim();
    if (!asked) return this.input.focus();
    const turn = { question: asked };
    this.memory.turns.push(turn);
    this.memory.keep();
    const view = new TurnView(turn, this.#deeds());
    this.log.append(view.node);
    await this.#answer(view);
  }

  async #answer(view) {
    this.running?.abort();
    const running = (this.running = new AbortController());
    let text = "";
    const show = () => {
      view.showText(text);
      this.#follow(view);
    };
    this.isFollowing = true;
    this.#setBusy(true);
    this.#say(this.words.searching);
    show();
    try {
      const answer = await this.service.answer(
        { question: view.turn.question, conversation_id: this.memory.id, ...(this.dataset.collection && { collection: this.dataset.collection }) },
        { signal: running.signal, onText: (piece) => show((text += piece)), onRestart: () => show((text = "")) },
      );
      view.turn.answer = Object.fromEntries(KEPT_OF_ANSWERS.map((name) => [name, answer[name]]));
      this.memory.keep();
      this.#say(`${this.words.answered}: ${view.showAnswer()}`);
    } catch (error) {
      this.#say(view.showProblem(kindOf(error)));
    } finally {
      this.#follow(view);
      if (this.running === running) this.#setBusy(false);
    }
  }

  // What a turn may ask of the chat.
  #deeds() {
    const { words, reader, dataset } = this;
    return {
      words,
      handoff: dataset.handoff ?? "",
      open: (citation, opener) => reader.open(citation, dataset.collection, opener),
      rate: (turn, verdict) => this.#tell(turn, { verdict }, this.service.rate(turn.answer.id, verdict)),
      handOff: (turn, contact) => this.#tell(turn, { isHandedOff: true }, this.service.handOff({
        question: turn.question, contact, answer_id: turn.answer.id, conversation_id: this.memory.id,
      })),
      retry: (view) => {
        this.input.focus();
        this.#answer(view);
      },
    };
  }

  // Whether the service was told; if so, the turn remembers it.
  async #tell(turn, told, telling) {
    try {
      await telling;
    } catch {
      return false;
    }
    Object.assign(turn, told);
    this.memory.keep();
    return true;
  }

  #recall(turn) {
    const view = new TurnView(turn, this.#deeds());
    if (turn.answer) view.showAnswer();
    else view.showProblem("broken");
    this.log.append(view.node);
  }

  #startOver() {
    this.running?.abort();
    this.memory.forget();
    this.#remember(true);
    this.log.replaceChildren(this.greeting);
    this.#say("");
    this.input.focus();
  }

  #build() {
    const { words } = this;
    const shadow = this.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    shadow.adoptedStyleSheets = [sheet]; // which content policies allow, unlike <style>
    this.launcher = button(icon("chat"), () => this.open(), { className: "launcher", ariaLabel: words.title, title: words.title, ariaHasPopup: "dialog" });
    this.greeting = el("p", { className: "greeting", dir: "auto" }, this.dataset.greeting || words.greeting);
    this.log = el("div", { className: "log", role: "log", ariaLive: "off", ariaLabel: words.talk, tabIndex: 0 }, this.greeting);
    this.status = el("div", { className: "hidden", role: "status" }); // says whole answers, the log shows each piece
    this.panel = el("dialog", { className: "panel" }, this.#header(), this.log, this.#form(), el("p", { className: "fine quiet" }, words.made), this.status);
    this.panel.setAttribute("aria-labelledby", "title");
    shadow.append(el("section", { ariaLabel: words.title }, this.launcher, this.panel, this.reader.dialog));
    this.#listen();
  }

  #header() {
    const { words } = this;
    const round = (name, label, onclick) => button(icon(name), onclick, { className: "round", ariaLabel: label, title: label });
    return el("header", {}, el("h2", { id: "title", dir: "auto" }, words.title),
      round("again", words.again, () => this.#startOver()),
      round("close", words.close, () => this.close()));
  }

  #form() {
    const { words } = this;
    this.input = el("textarea", { id: "question", rows: 1, maxLength: LONGEST_QUESTION, placeholder: words.placeholder });
    this.send = el("button", { className: "send", type: "submit" });
    const label = el("label", { htmlFor: "question" }, hidden(words.placeholder));
    this.#setBusy(false);
    this.form = el("form", { className: "ask", noValidate: true }, label, this.input, this.send);
    return this.form;
  }

  #listen() {
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      if (!this.isBusy) this.#submit();
    });
    this.panel.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || event.isComposing) return;
      event.preventDefault();
      this.close();
    });
    this.panel.addEventListener("close", () => (this.launcher.hidden = this.panel.open));
    matchMedia(PHONE).addEventListener("change", () => {
      if (!this.panel.open) return;
      this.panel.close();
      this.#show();
    });
    for (const name of ["wheel", "touchmove", "keydown"]) {
      this.log.addEventListener(name, () => (this.isFollowing = false), { passive: true });
    }
  }

  #submit() {
    if (this.isBusy) return this.running.abort();
    const question = this.input.value;
    this.input.value = "";
    return this.ask(question);
  }

  // On a phone the panel is all there is, and keeps the focus; elsewhere the page stays in use.
  #show() {
    if (matchMedia(PHONE).matches) this.panel.showModal();
    else this.panel.setAttribute("open", ""); // show() would take the focus from the page
    this.launcher.hidden = true;
    this.log.scrollTop = this.log.scrollHeight;
    this.#remember(true);
  }

  #remember(isOpen) {
    this.memory.isOpen = isOpen;
    this.memory.keep();
  }

  #setBusy(isBusy) {
    this.isBusy = isBusy;
    this.send.replaceChildren(icon(isBusy ? "stop" : "send"));
    this.send.ariaLabel = this.send.title = isBusy ? this.words.stop : this.words.send;
  }

  #say(text) {
    this.status.textContent = text;
  }

  // The answer grows below its question until that has reached the top, or the visitor scrolls.
  #follow(view) {
    if (this.isFollowing) this.log.scrollTop = view.node.offsetTop - 12;
  }

  #paint() {
    const { theme, color, position } = this.dataset;
    if (theme) this.setAttribute("theme", theme);
    if (position) this.setAttribute("position", position);
    if (color) this.style.setProperty("--rag-accent", color);
    const shown = getComputedStyle(this.launcher).backgroundColor;
    this.style.setProperty("--on-accent", luminance(shown) > 0.179 ? "#000" : "#fff");
  }
}

function kindOf(error) {
  if (error.name === "AbortError") return "stopped";
  if (!(error instanceof Problem) || error.kind === "broken off") return "broken";
  return error.kind;
}

// The relative luminance of a colour, after WCAG 2; of one that is no rgb(), that of black.
function luminance(colour) {
  const parts = /^rgba?\((\d+), (\d+), (\d+)/.exec(colour)?.slice(1) ?? [0, 0, 0];
  const [red, green, blue] = parts.map((part) => part / 255).map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
