// Numbers as people read them, and bars for them. What is unknown is never shown as nothing.

import { el } from "./widget/dom.js";

/**
 * Dollars, which arrive as decimal strings.
 * @param {string | null | undefined} usd
 */
export function dollars(usd) {
  if (!Number.isFinite(parseFloat(usd))) return "unknown";
  const value = Math.abs(Number(usd));
  const text = value === 0 ? "0" : value < 5e-7 ? value.toPrecision(2) : value.toFixed(value < 1 ? 6 : 2);
  return `${Number(usd) < 0 ? "−" : ""}$${text}`;
}

/**
 * Dollars in few digits, for places where there are many of them.
 * @param {string | number | null | undefined} usd
 */
export function roundDollars(usd) {
  const value = parseFloat(usd);
  if (!Number.isFinite(value)) return "unknown";
  const size = Math.abs(value);
  const digits = size >= 100 || size === 0 ? 0 : size >= 0.1 ? 2 : size >= 0.001 ? 4 : 6;
  const text = size.toLocaleString("en", { minimumFractionDigits: digits && 2, maximumFractionDigits: digits });
  return `${value < 0 ? "−" : ""}$${text}`;
}

/** @param {number | null} ms */
export function milliseconds(ms) {
  if (ms === null) return "unknown";
  return ms < 1000 ? `${ms.toFixed(ms < 10 ? 1 : 0)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/**
 * A share of 0 to 1 in percent. Only the whole is 100%.
 * @param {number | null | undefined} share
 */
export function percent(share) {
  if (typeof share !== "number") return "unknown";
  return `${Math.min(Math.round(share * 100), share < 1 ? 99 : 100)}%`;
}

/** @param {number} value */
export const count = (value) => value.toLocaleString("en");

/**
 * A bar for the eye alone: the number stands beside it.
 * @param {number} share its length, 0 to 1
 * @param {{start?: number, className?: string}} [where] where it begins, 0 to 1
 */
export function bar(share, { start = 0, className = "" } = {}) {
  const length = el("span", { className: "length" });
  length.style.marginInlineStart = `${100 * Math.min(Math.max(start, 0), 0.98)}%`;
  length.style.width = `${100 * Math.min(Math.max(share, 0), 1)}%`;
  return el("span", { className: `bar ${className}`, ariaHidden: "true" }, length);
}
