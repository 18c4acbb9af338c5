// What the controls do.

import * as api from "./api.js";
import * as view from "./view.js";

const $ = (id) => document.getElementById(id);
const tabs = [...document.querySelectorAll('[role="tab"]')];
const forms = [...document.querySelectorAll("form[data-task]")];

let limit = Infinity; // characters of one request
let running = null; // AbortController of the request under way

// --- The document: written in the text area, read in the article -------------------------------------------------

function write() {
  $("text").hidden = false;
  $("reading").hidden = true;
  $("edit").hidden = true;
}

function read(text, spans) {
  $("reading").replaceChildren(view.marked(text, spans));
  $("text").hidden = true;
  $("reading").hidden = false;
  $("edit").hidden = false;
}

function fill(text) {
  $("text").value = text;
  clearResults();
  write();
  count();
}

function count() {
  const characters = [...$("text").value].length;
  const over = characters > limit;
  $("count").classList.toggle("over", over);
  $("count").textContent =
    `${characters.toLocaleString("ja-JP")} 字` + (over ? `（一度に読めるのは ${limit.toLocaleString("ja-JP")} 字までです）` : "");
}

async function openFile(file) {
  try {
    fill(new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer()));
  } catch {
    fail(new api.ApiError(`「${file.name}」は UTF-8 のテキストではありません。UTF-8 で保存してから開いてください。`));
  }
}

// `movePage`: after a click, not when a result arrives, which would take its list out of sight on a small screen.
function show(target, movePage) {
  for (const mark of $("reading").querySelectorAll("mark")) mark.classList.toggle("current", mark.id === target);
  for (const button of $("results").querySelectorAll(".found")) {
    button.setAttribute("aria-current", String(button.dataset.target === target));
  }
  const mark = $(target);
  if (!mark) return;
  const box = $("reading").getBoundingClientRect();
  $("reading").scrollTop += mark.getBoundingClientRect().top - box.top - box.height / 3;
  if (movePage && (box.bottom < 80 || box.top > window.innerHeight - 80)) $("reading").scrollIntoView();
}

// --- Requests ------------------------------------------------------------------------------------------------------

const requests = {
  qa(text) {
    const question = $("question").value;
    if (!question.trim()) throw new api.ApiError("質問を書いてください。");
    const body = { question, context: text, top_k: Number($("answers").value), offset_unit: "utf16" };
    if ($("may-be-absent").checked) body.null_score_diff_threshold = 0;
    return body;
  },
  summarize(text) {
    const [name, value] = $("length").value.split(":");
    return { text, [name]: Number(value), diversity: $("diverse").checked ? 0.5 : 0, offset_unit: "utf16" };
  },
  classify(text) {
    return $("labels").value ? { text, top_k: Number($("labels").value) } : { text };
  },
};

const results = {
  qa(response, text) {
    const [result] = response.results;
    return { elements: view.answers(result, text), spans: view.answerSpans(result) };
  },
  summarize: (response) => ({ elements: view.summary(response), spans: view.summarySpans(response) }),
  classify: (response) => ({ elements: view.labels(response), spans: [] }),
};

async function submit(task) {
  const text = $("text").value;
  clearResults();
  running?.abort();
  const mine = (running = new AbortController());
  try {
    if (!text.trim()) throw new api.ApiError("文書を入れてください。");
    const body = requests[task](text);
    if ($(`model-${task}`).value) body.model = $(`model-${task}`).value;
    $("status").textContent = "読んでいます…";
    const response = await api.post(task, body, mine.signal);
    const { elements, spans } = results[task](response, text);
    $("results").replaceChildren(...elements);
    $("usage").textContent = view.usage(response);
    $("status").textContent = "";
    if (text === $("text").value) read(text, spans);
    const first = $("results").querySelector(".found");
    if (first) show(first.dataset.target, false);
  } catch (error) {
    if (running === mine && error.name !== "AbortError") fail(error);
  }
}

function fail(error) {
  $("status").textContent = "";
  if (error.status === 401) $("key-form").hidden = false;
  $("error").replaceChildren(...view.problem(error));
  $("error").hidden = false;
}

function clearResults() {
  $("error").hidden = true;
  $("results").replaceChildren();
  $("reading").replaceChildren($("text").value);
  $("usage").textContent = "";
  $("status").textContent = "";
}

// --- Tabs, after the pattern of the ARIA guide: arrows move between them -------------------------------------------

function choose(tab) {
  running?.abort();
  clearResults();
  for (const other of tabs) {
    const chosen = other === tab;
    other.setAttribute("aria-selected", String(chosen));
    other.tabIndex = chosen ? 0 : -1;
    $(other.getAttribute("aria-controls")).hidden = !chosen;
  }
}

function moveTab(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const next = tabs[(tabs.indexOf(event.currentTarget) + step + tabs.length) % tabs.length];
  choose(next);
  next.focus();
}

// --- Start ---------------------------------------------------------------------------------------------------------

for (const tab of tabs) {
  tab.addEventListener("click", () => choose(tab));
  tab.addEventListener("keydown", moveTab);
}
for (const form of forms) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(form.dataset.task);
  });
}
$("text").addEventListener("input", count);
$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) forms.find((form) => !form.hidden).requestSubmit();
});
$("edit").addEventListener("click", () => {
  write();
  $("text").focus();
});
$("results").addEventListener("click", (event) => {
  const button = event.target.closest(".found");
  if (button) show(button.dataset.target, true);
});
$("file").addEventListener("change", () => {
  const [file] = $("file").files;
  if (file) openFile(file);
  $("file").value = "";
});
$("sample").addEventListener("click", async () => {
  fill((await (await fetch("static/samples/history.txt")).text()).trimEnd());
  $("question").value ||= "工事の責任者は誰でしたか";
});
count();

async function begin() {
  try {
    const { models, limits, log_texts: logged } = await api.info((reason) => ($("status").textContent = reason));
    $("status").textContent = "";
    limit = limits.max_text_characters;
    count();
    for (const form of forms) offer(form, models);
    $("promise").textContent = logged
      ? "文書はこのサーバーの中だけで読まれますが、記録（ログ）に残ります。"
      : "文書はこのサーバーの中だけで読まれ、保存も記録もされません。";
  } catch (error) {
    fail(error);
  }
}

// The models that a form may choose from.
function offer(form, models) {
  const { task } = form.dataset;
  const names = models.filter((model) => model.task === task).map((model) => model.name);
  $(`model-${task}`).replaceChildren(...names.map((name) => view.element("option", { value: name }, name)));
  form.querySelector(".model").hidden = names.length < 2;
  form.querySelector('[type="submit"]').disabled = names.length === 0;
  form.querySelector(".missing").hidden = names.length > 0;
}

$("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  api.setKey($("key").value.trim());
  $("key").value = "";
  $("key-form").hidden = true;
  clearResults();
  begin();
});
begin();
