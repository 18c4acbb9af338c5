// The document as people read it: a text area to write in, the text with marks, or the pages of a PDF with boxes.
// This module does not know tasks.

import { $ } from "./dom.js";
import { blocksOf } from "./marks.js";
import { PagesView } from "./pagesView.js";

export class DocumentView {
  #writing = true;
  #asText = false; // a PDF, too
  #document = null;
  #spans = [];
  #target = null;
  #pages;

  // `failed(error)` is called when a page cannot be drawn.
  constructor(failed) {
    this.#pages = new PagesView(failed);
    $("as-text").addEventListener("click", () => {
      this.#asText = !this.#asText;
      this.#draw();
      this.goToMark(this.#target, false);
    });
  }

  get writing() {
    return this.#writing;
  }

  // To be written in, by the person at the page.
  write() {
    this.#writing = true;
    this.#draw();
  }

  // To be read, with marks: [{start, end, boxes, className, target}].
  read(shown, spans) {
    this.#writing = false;
    this.#document = shown;
    this.#spans = spans;
    this.#draw();
  }

  // Show one mark among the others. `movePage`: after a click, not when a result arrives, which would take its list
  // out of sight on a small screen.
  goToMark(target, movePage) {
    this.#target = target;
    if (this.#paged) return this.#scrollTo($("pages"), this.#pages.mark(target), movePage);
    const marks = [...$("reading").querySelectorAll("mark")];
    for (const mark of marks) mark.classList.toggle("current", mark.dataset.target === target);
    const first = marks.find((mark) => mark.dataset.target === target);
    this.#scrollTo($("reading"), first, movePage);
  }

  goToBlock(index, movePage) {
    if (this.#paged) {
      $("pages").scrollTop = this.#pages.topOf(this.#document.blocks[index]) - $("pages").clientHeight / 3;
      this.#movePage($("pages"), movePage);
    } else this.#scrollTo($("reading"), $("reading").querySelector(`[data-block="${index}"]`), movePage);
  }

  get #paged() {
    return !this.#writing && this.#document.kind === "pdf" && !this.#asText;
  }

  #draw() {
    const hadFocus = document.activeElement === $("text");
    $("text").hidden = !this.#writing;
    $("reading").hidden = this.#writing || this.#paged;
    $("pages").hidden = !this.#paged;
    $("edit").hidden = this.#writing || this.#document.file !== null;
    $("as-text").hidden = this.#writing || this.#document.kind !== "pdf";
    $("as-text").textContent = this.#asText ? "ページで表示" : "テキストで表示";
    if (this.#writing) return;
    if (this.#paged) this.#pages.show(this.#document, this.#spans);
    else $("reading").replaceChildren(blocksOf(this.#document, this.#spans));
    if (hadFocus) (this.#paged ? $("pages") : $("reading")).focus({ preventScroll: true });
  }

  #scrollTo(sheet, place, movePage) {
    if (!place) return;
    const box = sheet.getBoundingClientRect();
    sheet.scrollTop += place.getBoundingClientRect().top - box.top - box.height / 3;
    this.#movePage(sheet, movePage);
  }

  #movePage(sheet, movePage) {
    const box = sheet.getBoundingClientRect();
    if (movePage && (box.bottom < 80 || box.top > window.innerHeight - 80)) sheet.scrollIntoView();
  }
}
