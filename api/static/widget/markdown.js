// Markdown as nodes: paragraphs, headings, lists, quotes, tables, code, emphasis, links.
// Everything else, HTML and pictures with it, stays the text that it is: nothing is ever fetched.

import { el, link, plain } from "./dom.js";

const DEEPEST = 5; // lists and quotes within each other
const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const HEADING = /^ {0,3}#{1,6}\s+(.*?)\s*#*\s*$/;
const RULE = /^ {0,3}([-*_])(?: *\1){2,}\s*$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( *)([-*+]|\d{1,9}[.)]) +(?=\S)/;
const TABLE_RULE = /^ {0,3}\|?(?: *:?-+:? *\|)+(?: *:?-+:? *)?$/;
const CELLS = /(?:\\\||[^|])+/g;

// Lengths are bounded, so that no text makes the search for its end go over the whole again and again.
const INLINE = new RegExp([
  /\\(?<escaped>[!-/:-@[-`{-~])/,
  /(?<ticks>`{1,3})(?!`)(?<code>.{1,1000}?)(?<!`)\k<ticks>(?!`)/,
  /!?\[(?<label>[^[\]]{1,500})\]\(<?(?<href>(?:[^\s<>()]|\([^\s<>()]{0,200}\)){1,2000})>?(?: +"[^"]{0,200}")?\)/,
  /\[(?<marks>\d{1,4}(?:\s*,\s*\d{1,4}){0,20})\]/,
  /\*\*(?=\S)(?<strong>(?:[^*]|\*(?!\*)){1,1000}?)(?<=\S)\*\*/,
  /(?<![\w*])\*(?=[^\s*])(?<starred>[^*]{1,500}?)(?<=\S)\*(?![\w*])/,
  /(?<![\p{L}\p{N}_])_(?=[^\s_])(?<scored>[^_]{1,500}?)(?<=\S)_(?![\p{L}\p{N}_])/,
  /(?<url>https?:\/\/[^\s<>"']{1,2000}[^\s<>"'.,:;!?)\]*])/,
].map((part) => part.source).join("|"), "gsu");

/**
 * The nodes of a text. Numbers in brackets become what `markerFor` makes of them; where it makes
 * nothing of one, they stay text.
 * @param {string} text
 * @param {(number: number) => Node | null} markerFor
 * @returns {Node[]}
 */
export function markdown(text, markerFor) {
  return blocks(plain(text).replace(/\t/g, "    ").split("\n"), markerFor, 0);
}

function blocks(lines, markerFor, depth) {
  const nodes = [];
  const within = (inner) => blocks(inner, markerFor, depth + 1);
  let at = 0;
  const takeWhile = (fits) => {
    const from = at;
    while (at < lines.length && (at === from || fits(lines[at]))) at += 1;
    return lines.slice(from, at);
  };
  while (at < lines.length) {
    const line = lines[at];
    if (!line.trim()) {
      at += 1;
    } else if (FENCE.test(line)) {
      const fence = FENCE.exec(line)[1];
      const [, ...code] = takeWhile((next) => !next.trim().startsWith(fence));
      at += 1;
      nodes.push(el("pre", {}, el("code", {}, code.join("\n"))));
    } else if (HEADING.test(line)) {
      nodes.push(el("p", { className: "heading" }, ...inline(HEADING.exec(line)[1], markerFor)));
      at += 1;
    } else if (RULE.test(line)) {
      nodes.push(el("hr"));
      at += 1;
    } else if (depth < DEEPEST && QUOTE.test(line)) {
      nodes.push(el("blockquote", {}, ...within(takeWhile((next) => QUOTE.test(next)).map((one) => one.replace(QUOTE, "")))));
    } else if (depth < DEEPEST && ITEM.test(line)) {
      const [tag, start, items] = itemsOf(lines.slice(at));
      at += items.flat().length;
      const list = el(tag, {}, ...items.map((item) => el("li", { dir: "auto" }, ...tight(within(item)))));
      if (start > 1) list.start = start;
      nodes.push(list);
    } else if (line.includes("|") && TABLE_RULE.test(lines[at + 1] ?? "")) {
      nodes.push(table(takeWhile((next) => next.includes("|")), markerFor));
    } else {
      const text = takeWhile((next) => next.trim() && !beginsBlock(next)).join("\n").trim();
      nodes.push(el("p", { dir: "auto" }, ...inline(text, markerFor)));
    }
  }
  return nodes;
}

const beginsBlock = (line) => [FENCE, HEADING, RULE, QUOTE, ITEM].some((begin) => begin.test(line));

// The items of the list that `lines` begin with, each as its lines without their indentation.
function itemsOf(lines) {
  const [, indent, mark] = ITEM.exec(lines[0]);
  const isNumbered = /\d/.test(mark);
  const items = [];
  let width = 0;
  for (const [at, line] of lines.entries()) {
    const found = ITEM.exec(line);
    const isItem = found && found[1].length < indent.length + 2 && /\d/.test(found[2]) === isNumbered;
    const isInner = line.startsWith(" ".repeat(indent.length + 2));
    const next = lines[at + 1] ?? "";
    if (isItem) {
      width = found[0].length;
      items.push([line.slice(width)]);
    } else if (line.trim() ? isInner || (lines[at - 1].trim() && !beginsBlock(line)) : ITEM.test(next) || next.startsWith("  ")) {
      items.at(-1).push(line.slice(Math.min(width, line.search(/\S|$/))));
    } else {
      break;
    }
  }
  return [isNumbered ? "ol" : "ul", parseInt(mark, 10), items];
}

// An item of one paragraph needs no paragraph.
const tight = (nodes) => (nodes[0]?.nodeName === "P" ? [...nodes[0].childNodes, ...nodes.slice(1)] : nodes);

function table([head, , ...rows], markerFor) {
  const row = (line, tag) => el("tr", {}, ...(line.trim().replace(/^\||\|$/g, "").match(CELLS) ?? [])
    .map((cell) => el(tag, { dir: "auto" }, ...inline(cell.trim().replaceAll("\\|", "|"), markerFor))));
  return el("table", {}, el("thead", {}, row(head, "th")), el("tbody", {}, ...rows.map((line) => row(line, "td"))));
}

function inline(text, markerFor) {
  const nodes = [];
  let from = 0;
  for (const found of text.matchAll(INLINE)) {
    nodes.push(text.slice(from, found.index), ...inlineNodes(found[0], found.groups, markerFor));
    from = found.index + found[0].length;
  }
  return [...nodes, text.slice(from)].filter((node) => node !== "");
}

function inlineNodes(whole, { escaped, code, label, href, marks, strong, starred, scored, url }, markerFor) {
  const emphasis = starred ?? scored;
  if (escaped) return [escaped];
  if (code) return [el("code", {}, code)];
  if (label) return [link(href, label)];
  if (strong) return [el("strong", {}, ...inline(strong, markerFor))];
  if (emphasis) return [el("em", {}, ...inline(emphasis, markerFor))];
  if (url) return [link(url, url)];
  const markers = marks.split(",").map((number) => markerFor(Number(number)));
  return markers.every(Boolean) ? markers : [whole];
}
