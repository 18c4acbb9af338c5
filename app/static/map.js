// The map: a narrow column with one line for each paragraph of the document, darker where results are likely. This
// module knows blocks and weights, and does not know tasks.

import { $, arrows, element } from "./dom.js";

const MAX_LINES = 160; // that a hand can still point at; past it, a line stands for several paragraphs
const LENGTHS = [20, 60, 140, 300]; // characters of a paragraph where its line gets longer
const TITLE_CHARACTERS = 40;

export class DocumentMap {
  #document = null;
  #lines = []; // [{button, first, start, end}]: of the first block, and of all its text

  // `go(block)` is called with the index of a block that was chosen.
  constructor(go) {
    $("map").addEventListener("click", (event) => this.#choose(event.target.closest("button"), go));
    $("map").addEventListener("keydown", (event) => {
      const buttons = this.#lines.map((line) => line.button);
      arrows(event, buttons, ["ArrowUp", "ArrowDown"], (button) => {
        button.focus();
        this.#choose(button, go);
      });
    });
  }

  hide() {
    $("map").hidden = $("map-note").hidden = true;
  }

  // `weights`: [{start, end, score}]. `most`: the score that is darkest; with 1, scores are probabilities.
  show(shown, weights, most = 1) {
    if (this.#document !== shown) this.#build(shown);
    $("map").hidden = $("map-note").hidden = false;
    for (const { button, title, start, end } of this.#lines) {
      const inside = weights.filter((weight) => weight.start < end && start < weight.end);
      const score = inside.reduce((best, weight) => Math.max(best, weight.score), 0);
      button.dataset.level = levelOf(most > 0 ? score / most : 0, most === 1);
      button.title = inside.length ? `${title}　${(score * 100).toFixed(1)} %` : title;
    }
  }

  // Mark the line of an offset as the one that was gone to.
  setCurrent(offset) {
    const current = this.#lines.findLast((line) => line.start <= offset);
    for (const line of this.#lines) {
      line.button.setAttribute("aria-current", String(line === current));
      line.button.tabIndex = line === (current ?? this.#lines[0]) ? 0 : -1;
    }
  }

  #build(shown) {
    this.#document = shown;
    const blocks = [...shown.blocks.entries()].filter(([, block]) => block.kind !== "furniture");
    const several = Math.max(1, Math.ceil(blocks.length / MAX_LINES));
    this.#lines = [];
    for (let at = 0; at < blocks.length; at += several) {
      const part = blocks.slice(at, at + several);
      const [first, { start }] = part[0];
      const { end } = part.at(-1)[1];
      const length = LENGTHS.filter((characters) => end - start > characters * several).length;
      const numbers = several > 1 ? `段落 ${at + 1}–${at + part.length}` : `段落 ${at + 1}`;
      const title = `${numbers}：${beginning(shown.text.slice(start, end), TITLE_CHARACTERS)}`;
      const attributes = { type: "button", title, "aria-label": title, tabindex: at ? -1 : 0 };
      const button = element("button", { ...attributes, "data-length": length });
      this.#lines.push({ button, title, first, start, end });
    }
    $("map").replaceChildren(...this.#lines.map((line) => line.button));
  }

  #choose(button, go) {
    const line = this.#lines.find((one) => one.button === button);
    if (!line) return;
    this.setCurrent(line.start);
    go(line.first);
  }
}

// The first characters of a text, whole as a reader sees them (grapheme clusters).
function beginning(text, characters) {
  const first = [];
  for (const { segment } of new Intl.Segmenter("ja").segment(text)) {
    if (first.push(segment) === characters) break;
  }
  return first.join("");
}

// 0 for nothing to 5 for the darkest. Probabilities of answers fall off steeply; what else is weighed does not.
function levelOf(share, isProbability) {
  const steps = isProbability ? [0.001, 0.01, 0.05, 0.2, 0.5] : [0.15, 0.3, 0.45, 0.65, 0.85];
  return steps.filter((step) => share >= step).length;
}
