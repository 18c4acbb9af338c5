// The pages of a PDF as pictures, each drawn by the service when it comes near, with boxes on top. This module
// knows pages and boxes in points, and does not know tasks.

import * as api from "./api.js";
import { $ } from "./dom.js";

const MOST_PIXELS = 2000; // of a picture from left to right

export class PagesView {
  #figures = [];
  #document = null;
  #near = null; // IntersectionObserver
  #drawing = Promise.resolve(); // one picture at a time: each costs the service a process

  // `failed(error)` is called when a page cannot be drawn.
  constructor(failed) {
    this.failed = failed;
  }

  // `spans`: [{boxes, className, target}].
  show(document, spans) {
    if (this.#document !== document) this.#build(document);
    for (const figure of this.#figures) figure.querySelector("svg").replaceChildren();
    for (const { boxes, className, target } of [...spans].reverse()) {
      for (const box of boxes ?? []) this.#box(box, className, target);
    }
  }

  // The first box of a target, once it is marked as the one that is looked at.
  mark(target) {
    const rects = [...$("pages").querySelectorAll("rect")];
    for (const rect of rects) rect.classList.toggle("current", rect.dataset.target === target);
    return rects.find((rect) => rect.dataset.target === target);
  }

  // How far from the top of all pages a block begins, in pixels.
  topOf({ start, boxes }) {
    const number = boxes?.[0]?.page ?? this.#document.pages.findLast((page) => page.start <= start)?.number ?? 1;
    const figure = this.#figures[number - 1];
    const { height } = this.#document.pages[number - 1];
    return figure.offsetTop + ((boxes?.[0]?.top ?? 0) / height) * figure.clientHeight;
  }

  #build(document) {
    this.#near?.disconnect();
    this.#document = document;
    this.#figures = document.pages.map(({ number, width, height }) => {
      const figure = $("page-template").content.firstElementChild.cloneNode(true);
      figure.dataset.page = number;
      figure.querySelector("svg").setAttribute("viewBox", `0 0 ${width} ${height}`);
      figure.querySelector("canvas").setAttribute("aria-label", `${number} ページ`);
      figure.querySelector("figcaption").textContent = caption(number, document);
      return figure;
    });
    $("pages").replaceChildren(...this.#figures);
    $("pages").scrollTop = 0;
    // Pages within one and a half screens keep their picture; pictures of all pages of a book would fill the memory.
    this.#near = new IntersectionObserver((entries) => entries.forEach((entry) => this.#moved(entry)), {
      root: $("pages"),
      rootMargin: "150% 0px",
    });
    for (const figure of this.#figures) this.#near.observe(figure);
  }

  #moved({ target: figure, isIntersecting }) {
    figure.classList.toggle("near", isIntersecting);
    if (isIntersecting) this.#drawing = this.#drawing.then(() => this.#draw(figure, this.#document));
    else this.#clear(figure);
  }

  async #draw(figure, document) {
    const canvas = figure.querySelector("canvas");
    const { classList } = figure;
    if (this.#document !== document || !classList.contains("near") || classList.contains("drawn")) return;
    try {
      const width = Math.min(MOST_PIXELS, Math.ceil(figure.clientWidth * devicePixelRatio) || MOST_PIXELS / 2);
      const picture = await createImageBitmap(await api.render(document.file, Number(figure.dataset.page), width));
      canvas.width = picture.width;
      canvas.height = picture.height;
      canvas.getContext("2d").drawImage(picture, 0, 0);
      classList.add("drawn");
      figure.querySelector("figcaption").textContent = caption(figure.dataset.page, document);
    } catch (error) {
      figure.querySelector("figcaption").textContent = `${figure.dataset.page} ページを描けませんでした。${error.message}`;
      this.failed(error);
    }
  }

  #clear(figure) {
    figure.querySelector("canvas").width = 0;
    figure.classList.remove("drawn");
  }

  #box({ page, left, top, right, bottom }, className, target) {
    const svg = this.#figures[page - 1]?.querySelector("svg");
    const rect = $("page-template").content.querySelector("rect").cloneNode();
    const sides = { x: left, y: top, width: right - left, height: bottom - top, rx: 1 };
    for (const [name, value] of Object.entries(sides)) rect.setAttribute(name, value);
    if (className) rect.classList.add(className);
    rect.dataset.target = target;
    svg?.append(rect);
  }
}

const caption = (number, document) => `${number} / ${document.pages.length}`;
