// Where a quote stands in its document. The service counts Unicode code points, JavaScript does not.

/**
 * The place of a quote in `text`, in UTF-16 units; [0, 0] where it is no longer there.
 * @param {string} text
 * @param {{start: number, end: number, quote: string}} citation
 * @returns {[number, number]}
 */
export function quotePlace(text, { start, end, quote }) {
  const first = utf16Index(text, start, 0);
  const last = utf16Index(text, end - start, first);
  if (text.slice(first, last) === quote) return [first, last];
  const found = quote ? text.indexOf(quote) : -1;
  return found < 0 ? [0, 0] : [found, found + quote.length];
}

/**
 * The text before a quote, the quote, and the text after it, each cut to `reach` units at a line's
 * or a word's end; null where the quote is no longer there.
 * @param {string} text
 * @param {{start: number, end: number, quote: string}} citation
 * @param {number} reach
 * @returns {[string, string, string] | null}
 */
export function quoteInContext(text, citation, reach) {
  const [first, last] = quotePlace(text, citation);
  if (first === last) return null;
  const before = text.slice(Math.max(0, first - reach), first);
  const after = text.slice(last, last + reach);
  return [
    before.length === first ? before : `…${before.replace(/^\S*\s?/, "")}`,
    text.slice(first, last),
    last + after.length === text.length ? after : `${after.replace(/\s?\S*$/, "")}…`,
  ];
}

function utf16Index(text, codePoints, from) {
  let index = from;
  for (let count = 0; count < codePoints && index < text.length; count += 1) {
    index += text.codePointAt(index) > 0xffff ? 2 : 1;
  }
  return index;
}
