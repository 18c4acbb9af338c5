// The list of questions with their answers. This module knows requests and responses of /qa.
//
// An entry: {id, question, state: "waiting" | "queued" | "asked" | "done", result, threshold, documents, request, element}.
// It waits until it is asked, and again when it was cancelled, failed, or the documents changed. It is queued while
// others are asked.

import { copyButtons, quotation } from "./copy.js";
import { $, element } from "./dom.js";
import { ApiError } from "./errors.js";
import { byName, requestOf } from "./request.js";
import { answer, score } from "./results.js";

const MOST_CANDIDATES = 20; // of which the map is made
const SHOWN_CANDIDATES = 5;
const NOT_ASKED = "この文書にはまだ質問していません。「答えをさがす」を押すと質問します。";
const LEAST_SCORE = 0.01; // of a candidate that is shown next to the best

export class Questions {
  #entries = [];
  #current = null;
  #made = 0;

  // `panel`: the Panel of the form; `documents`: the Documents; `show(target, movePage)`: something else is current.
  constructor(panel, documents, show) {
    this.panel = panel;
    this.documents = documents;
    this.show = show;
    $("question").addEventListener("keydown", (event) => {
      // Enter ends a word in the making before it sends anything. In Safari the word has ended by now, and 229 tells.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
      event.preventDefault();
      panel.form.requestSubmit();
    });
    $("questions").addEventListener("click", (event) => this.#click(event));
  }

  #add(question, state) {
    const entry = { id: (this.#made += 1), question, state, result: null, element: element("li") };
    this.#entries.push(entry);
    this.#draw(entry);
    $("questions").append(entry.element);
  }

  async submit() {
    const lines = $("question").value.split("\n").map((line) => line.trim()).filter(Boolean);
    const { busy } = this.panel;
    if (!busy && this.documents.readable.length === 0) return this.panel.fail(new ApiError("文書を入れてください。"));
    for (const line of lines) this.#add(line, busy ? "queued" : "waiting");
    $("question").value = "";
    if (busy) return;
    if (this.#in("waiting").length === 0) return this.panel.fail(new ApiError("質問を書いてください。"));
    await this.#ask(this.#in("waiting"));
  }

  async #ask(entries) {
    const documents = this.documents.readable;
    for (const entry of entries) this.#set(entry, { state: "asked" });
    const fields = { top_k: MOST_CANDIDATES, offset_unit: "utf16", ...this.panel.model };
    const question = entries.map((entry) => entry.question);
    const response = await this.panel.run(requestOf("qa", { question, ...fields }, documents));
    const queued = this.#in("queued");
    if (!response) return [...entries, ...queued].forEach((entry) => this.#set(entry, { state: "waiting" }));
    const named = byName(response, documents);
    const threshold = this.panel.models.get(response.model)?.null_score_diff_threshold ?? 0;
    for (const [index, entry] of entries.entries()) {
      const request = requestOf("qa", { question: entry.question, ...fields }, documents);
      this.#set(entry, { state: "done", result: response.results[index], threshold, documents: named, request });
    }
    const first = entries.find((entry) => this.#entries.includes(entry)); // some may have been removed meanwhile
    if (first) this.#choose(first, false);
    if (queued.length) await this.#ask(queued);
  }

  #in(state) {
    return this.#entries.filter((entry) => entry.state === state);
  }

  // The documents have changed: every question waits to be asked again.
  forget() {
    this.panel.cancel();
    this.panel.clear();
    this.#current = null;
    for (const entry of this.#entries) {
      entry.element.removeAttribute("aria-current");
      this.#set(entry, { state: "waiting", result: null });
    }
  }

  empty() {
    this.#entries = [];
    this.#current = null;
    $("questions").replaceChildren();
  }

  // What the document shows of the current question.
  get highlights() {
    if (!this.#current?.result) return { spans: [], weights: [], most: 1 };
    const { result, documents } = this.#current;
    const spans = shownOf(result).map(({ document, start, end, boxes }, index) => ({
      document: documents.get(document),
      start,
      end,
      boxes,
      className: index === 0 && isStated(this.#current) ? "answer" : null,
      target: targetOf(this.#current, index),
    }));
    const weights = result.answers.map((one) => ({ ...one, document: documents.get(one.document) }));
    return { spans, weights, most: 1 };
  }

  get first() {
    return this.#current && targetOf(this.#current, 0);
  }

  #set(entry, changes) {
    Object.assign(entry, changes);
    this.#draw(entry);
  }

  #choose(entry, movePage, target = targetOf(entry, 0)) {
    this.#current = entry;
    for (const { element: item } of this.#entries) item.setAttribute("aria-current", String(item === entry.element));
    this.show(target, movePage);
  }

  #click(event) {
    const entry = this.#entries.find((one) => one.element.contains(event.target));
    const button = event.target.closest("button");
    if (!entry || !button) return;
    if (button.classList.contains("remove")) this.#remove(entry);
    else if (button.classList.contains("found")) this.#choose(entry, true, button.dataset.target);
  }

  // The focus goes to what takes the place of the entry.
  #remove(entry) {
    const at = this.#entries.indexOf(entry);
    this.#entries.splice(at, 1);
    entry.element.remove();
    const next = this.#entries[Math.min(at, this.#entries.length - 1)];
    (next?.element.querySelector(".remove") ?? $("question")).focus();
    if (this.#current !== entry) return;
    this.#current = null;
    this.show(null, false);
  }

  #draw(entry) {
    const remove = element("button", { type: "button", class: "remove", "aria-label": `「${entry.question}」を消す` }, "×");
    const head = element("div", { class: "row" }, element("h3", {}, entry.question), remove);
    entry.element.dataset.state = entry.state;
    entry.element.replaceChildren(head, ...bodyOf(entry));
  }
}

// The service always gives its best spans; whether the document answers at all, the null score says, by the threshold
// that was fitted for the model that answered.
const isStated = ({ result, threshold }) => result.answers.length > 0 && result.score_diff <= threshold;

const shownOf = ({ answers }) =>
  answers.slice(0, SHOWN_CANDIDATES).filter((one, index) => index === 0 || one.score >= LEAST_SCORE);

const targetOf = (entry, index) => `question-${entry.id}-${index}`;

function bodyOf(entry) {
  if (entry.state === "asked") return [element("p", { class: "note" }, "読んでいます…")];
  if (entry.state === "queued") return [element("p", { class: "note" }, "前の質問の答えが出てから読みます。")];
  if (entry.state === "waiting") return [element("p", { class: "note" }, NOT_ASKED)];
  const { result, documents, request } = entry;
  const best = shownOf(result);
  const shown = best.map((one, index) => answer(one, documents.get(one.document), targetOf(entry, index)));
  const buttons = copyButtons(best[0] && quotation(best[0].sentence.text, best[0], documents.get(best[0].document)), result, request);
  const foot = (title, rest) => element("div", { class: "foot" }, ...others(title, rest), buttons);
  if (isStated(entry)) return [shown[0], foot("ほかの候補", shown.slice(1))];
  const verdict = element("p", { class: "absent" }, "この文書には書かれていません");
  return [verdict, score(result.null_score, "書かれていない確率"), foot("それでも近いところ", shown)];
}

function others(title, shown) {
  if (shown.length === 0) return [];
  const items = shown.map((one) => element("li", {}, one));
  const summary = element("summary", {}, `${title}（${shown.length} 件）`);
  return [element("details", {}, summary, element("ol", { class: "entries" }, ...items))];
}
