// Results of the tasks as elements: passages with their scores, labels with their bars. This module knows responses,
// and does not know requests or the place of a result in the document.

import { element } from "./dom.js";
import { marked } from "./marks.js";

export const LOW = 0.3; // probability below which an answer is shown as a guess

export const percent = (value) => `${(value * 100).toFixed(1)} %`;

export function score(value, label) {
  return element(
    "span",
    { class: "score" },
    element("meter", { min: "0", max: "1", value: String(value), "aria-label": label }),
    element("span", {}, percent(value)),
  );
}

// One result that can be chosen to be shown in the text.
export function found(target, ...children) {
  return element("button", { type: "button", class: "found", "data-target": target }, ...children);
}

// What kinds of files have in place of pages.
const PARTS = { pptx: "スライド", odp: "スライド", xlsx: "シート", xls: "シート", ods: "シート" };

// How many pages, slides or sheets a file has, in words.
export const partsOf = (kind, count) => `${count.toLocaleString("ja-JP")} ${PARTS[kind] ?? "ページ"}`;

// Where a passage stands, in words; empty where nothing more is known than that it is in the text.
export function placeOf({ page, heading }, { kind, name, file }) {
  const numbered = page && (kind in PARTS ? `${PARTS[kind]} ${page}` : `${page} ページ`);
  return [file && name, numbered, heading?.join(" › ")].filter(Boolean).join("、");
}

function place(result, document) {
  const words = placeOf(result, document);
  return words ? element("span", { class: "place" }, words) : "";
}

// An answer in its sentence.
export function answer(result, document, target) {
  const { start, end, sentence, score: value } = result;
  const passage = marked(document.text, [{ start, end, className: "answer" }], sentence.start, sentence.end);
  return found(
    target,
    element("span", { class: "passage" }, passage),
    place(result, document),
    value < LOW ? element("span", { class: "low" }, "確からしさが低い答えです") : "",
    score(value, "確からしさ"),
  );
}

export function summary({ summary: text, sentences }, document, targetOf) {
  const selected = sentences.filter((sentence) => sentence.selected);
  const items = selected.map((sentence) =>
    element(
      "li",
      {},
      found(
        targetOf(sentence),
        element("span", { class: "passage" }, sentence.text),
        place(sentence, document),
        score(sentence.score, "読み手が要約に残す見込み"),
      ),
    ),
  );
  const title = `要約（${sentences.length} 文のうち ${selected.length} 文、${[...text].length} 字）`;
  return [element("h3", {}, nameOf(document), title), element("ol", { class: "entries" }, ...items)];
}

// A title says whose it is, where documents have names.
const nameOf = ({ name, file }) => (file ? `${name}：` : "");

export function labels({ labels: all }, document) {
  const items = all.map(({ label, name, score: value }) =>
    element(
      "li",
      {},
      element("span", { class: "label-name" }, name ?? label),
      name ? element("span", { class: "label-code" }, ` ${label}`) : "",
      score(value, "確からしさ"),
    ),
  );
  return [element("h3", {}, nameOf(document), "分野"), element("ol", { class: "entries" }, ...items)];
}

const seconds = (milliseconds) => (milliseconds / 1000).toFixed(2);

export function usage({ model, usage: { tokens, windows }, timings: t }) {
  const parts = windows > 1 ? `（のべ ${windows} 区間、最後まで読みました）` : ""; // each question reads the text
  return (
    `${model}　${tokens.toLocaleString("ja-JP")} トークン${parts}　${seconds(t.total_ms)} 秒` +
    `（単語分割 ${seconds(t.tokenize_ms)}、待ち ${seconds(t.queue_ms)}、推論 ${seconds(t.infer_ms)}、後処理 ${seconds(t.decode_ms)}）`
  );
}

export function problem(error) {
  const detail = error.detail
    ? [element("details", {}, element("summary", {}, "詳しく"), element("span", { lang: "en" }, error.detail))]
    : [];
  return [element("p", {}, error.message), ...detail];
}
