// The document as people read it: a text area to write in, or the text with marks. Knows nothing of tasks.

import { $ } from "./dom.js";
import { blocksOf } from "./marks.js";

export class DocumentView {
  #writing = true;
  #document = null;
  #spans = [];

  get writing() {
    return this.#writing;
  }

  // To be written in, by the person at the page.
  write() {
    this.#writing = true;
    this.#draw();
  }

  // To be read, with marks: [{start, end, className, target}].
  read(shown, spans) {
    this.#writing = false;
    this.#document = shown;
    this.#spans = spans;
    this.#draw();
  }

  // Show one mark among the others. `movePage`: after a click, not when a result arrives, which would take its list
  // out of sight on a small screen.
  goToMark(target, movePage) {
    const marks = [...$("reading").querySelectorAll("mark")];
    for (const mark of marks) mark.classList.toggle("current", mark.dataset.target === target);
    this.#scrollTo(marks.find((mark) => mark.dataset.target === target), movePage);
  }

  goToBlock(index, movePage) {
    this.#scrollTo($("reading").querySelector(`[data-block="${index}"]`), movePage);
  }

  #draw() {
    const hadFocus = document.activeElement === $("text");
    $("text").hidden = !this.#writing;
    $("reading").hidden = this.#writing;
    $("edit").hidden = this.#writing;
    if (this.#writing) return;
    $("reading").replaceChildren(blocksOf(this.#document, this.#spans));
    if (hadFocus) $("reading").focus({ preventScroll: true });
  }

  #scrollTo(place, movePage) {
    if (!place) return;
    const box = $("reading").getBoundingClientRect();
    $("reading").scrollTop += place.getBoundingClientRect().top - box.top - box.height / 3;
    if (movePage && (box.bottom < 80 || box.top > window.innerHeight - 80)) $("reading").scrollIntoView();
  }
}
