// The dialog that shows a quote in its document.

import { button, el, icon, link, plain } from "./dom.js";
import { quoteInContext } from "./quotes.js";

const REACH = 3_000; // characters around the quote: enough to judge it, little to draw

/** Opens citations; made once for a widget. */
export class Reader {
  /**
   * @param {import("./service.js").Service} service
   * @param {Record<string, string>} words
   */
  constructor(service, words) {
    this.service = service;
    this.words = words;
    this.title = el("h2", { id: "reader-title", dir: "auto" });
    this.source = el("p", { className: "quiet", dir: "auto" });
    this.note = el("p", { className: "note", role: "status" });
    this.text = el("div", { className: "document", role: "region", tabIndex: 0, dir: "auto", ariaLabel: words.sources });
    this.dialog = el("dialog", { className: "reader" },
      el("header", {}, el("div", {}, this.title, this.source),
        button(icon("close"), () => this.dialog.close(), { className: "round", ariaLabel: words.close, title: words.close })),
      this.note, this.text);
    this.dialog.setAttribute("aria-labelledby", "reader-title");
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
    this.dialog.addEventListener("close", () => this.opener?.focus());
  }

  /**
   * Show a citation in its document; the focus goes back to `opener` afterwards.
   * @param {any} citation
   * @param {string | undefined} collection
   * @param {HTMLElement} opener
   */
  async open(citation, collection, opener) {
    this.citation = citation;
    this.opener = opener;
    this.#show(citation, this.words.fetching, ["", citation.quote, ""]);
    this.dialog.showModal();
    try {
      const { text } = await this.service.document(citation.document_id, collection);
      if (this.citation !== citation) return;
      const parts = quoteInContext(text, citation, REACH);
      this.#show(citation, parts ? "" : this.words.changed, parts ?? ["", citation.quote, ""]);
    } catch ({ kind }) {
      const note = kind === "refused" ? this.words.changed : this.words.unreachable;
      if (this.citation === citation) this.#show(citation, note, ["", citation.quote, ""]);
    }
  }

  #show({ title, document_id: id, source, page }, note, [before, quote, after]) {
    const mark = el("mark", { tabIndex: -1 }, plain(quote));
    this.title.textContent = plain(title || id);
    this.source.replaceChildren(sourceNode(source, this.words), page ? ` · ${this.words.page.replace("{n}", Number(page))}` : "");
    this.note.hidden = !note;
    this.note.textContent = note;
    this.text.replaceChildren(plain(before), mark, plain(after));
    if (!this.dialog.open) return;
    mark.focus({ preventScroll: true });
    this.text.scrollTop = mark.offsetTop - Math.max(24, (this.text.clientHeight - mark.offsetHeight) / 2);
  }
}

// Where a visitor can go too, a link; paths and names of files are the operator's own business.
function sourceNode(source, words) {
  return /^https?:/i.test(source ?? "") ? link(source, plain(source), { title: words.newTab }) : "";
}
