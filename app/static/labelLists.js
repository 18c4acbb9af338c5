// Labels of documents with their probabilities. This module knows /classify.

import { copyButtons } from "./copy.js";
import { $ } from "./dom.js";
import { ApiError } from "./errors.js";
import { byName, requestOf } from "./request.js";
import { labels } from "./results.js";

export class LabelLists {
  // As Questions has them.
  constructor(panel, documents, show) {
    this.panel = panel;
    this.documents = documents;
    this.show = show;
  }

  async submit() {
    if (this.panel.busy) return;
    const documents = this.documents.readable;
    if (documents.length === 0) return this.panel.fail(new ApiError("文書を入れてください。"));
    const fields = { ...($("labels").value ? { top_k: Number($("labels").value) } : {}), ...this.panel.model };
    const request = requestOf("classify", fields, documents);
    const response = await this.panel.run(request);
    if (!response) return;
    const named = byName(response, documents);
    const shown = response.results.flatMap((result) => labels(result, named.get(result.document)));
    $("label-lists").replaceChildren(...shown, copyButtons(null, response, request));
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
