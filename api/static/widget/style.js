// How the widget looks. What a page may set stands in docs/widget.md; all lengths follow --rag-font-size.

const DARK = `
  --surface: var(--rag-surface, #1a1e21); --ink: var(--rag-text, #e6e8e9); --quiet: var(--rag-quiet, #a9b2b8);
  --line: var(--rag-line, #343b40); --edge: #78828a; --tint: var(--rag-tint, #262c30); --mark: #1f5448;
  --warn: #f1d58d; --warn-surface: #312811; color-scheme: dark;
`;

/** The style sheet of the element. */
export const STYLE = `
:host {
  all: initial; color-scheme: light;
  --accent: var(--rag-accent, #0b6a58); --on: var(--rag-on-accent, var(--on-accent, #fff));
  --surface: var(--rag-surface, #fff); --ink: var(--rag-text, #1c2024); --quiet: var(--rag-quiet, #586068);
  --line: var(--rag-line, #e0e2e4); --edge: #7d858c; --tint: var(--rag-tint, #f2f4f5); --mark: #c2ead9;
  --warn: #644600; --warn-surface: #fcf2d8; --radius: var(--rag-radius, 1em);
  position: fixed; z-index: var(--rag-z-index, 2147483000);
  inset-block-end: var(--rag-offset, 1.25em); inset-inline-end: var(--rag-offset, 1.25em);
  font: var(--rag-font-size, 16px)/1.55 var(--rag-font, system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", Arial, sans-serif);
  color: var(--ink);
}
:host([position=left]) { left: var(--rag-offset, 1.25em); right: auto; }
:host([position=right]) { right: var(--rag-offset, 1.25em); left: auto; }
:host([theme=dark]) {${DARK}}
@media (prefers-color-scheme: dark) { :host(:not([theme=light])) {${DARK}} }
:host([hidden]) { display: none; }

*, ::before, ::after { box-sizing: border-box; }
[hidden] { display: none !important; }
h2, h3, h4, p, ul, ol, pre, blockquote, table { margin: 0; padding: 0; font: inherit; }
button, textarea { font: inherit; color: inherit; }
button { cursor: pointer; }
:focus-visible { outline: 2px solid currentcolor; outline-offset: 2px; }
svg { width: 1.375em; height: 1.375em; fill: none; stroke: currentcolor; stroke-width: 1.75; stroke-linecap: round; stroke-linejoin: round; display: block; }
.quiet { color: var(--quiet); font-size: .875em; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

.launcher {
  display: grid; place-items: center; width: 3.5em; height: 3.5em; padding: 0; border: 1px solid transparent; border-radius: 50%;
  background: var(--accent); color: var(--on); box-shadow: 0 .25em 1em rgb(0 0 0 / .25);
}
.launcher:hover { filter: brightness(1.12); }
.launcher:focus-visible { outline: 3px solid var(--ink); box-shadow: 0 0 0 3px var(--surface); outline-offset: 3px; }
.launcher svg { width: 1.625em; height: 1.625em; }

dialog { color: var(--ink); background: var(--surface); border: 1px solid var(--line); padding: 0; overflow: hidden; overflow-wrap: anywhere; }
dialog[open] { display: flex; flex-direction: column; }
dialog::backdrop { background: rgb(10 14 16 / .55); }
header { display: flex; align-items: center; gap: .25em; padding: .75em; padding-inline-start: 1.25em; border-block-end: 1px solid var(--line); }
header > :first-child { flex: 1; min-width: 0; }
h2 { font-weight: 650; font-size: 1.0625em; line-height: 1.35; }
.panel {
  position: absolute; inset: auto; inset-block-end: 0; inset-inline-end: 0; margin: 0;
  width: min(var(--rag-width, 25em), calc(100vw - 2.5em)); height: min(var(--rag-height, 40em), calc(100dvh - 2.5em)); max-width: none; max-height: none;
  border-radius: var(--radius); box-shadow: 0 1em 3em rgb(0 0 0 / .22);
}
:host([position=left]) .panel { left: 0; right: auto; }
:host([position=right]) .panel { right: 0; left: auto; }
.panel header { background: var(--accent); color: var(--on); border: 0; }

.round { display: grid; place-items: center; flex: none; width: 2.25em; height: 2.25em; padding: 0; border: 1px solid transparent; border-radius: 50%; background: none; }
.round:hover { background: color-mix(in srgb, currentcolor 12%, transparent); }
.log { position: relative; flex: 1; min-height: 0; overflow-y: auto; overscroll-behavior: contain; padding: 1.25em; }
.log:focus-visible, .document:focus-visible { outline-offset: -3px; }
.greeting { padding: .75em 1em; border-radius: var(--radius); background: var(--tint); width: fit-content; }
.turn { margin-block-start: 1.25em; }
.turn .asked {
  width: fit-content; max-width: 88%; margin-inline-start: auto; padding: .5em .875em; white-space: pre-wrap; max-height: 12em; overflow-y: auto;
  background: var(--accent); color: var(--on); border-radius: var(--radius); border-end-end-radius: .25em;
}
.asked > :last-child { display: block; }
.answer { margin-block-start: .875em; }
.answer > * + *, .answer blockquote > * + *, .answer li > * + * { margin-block-start: .625em; }
.answer .heading, .answer th, .answer strong { font-weight: 650; }
.answer em { font-style: italic; }
.answer ol, .answer ul { padding-inline-start: 1.5em; }
.answer li + li { margin-block-start: .25em; }
.answer a { color: inherit; text-underline-offset: .18em; }
.answer a:hover { text-decoration-thickness: 2px; }
.answer blockquote { padding-inline-start: .875em; border-inline-start: 3px solid var(--line); }
.answer code { font: .875em/1.5 ui-monospace, Menlo, Consolas, monospace; background: var(--tint); border-radius: .25em; padding: .1em .25em; }
.answer pre { white-space: pre-wrap; background: var(--tint); border-radius: .5em; padding: .625em .875em; }
.answer pre code { padding: 0; background: none; }
.answer table { border-collapse: collapse; font-size: .9375em; }
.answer th, .answer td { text-align: start; vertical-align: top; padding: .25em .5em; border: 1px solid var(--line); }
.answer hr { border: 0; border-block-start: 1px solid var(--line); }
.note { padding: .625em .875em; border-radius: .625em; background: var(--warn-surface); color: var(--warn); }
.marker, .number {
  display: inline-grid; place-items: center; min-width: max(24px, 1.5em); height: max(24px, 1.5em); padding: 0 .25em; border: 1px solid transparent;
  border-radius: .375em; background: var(--tint); font-size: .8125em; font-weight: 650; line-height: 1;
}
.marker { margin: -.375em .2em; vertical-align: middle; }
.marker:hover, .source:hover .number { background: var(--accent); color: var(--on); }
.waiting::before { content: ""; display: inline-block; width: .5em; height: .5em; margin-inline-end: .625em; border-radius: 50%; background: currentcolor; }

.deeds { display: flex; flex-wrap: wrap; gap: .5em; }
.answer .deed {
  display: inline-block; width: fit-content; padding: .4375em 1em; border: 1px solid var(--edge); border-radius: 99px; background: var(--surface);
  color: var(--ink); font-weight: 600; text-decoration: none; line-height: 1.4; margin: 0;
}
.answer a.deed, .message .deed { background: var(--accent); border-color: transparent; color: var(--on); }
.answer > .deed { margin-block-start: .625em; }
.deed:hover { filter: brightness(1.12); }
.message { display: grid; gap: .625em; justify-items: start; }
.message label { display: grid; gap: .25em; width: 100%; font-size: .875em; }
input { font: inherit; font-size: max(1em, 16px); color: inherit; background: none; width: 100%; padding: .4375em .75em; border: 1px solid var(--edge); border-radius: .625em; }
.sources h4 { margin-block-end: .25em; }
.answer .sources ul { list-style: none; padding: 0; display: grid; gap: .375em; }
.answer .sources li { margin: 0; }
.source {
  display: flex; align-items: center; gap: .625em; width: 100%; padding: .4375em .625em; border: 1px solid var(--line); border-radius: .625em;
  background: none; text-align: start; line-height: 1.4; font-size: .9375em;
}
.source:hover { border-color: var(--edge); }
.source > :nth-child(2) { flex: 1; min-width: 0; display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden; }
.source .number { align-self: start; flex: none; }
.source .quiet { flex: none; }
.rating { display: flex; align-items: center; gap: .25em; }
.rating > :first-child { margin-inline-end: .375em; }
.rating svg { width: 1.125em; height: 1.125em; }
.rating .wrong svg { rotate: 180deg; }
.rating [aria-pressed=true] { background: var(--accent); color: var(--on); }

.ask { display: flex; align-items: flex-end; gap: .5em; margin: 0 1em; padding: .3125em; border: 1px solid var(--edge); border-radius: 1.5em; }
.ask:focus-within { border-color: var(--ink); box-shadow: 0 0 0 1px var(--ink); }
textarea {
  flex: 1; min-width: 0; min-height: 2.25em; max-height: 8em; padding: .3125em .75em; border: 0; background: none; resize: none; field-sizing: content; line-height: 1.5; unicode-bidi: plaintext;
}
textarea:focus-visible { outline: 0; }
textarea::placeholder { color: var(--quiet); opacity: 1; }
.send { display: grid; place-items: center; flex: none; width: 2.25em; height: 2.25em; padding: 0; border: 1px solid transparent; border-radius: 50%; background: var(--accent); color: var(--on); }
.send:hover { filter: brightness(1.12); }
.send:focus-visible { outline-color: var(--ink); }
.fine { padding: .75em 1em; font-size: .75em; text-align: center; text-wrap: balance; }

.reader { width: min(44em, calc(100vw - 2em)); height: min(42em, calc(100dvh - 2em)); max-width: none; max-height: none; border-radius: var(--radius); box-shadow: 0 1em 3em rgb(0 0 0 / .22); }
.reader header { align-items: start; }
.reader header > div { padding-block: .375em; }
.reader a { color: inherit; text-underline-offset: .18em; }
.reader .note { margin: 1em 1.25em 0; }
.document { position: relative; flex: 1; min-height: 0; overflow-y: auto; padding: 1.25em; white-space: pre-wrap; line-height: 1.65; }
mark { background: var(--mark); color: inherit; padding: .1em 0; box-shadow: 0 2px 0 var(--accent); outline: 0; }

@media (max-width: 30rem), (max-height: 26rem) {
  .panel:modal, .reader { position: fixed; inset: 0; width: 100%; height: 100%; height: 100dvh; border: 0; border-radius: 0; }
}
@media (prefers-reduced-motion: no-preference) {
  dialog[open] { animation: appear .16s ease-out; }
  .waiting::before { animation: breathe 1.4s ease-in-out infinite; }
}
@keyframes appear { from { opacity: 0; transform: translateY(.5em); } }
@keyframes breathe { 50% { opacity: .2; } }
@media (forced-colors: active) { button, a.deed, mark { border: 1px solid ButtonText !important; } }
@media print { :host { display: none; } }
`;
