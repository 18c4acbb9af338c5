// Files that are dropped, pasted or chosen, and the list of those that are open. This module
// knows how they become documents, and does not know their contents.

import * as api from "./api.js";
import { $, element } from "./dom.js";
import { unreadable, warningOf } from "./errors.js";
import { problem } from "./results.js";

export class Files {
  #documents;
  #failed;
  #reading = Promise.resolve(); // one file after the other, in the order given
  #stop = new AbortController(); // of those that are being read or wait for it

  // `failed(error)` is also called for every error that is shown.
  constructor(documents, failed) {
    this.#documents = documents;
    this.#failed = failed;
    this.#listen();
    documents.addEventListener("change", () => this.#draw());
    documents.addEventListener("show", () => this.#draw());
  }

  open(files) {
    $("file-error").hidden = true;
    $("file-error").replaceChildren();
    const { signal } = this.#stop;
    for (const file of files) this.#reading = this.#reading.then(() => this.#open(file, signal));
  }

  // Settles when every file that was given is open or refused.
  get opened() {
    return this.#reading;
  }

  // Forget the files that are not open yet.
  cancel() {
    this.#stop.abort();
    this.#stop = new AbortController();
  }

  async #open(file, signal) {
    if (signal.aborted) return;
    $("file-status").textContent = `「${file.name}」を読んでいます…`;
    try {
      await read(file.stream().getReader().read()); // fails for a folder, which looks like a file until then
      const extracted = await api.extract(file, signal);
      // Were the file read again for every question, one that was changed on the disk meanwhile would have its answers
      // in wrong places, and one that is gone would look like a server that does not answer.
      const copy = new File([await read(file.arrayBuffer())], file.name);
      signal.throwIfAborted();
      this.#documents.open(copy, extracted);
    } catch (error) {
      if (error.name === "AbortError") return;
      $("file-error").append(element("p", {}, `「${file.name}」を開けませんでした。`), ...problem(error));
      $("file-error").hidden = false;
      this.#failed(error);
    } finally {
      $("file-status").textContent = "";
    }
  }

  #listen() {
    $("file").addEventListener("change", () => {
      this.open([...$("file").files]);
      $("file").value = "";
    });
    document.addEventListener("dragover", (event) => {
      if (!event.dataTransfer.types.includes("Files")) return;
      event.preventDefault(); // or the browser would leave the page for the file
      document.body.classList.add("dropping");
    });
    document.addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) document.body.classList.remove("dropping");
    });
    document.addEventListener("drop", (event) => this.#take(event, event.dataTransfer));
    document.addEventListener("paste", (event) => {
      // Word and Excel put a picture of the text next to the text.
      if (!event.clipboardData.types.includes("text/plain")) this.#take(event, event.clipboardData);
    });
    $("files").addEventListener("click", (event) => this.#click(event));
  }

  #take(event, { files }) {
    document.body.classList.remove("dropping");
    if (files.length === 0) return;
    event.preventDefault();
    this.open([...files]);
  }

  #click(event) {
    const items = [...$("files").children];
    const at = items.findIndex((item) => item.contains(event.target));
    const button = event.target.closest("button");
    if (!button) return;
    if (button.classList.contains("remove")) {
      this.#documents.close(this.#documents.files[at]);
      // The focus goes to what takes the place of the file.
      const left = [...$("files").querySelectorAll(".remove")];
      (left[Math.min(at, left.length - 1)] ?? $("text")).focus();
    } else {
      this.#documents.show(this.#documents.files[at]);
      $("files").children[at].querySelector("button").focus();
    }
  }

  #draw() {
    const { files, shown } = this.#documents;
    $("files").hidden = files.length === 0;
    $("files").replaceChildren(
      ...files.map((document) =>
        element(
          "li",
          {},
          element("button", { type: "button", class: "name", "aria-pressed": String(document === shown) }, document.name),
          element("button", { type: "button", class: "remove", "aria-label": `「${document.name}」を閉じる` }, "×"),
        ),
      ),
    );
    $("warnings").replaceChildren(...warningsOf(shown));
  }
}

// What was read of a file.
function read(bytes) {
  return bytes.catch((error) => {
    throw unreadable(error);
  });
}

// A warning, with the words of the service below it: they name the attachments, lines and encodings.
function noticeOf(warning) {
  const detail = element("details", {}, element("summary", {}, "詳しく"), element("span", { lang: "en" }, warning.warning));
  return element("li", {}, warningOf(warning), detail);
}

function warningsOf({ file, text, pages, warnings }) {
  const scanned = pages.filter((page) => page.scanned).map((page) => page.number);
  const found = [];
  if (scanned.length) found.push(element("p", {}, `${scanned.join("、")} ページは画像だけなので、文字を読めません。文字認識（OCR）をしてから開いてください。`));
  else if (file && !text.trim()) found.push(element("p", {}, "このファイルには文字がありません。"));
  if (warnings.length === 0) return found;
  const listed = element("ul", {}, ...warnings.map(noticeOf));
  return [...found, element("details", {}, element("summary", {}, "読み取りの注意"), listed)];
}
