// The documents of the page, and which of them is shown. Knows nothing of how they are shown.
//
// A document: {name, text, blocks: [{kind, start, end}]}. Offsets are UTF-16 units, which is what JavaScript counts in.
// A document never changes: another text is another document, so results can hold the one that they are about.

export class Documents extends EventTarget {
  #typed = typed("");

  get shown() {
    return this.#typed;
  }

  // Those that have something to read.
  get readable() {
    return this.#typed.text.trim() ? [this.#typed] : [];
  }

  type(text) {
    this.#typed = typed(text);
    this.dispatchEvent(new Event("change"));
  }
}

function typed(text) {
  return { name: "貼り付けた文書", text, blocks: linesOf(text) };
}

// Lines that are not blank: the paragraphs of a text that nobody has looked at more closely.
function linesOf(text) {
  return [...text.matchAll(/[^\n]*\S[^\n]*/g)].map((line) => ({
    kind: "paragraph",
    start: line.index,
    end: line.index + line[0].length,
  }));
}
