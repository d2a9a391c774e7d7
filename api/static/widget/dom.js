// Nodes made by hand. Texts of documents, of models and of people enter the page as text alone.

/**
 * A new element. `properties` are set on the node as JavaScript knows them (`className`,
 * `ariaLabel`); children are nodes or texts, and a text is never read as markup.
 * @param {string} tag
 * @param {Record<string, unknown>} [properties]
 * @param {...(Node | string)} children
 * @returns {any}
 */
export function el(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

/**
 * A button that submits nothing.
 * @param {string | Node} label
 * @param {(event: Event) => void} onclick
 * @param {Record<string, unknown>} [properties]
 */
export function button(label, onclick, properties = {}) {
  return el("button", { type: "button", onclick, ...properties }, label);
}

/**
 * A link that opens beside the page and tells its target nothing of it; plain text where `href`
 * is no whole address of the web or of a mailbox.
 * @param {string} href
 * @param {string} label
 * @param {Record<string, unknown>} [properties]
 * @returns {HTMLAnchorElement | string}
 */
export function link(href, label, properties = {}) {
  const address = safeAddress(href);
  if (!address) return label;
  return el("a", { href: address, target: "_blank", rel: "noopener noreferrer", ...properties }, label);
}

/**
 * `href` as the browser would follow it, or "" where following it could do anything but open a
 * page or a letter.
 * @param {string | null | undefined} href
 */
export function safeAddress(href) {
  try {
    const url = new URL(href ?? "");
    return ["http:", "https:", "mailto:"].includes(url.protocol) ? url.href : "";
  } catch {
    return "";
  }
}

/**
 * `text` without the characters that turn the direction of what follows, and without those that
 * control a terminal: with them a text can look like another.
 * @param {string | null | undefined} text
 */
export function plain(text) {
  return (text ?? "").replace(/\r\n?/g, "\n")
    .replace(/[\u202a-\u202e\u2066-\u2069\u0000-\u0008\u000b-\u001f\u007f]/g, "");
}

const PATHS = {
  chat: "M4 5h16v11H9l-5 4z",
  close: "M6 6l12 12M18 6L6 18",
  send: "M12 19V5M6 11l6-6 6 6",
  stop: "M7 7h10v10H7z",
  again: "M19 12a7 7 0 1 1-2-5m2-3v4h-4",
  thumb: "M7 11v9H4v-9zm0 0l4-8c2 0 2.6 1.6 2.2 3.4L12.7 9H20l-2 11H7",
};

/**
 * A drawing for the eye alone; what it stands for is said by the button that holds it.
 * @param {keyof typeof PATHS} name
 */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", PATHS[name]);
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.append(path);
  return svg;
}
