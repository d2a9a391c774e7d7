// The script tag: defines the element, and places one on a page that has none.

import { ThriftyRagChat } from "./chat.js";

const NAME = "thrifty-rag-chat";
const script = document.currentScript;

function place() {
  if (document.querySelector(NAME)) return;
  const chat = document.createElement(NAME);
  Object.assign(chat.dataset, script?.dataset);
  document.body.append(chat);
}

if (!customElements.get(NAME)) {
  if (script?.src) ThriftyRagChat.home = new URL(".", script.src).href;
  customElements.define(NAME, ThriftyRagChat);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", place);
  else place();
}
