// A text with marks and blocks, as elements. This module knows offsets, and does not know tasks.

import { element } from "./dom.js";

// `spans`: [{start, end, className, target}]. Of spans that overlap, the one that stands first in the list is shown.
export function marked(text, spans, first = 0, last = text.length) {
  const kept = [];
  for (const span of spans) {
    const inside = span.start < last && first < span.end;
    if (inside && kept.every((other) => span.end <= other.start || other.end <= span.start)) kept.push(span);
  }
  kept.sort((a, b) => a.start - b.start);
  const fragment = document.createDocumentFragment();
  let at = first;
  for (const { start, end, className = null, target = null } of kept) {
    const from = Math.max(start, first);
    const to = Math.min(end, last);
    fragment.append(text.slice(at, from));
    fragment.append(element("mark", { class: className, "data-target": target }, text.slice(from, to)));
    at = to;
  }
  fragment.append(text.slice(at, last));
  return fragment;
}

// The whole of a document: every block is an element, and every character of the text stands there.
export function blocksOf({ text, blocks }, spans) {
  const ordered = [...spans].sort((a, b) => a.start - b.start);
  const fragment = document.createDocumentFragment();
  let at = 0;
  for (const [index, { kind, start, end }] of blocks.entries()) {
    const here = spans.length ? spansIn(ordered, spans, start, end) : [];
    fragment.append(text.slice(at, start));
    fragment.append(element("span", { class: `block ${kind}`, "data-block": index }, marked(text, here, start, end)));
    at = end;
  }
  fragment.append(text.slice(at));
  return fragment;
}

// In the order of `spans`, which says what is shown where two overlap.
function spansIn(ordered, spans, start, end) {
  const here = new Set();
  for (const span of ordered) {
    if (span.start >= end) break;
    if (span.end > start) here.add(span);
  }
  return spans.filter((span) => here.has(span));
}
