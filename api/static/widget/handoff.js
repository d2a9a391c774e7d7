// The way on for a visitor whose question was not answered: a page, a letter, or a message to people.

import { el, link, safeAddress } from "./dom.js";

const LONGEST_SUBJECT = 200;

/**
 * The node that leads on, or "" where there is no way.
 * @param {import("./memory.js").Turn} turn
 * @param {import("./turns.js").Deeds} deeds
 */
export function wayOn(turn, deeds) {
  const { words, handoff } = deeds;
  const action = turn.answer?.action;
  if (!handoff && action?.type === "webhook") return messageForm(turn, deeds);
  const address = safeAddress(handoff || action?.url);
  if (!address) return "";
  const subject = `${address.includes("?") ? "&" : "?"}subject=${encodeURIComponent([...turn.question].slice(0, LONGEST_SUBJECT).join(""))}`;
  return link(address.startsWith("mailto:") ? address + subject : address, words.person, { className: "deed" });
}

// Asks for the address to reply to; once the message is sent, says so for good.
function messageForm(turn, { words, handOff }) {
  if (turn.isHandedOff) return el("p", { className: "quiet" }, words.handed);
  const address = el("input", { type: "email", required: true, maxLength: 254, autocomplete: "email", dir: "ltr" });
  const note = el("p", { className: "quiet", role: "status" });
  const send = el("button", { className: "deed" }, words.person);
  const form = el("form", { className: "message" }, el("label", {}, words.contact, address), send, note);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    send.disabled = true;
    const isSent = await handOff(turn, address.value.trim());
    send.disabled = false;
    note.textContent = isSent ? words.handed : words.unreachable;
    if (isSent) form.replaceChildren(note);
  });
  return form;
}
