// The part that the three tasks share: a form, one request at a time, its progress, and its error. This module does not
// know questions, summaries or labels.

import * as api from "./api.js";
import { $, element } from "./dom.js";
import { problem, usage } from "./results.js";

export class Panel {
  #running = null; // AbortController of the request under way
  #missing = false; // the server has no model for this task
  #status = element("span", { role: "status" });
  #cancel = element("button", { type: "button", class: "cancel", onclick: () => this.cancel() }, "やめる");
  #bar = element("progress", { "aria-label": "読み終えた区間" });
  #progress = element("div", { class: "progress", hidden: true }, this.#status, this.#bar, this.#cancel);
  #error = element("div", { class: "error", role: "alert", hidden: true });
  #usage = element("p", { class: "note usage" });

  models = new Map(); // for the task, by name

  // `failed(error)` is also called for every error that is shown.
  constructor(task, submit, failed) {
    this.task = task;
    this.failed = failed;
    this.form = document.querySelector(`form[data-task="${task}"]`);
    this.tab = $(`tab-${task}`);
    this.tabpanel = $(`panel-${task}`);
    this.form.after(this.#progress, this.#error);
    this.tabpanel.append(this.#usage);
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      submit();
    });
    this.tabpanel.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.isComposing && event.keyCode !== 229) this.cancel();
    });
  }

  get busy() {
    return this.#running !== null;
  }

  get model() {
    const name = $(`model-${this.task}`).value;
    return name ? { model: name } : {};
  }

  // The models that the form may choose from.
  offer(models) {
    this.models = new Map(models.filter((model) => model.task === this.task).map((model) => [model.name, model]));
    const names = [...this.models.keys()];
    $(`model-${this.task}`).replaceChildren(...names.map((name) => element("option", { value: name }, name)));
    this.form.querySelector(".model").hidden = names.length < 2;
    this.form.querySelector('[type="submit"]').disabled = names.length === 0;
    this.#missing = names.length === 0;
    if (this.#missing) this.fail({ message: "この処理に使うモデルがサーバーにありません。" });
    else this.clear();
  }

  // The response, or null when there is none: it was cancelled, or an error is shown.
  async run(request) {
    this.clear();
    const running = (this.#running = new AbortController());
    $("said").textContent = "";
    this.#report(null, null);
    this.#progress.hidden = false;
    try {
      const response = await api.work(request, (...far) => this.#report(...far), running.signal);
      running.signal.throwIfAborted();
      this.#usage.textContent = usage(response);
      $("said").textContent = "結果が出ました。";
      return response;
    } catch (error) {
      if (error.name !== "AbortError") this.fail(error);
      return null;
    } finally {
      this.#running = null;
      const hadFocus = document.activeElement === this.#cancel;
      this.#progress.hidden = true;
      if (hadFocus) this.form.querySelector('[type="submit"]').focus();
    }
  }

  // How far it is, in windows; null before the text was cut into any.
  #report(done, windows) {
    this.#status.textContent = windows === null ? "読んでいます…" : `読んでいます… ${done} / ${windows} 区間`;
    this.#bar.hidden = windows === null;
    this.#bar.max = windows ?? 1;
    this.#bar.value = done ?? 0;
  }

  cancel() {
    this.#running?.abort();
  }

  fail(error) {
    this.#error.replaceChildren(...problem(error));
    this.#error.hidden = false;
    this.failed(error);
  }

  clear() {
    this.#error.hidden = !this.#missing; // why the button is disabled stays in view
    this.#usage.textContent = "";
  }
}
