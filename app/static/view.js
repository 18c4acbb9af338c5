// Results as elements. Everything that came from a text is set as text, never as HTML.

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

// The text with marks. `spans`: [{start, end, className, id}] in UTF-16 units, which is what JavaScript counts in.
// Of spans that overlap, the one that stands first in the list is shown.
export function marked(text, spans) {
  const kept = [];
  for (const span of spans) {
    if (kept.every((other) => span.end <= other.start || other.end <= span.start)) kept.push(span);
  }
  kept.sort((a, b) => a.start - b.start);
  const fragment = document.createDocumentFragment();
  let position = 0;
  for (const { start, end, className, id } of kept) {
    fragment.append(text.slice(position, start));
    const attributes = className ? { class: className } : {};
    if (id) attributes.id = id;
    fragment.append(element("mark", attributes, text.slice(start, end)));
    position = end;
  }
  fragment.append(text.slice(position));
  return fragment;
}

// Where the sentence around a span begins and ends, or `reach` characters away from it at most.
export function sentenceAround(text, start, end, reach = 80) {
  const before = text.slice(Math.max(0, start - reach), start);
  const after = text.slice(end, end + reach);
  const lastEnd = Math.max(...["。", "！", "？", "\n"].map((stop) => before.lastIndexOf(stop)));
  const firstEnd = after.search(/[。！？\n]/);
  const from = start - before.length + lastEnd + 1;
  const to = firstEnd < 0 ? end + after.length : end + firstEnd + (after[firstEnd] === "\n" ? 0 : 1);
  return { from, to, cutBefore: lastEnd < 0 && from > 0, cutAfter: firstEnd < 0 && to < text.length };
}

function score(value, label) {
  const shown = `${(value * 100).toFixed(1)} %`;
  return element(
    "span",
    { class: "score" },
    element("meter", { min: "0", max: "1", value: String(value), "aria-label": label }),
    element("span", {}, shown),
  );
}

function heading(text) {
  return element("h3", {}, text);
}

// One result that can be chosen to be shown in the text.
function found(target, ...children) {
  return element("button", { type: "button", class: "found", "data-target": target }, ...children);
}

export function answers(result, text) {
  if (result.answers.length === 0) {
    return [heading("答え"), element("p", {}, "本文に答えは見あたりませんでした。"), score(result.null_score, "答えがない確からしさ")];
  }
  const items = result.answers.map(({ start, end, score: value }, index) => {
    const { from, to, cutBefore, cutAfter } = sentenceAround(text, start, end);
    const passage = marked(text.slice(from, to), [{ start: start - from, end: end - from, className: "answer" }]);
    const shown = element("span", { class: "passage" }, cutBefore ? "…" : "", passage, cutAfter ? "…" : "");
    return element("li", {}, found(`found-${index}`, shown, score(value, "確からしさ")));
  });
  return [heading("答え"), element("ol", {}, ...items)];
}

export function answerSpans(result) {
  return result.answers.map(({ start, end }, index) => ({
    start,
    end,
    className: index === 0 ? "answer" : "",
    id: `found-${index}`,
  }));
}

export function summary(response) {
  const items = response.sentences
    .filter((sentence) => sentence.selected)
    .map((sentence) =>
      element(
        "li",
        {},
        found(`found-${sentence.index}`, element("span", { class: "passage" }, sentence.text), score(sentence.score, "重要さ")),
      ),
    );
  const title = `要約（${response.sentences.length} 文のうち ${items.length} 文、${[...response.summary].length} 字）`;
  return [heading(title), element("ol", {}, ...items)];
}

export function summarySpans(response) {
  return response.sentences
    .filter((sentence) => sentence.selected)
    .map(({ start, end, index }) => ({ start, end, className: "", id: `found-${index}` }));
}

export function labels(response) {
  const items = response.labels.map(({ label, name, score: value }) =>
    element(
      "li",
      {},
      element("span", { class: "label-name" }, name ?? label),
      name ? element("span", { class: "label-code" }, ` ${label}`) : "",
      score(value, "確からしさ"),
    ),
  );
  return [heading("分野"), element("ol", {}, ...items)];
}

const seconds = (milliseconds) => (milliseconds / 1000).toFixed(2);

export function usage({ model, usage: { tokens, windows }, timings: t }) {
  const parts = windows > 1 ? `（${windows} 区間に分けて、すべて読みました）` : "";
  return (
    `${model}　${tokens.toLocaleString("ja-JP")} トークン${parts}　${seconds(t.total_ms)} 秒` +
    `（語に分ける ${seconds(t.tokenize_ms)}、待つ ${seconds(t.queue_ms)}、読む ${seconds(t.infer_ms)}、まとめる ${seconds(t.decode_ms)}）`
  );
}

export function problem(error) {
  const detail = error.detail
    ? [element("details", {}, element("summary", {}, "詳しく"), element("span", { lang: "en" }, error.detail))]
    : [];
  return [element("p", {}, error.message), ...detail];
}
