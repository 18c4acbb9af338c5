// Labels of a document with their probabilities. Knows /classify.

import { $ } from "./dom.js";
import { ApiError } from "./errors.js";
import { labels } from "./results.js";

export class LabelLists {
  // As Questions has them.
  constructor(panel, documents, show) {
    this.panel = panel;
    this.documents = documents;
    this.show = show;
  }

  async submit() {
    const [document] = this.documents.readable;
    if (!document) return this.panel.fail(new ApiError("文書を入れてください。"));
    const fields = { text: document.text, ...($("labels").value ? { top_k: Number($("labels").value) } : {}) };
    const response = await this.panel.run({ task: "classify", fields: { ...fields, ...this.panel.model } });
    if (!response || this.documents.readable[0] !== document) return;
    $("label-lists").replaceChildren(...labels(response));
    this.show(null, false);
  }

  forget() {
    this.panel.cancel();
    this.panel.clear();
    $("label-lists").replaceChildren();
  }

  highlights = { spans: [], weights: [], most: 1 };
  first = null;
}
