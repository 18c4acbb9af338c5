// The documents of the page, and which of them is shown: the text that was pasted, or files. While there are files,
// the pasted text waits. This module does not know how documents are shown.
//
// A document: {name, kind, text, blocks: [{kind, start, end, boxes}], pages, file, warnings}. Offsets are UTF-16 units,
// which is what JavaScript counts in. A document never changes: another text is another document, so results can hold
// the one that they are about.

export class Documents extends EventTarget {
  #typed = typed("");
  #files = [];
  #shown = null; // of the files

  get shown() {
    return this.#shown ?? this.#typed;
  }

  get files() {
    return this.#files;
  }

  // Those that have something to read, in the order in which they are sent.
  get readable() {
    const all = this.#files.length ? this.#files : [this.#typed];
    return all.filter((document) => document.text.trim());
  }

  type(text) {
    this.#typed = typed(text);
    this.#changed();
  }

  // `extracted`: the answer of /extract for `file`.
  open(file, extracted) {
    const document = { ...extracted, name: this.#distinct(extracted.document), file };
    this.#files = [...this.#files, document];
    this.#shown = document;
    this.#changed();
  }

  close(document) {
    const at = this.#files.indexOf(document);
    this.#files = this.#files.filter((other) => other !== document);
    if (this.#shown === document) this.#shown = this.#files[Math.min(at, this.#files.length - 1)] ?? null;
    this.#changed();
  }

  closeAll() {
    this.#files = [];
    this.#shown = null;
    this.#changed();
  }

  // Look at one of the files. No document changes, so results stay.
  show(document) {
    if (!this.#files.includes(document) || this.#shown === document) return;
    this.#shown = document;
    this.dispatchEvent(new Event("show"));
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }

  #distinct(name) {
    const taken = new Set(this.#files.map((document) => document.name));
    let distinct = name;
    for (let number = 2; taken.has(distinct); number += 1) distinct = `${name} (${number})`;
    return distinct;
  }
}

function typed(text) {
  return { name: "貼り付けた文書", kind: "text", text, blocks: linesOf(text), pages: [], file: null, warnings: [] };
}

// Lines that are not blank: the paragraphs of a text whose structure is not known.
function linesOf(text) {
  return [...text.matchAll(/[^\n]*\S[^\n]*/g)].map((line) => ({
    kind: "paragraph",
    start: line.index,
    end: line.index + line[0].length,
  }));
}
