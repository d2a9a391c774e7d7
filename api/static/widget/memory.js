// What the widget keeps in the visitor's browser, so that a conversation outlives a page.

const KEPT_TURNS = 30;
const KEPT_MS = 24 * 60 * 60 * 1000;

/**
 * A question with its answer, or without one where it broke off, and what the visitor said of it.
 * @typedef {{question: string, answer?: any, verdict?: "right" | "wrong", isHandedOff?: boolean}} Turn
 */

/** One conversation, under a name of its own; where the browser keeps nothing, it lasts a page. */
export class Memory {
  /** @param {string} name what tells this conversation from those with other services */
  constructor(name) {
    this.name = `thrifty-rag-chat:${name}`;
    this.forget();
    const kept = read(this.name);
    if (!(Date.now() - kept?.at < KEPT_MS) || !Array.isArray(kept.turns)) return;
    Object.assign(this, { id: String(kept.id), turns: kept.turns.filter((turn) => turn?.question), isOpen: kept.isOpen === true });
  }

  /** Begin anew, under another id. */
  forget() {
    /** @type {string} */
    this.id = randomId();
    /** @type {Turn[]} */
    this.turns = [];
    this.isOpen = false;
  }

  /** Keep all of it, without the oldest turns of a long one. */
  keep() {
    const { id, turns, isOpen } = this;
    try {
      localStorage.setItem(this.name, JSON.stringify({ at: Date.now(), id, turns: turns.slice(-KEPT_TURNS), isOpen }));
    } catch {
      // A browser that keeps nothing, or no more: the conversation ends with the page.
    }
  }
}

/** What this page calls its visitor, for a day: limits are counted by it. */
export function visitor() {
  const name = "thrifty-rag-chat visitor";
  const kept = read(name);
  if (Date.now() - kept?.at < KEPT_MS && typeof kept.id === "string") return kept.id;
  const id = randomId();
  try {
    localStorage.setItem(name, JSON.stringify({ at: Date.now(), id }));
  } catch {
    // A browser that keeps nothing: another visitor on each page.
  }
  return id;
}

function randomId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function read(name) {
  try {
    return JSON.parse(localStorage.getItem(name) ?? "null");
  } catch {
    return null;
  }
}
