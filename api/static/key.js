// The key of a service that asks for one: asked for once, and kept until the tab is closed.

import { el } from "./widget/dom.js";

const KEPT = "thrifty-rag-key";
const REFUSED = [401, 403];

/** A form that asks for a key where the service does, and lets the service be called with it. */
export class KeyForm {
  #service;
  #input = el("input", { id: "key", type: "password", autocomplete: "off", spellcheck: false });
  #note = el("p", { id: "key-note", className: "note", role: "alert" });

  /**
   * @param {import("./widget/service.js").Service} service
   * @param {() => void} onKey what to try with a new key
   */
  constructor(service, onKey) {
    this.#service = service;
    service.key = kept();
    this.#input.setAttribute("aria-describedby", "key-note");
    const send = el("button", { type: "submit", className: "primary" }, "Use this key");
    const onsubmit = (event) => {
      event.preventDefault();
      if (this.#take()) onKey();
    };
    this.node = el("form", { className: "panel", hidden: true, noValidate: true, onsubmit },
      el("h2", { id: "key-title" }, "This service asks for a key"),
      el("label", { htmlFor: "key" }, "Key"),
      el("div", { className: "box" }, this.#input, send),
      this.#note,
      el("p", { className: "meta" }, "It is kept until this tab is closed, and sent to this service alone."));
    this.node.setAttribute("aria-labelledby", "key-title");
  }

  /**
   * Show the form if an error is for want of a right key, else hide it; gives whether it is shown.
   * @param {{status?: number, message?: string}} [error]
   */
  show(error) {
    const isLocked = REFUSED.includes(error?.status);
    this.node.hidden = !isLocked;
    if (isLocked) {
      this.#note.textContent = this.#service.key ? error.message : "";
      this.#input.focus();
    }
    return isLocked;
  }

  /** Forget the key, here and in the tab. */
  forget() {
    this.#service.key = "";
    keep("");
  }

  #take() {
    const key = this.#input.value.trim();
    const isKey = /^[\x21-\x7e]+$/.test(key);
    this.#note.textContent = isKey ? "" : "Enter a key, such as one that begins with rag_sk_.";
    if (isKey) {
      this.#input.value = "";
      this.#service.key = key;
      keep(key);
    }
    return isKey;
  }
}

// A browser may be set to keep nothing: then the key lasts as long as the page.
function kept() {
  try {
    return sessionStorage.getItem(KEPT) ?? "";
  } catch {
    return "";
  }
}

function keep(key) {
  try {
    sessionStorage.setItem(KEPT, key);
  } catch {
    // it lasts as long as the page
  }
}
