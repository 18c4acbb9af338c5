// Summaries: the sentences to keep, and how far each of the others is from being kept. This module knows /summarize.

import { copyButtons, quotation } from "./copy.js";
import { $ } from "./dom.js";
import { ApiError } from "./errors.js";
import { byName, requestOf } from "./request.js";
import { summary } from "./results.js";

export class Summaries {
  #sentences = []; // of all documents, each with its document and target

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
    if (this.panel.busy) return;
    const documents = this.documents.readable;
    if (documents.length === 0) return this.panel.fail(new ApiError("文書を入れてください。"));
    const [name, value] = $("length").value.split(":");
    const diversity = $("diverse").checked ? 0.5 : 0;
    const fields = { [name]: Number(value), diversity, offset_unit: "utf16", ...this.panel.model };
    const request = requestOf("summarize", fields, documents);
    const response = await this.panel.run(request);
    if (!response) return;
    this.#draw(response, byName(response, documents), request);
    this.show(this.first, false);
  }

  forget() {
    this.panel.cancel();
    this.panel.clear();
    this.#sentences = [];
    $("summaries").replaceChildren();
  }

  // What the document shows: the sentences that were chosen, and on the map all of them, the best one darkest.
  get highlights() {
    const spans = this.#sentences.filter((sentence) => sentence.selected);
    const most = this.#sentences.reduce((best, { score }) => Math.max(best, score), 0);
    return { spans, weights: this.#sentences, most };
  }

  get first() {
    return this.highlights.spans[0]?.target ?? null;
  }

  #draw(response, documents, request) {
    this.#sentences = [];
    const shown = response.results.flatMap((result, at) => {
      const document = documents.get(result.document);
      const targetOf = (sentence) => `sentence-${at}-${sentence.index}`;
      this.#sentences.push(...result.sentences.map((one) => ({ ...one, document, target: targetOf(one) })));
      return summary(result, document, targetOf);
    });
    const chosen = this.#sentences.filter((sentence) => sentence.selected);
    const quoted = chosen.map((sentence) => quotation(sentence.text, sentence, sentence.document)).join("\n");
    $("summaries").replaceChildren(...shown, copyButtons(quoted, response, request));
  }
}
