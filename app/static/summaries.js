// Summaries: the sentences to keep, and how far each of the others is from being kept. Knows /summarize.

import { $ } from "./dom.js";
import { ApiError } from "./errors.js";
import { summary } from "./results.js";

const targetOf = (sentence) => `sentence-${sentence.index}`;

export class Summaries {
  #result = null;

  // As Questions has them.
  constructor(panel, documents, show) {
    this.panel = panel;
    this.documents = documents;
    this.show = show;
    $("summaries").addEventListener("click", (event) => {
      const button = event.target.closest(".found");
      if (button) show(button.dataset.target, true);
    });
  }

  async submit() {
    const [document] = this.documents.readable;
    if (!document) return this.panel.fail(new ApiError("文書を入れてください。"));
    const [name, value] = $("length").value.split(":");
    const diversity = $("diverse").checked ? 0.5 : 0;
    const fields = { text: document.text, [name]: Number(value), diversity, offset_unit: "utf16", ...this.panel.model };
    const response = await this.panel.run({ task: "summarize", fields });
    if (!response || this.documents.readable[0] !== document) return;
    this.#result = response;
    $("summaries").replaceChildren(...summary(response, targetOf));
    this.show(this.first, false);
  }

  forget() {
    this.panel.cancel();
    this.panel.clear();
    this.#result = null;
    $("summaries").replaceChildren();
  }

  // What the document shows: the sentences that were chosen, and on the map all of them, the best one darkest.
  get highlights() {
    const weights = this.#result?.sentences ?? [];
    const spans = weights.filter((sentence) => sentence.selected).map((sentence) => ({
      start: sentence.start,
      end: sentence.end,
      target: targetOf(sentence),
    }));
    return { spans, weights, most: weights.reduce((most, { score }) => Math.max(most, score), 0) };
  }

  get first() {
    return this.highlights.spans[0]?.target ?? null;
  }
}
