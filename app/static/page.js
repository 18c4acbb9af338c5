// The parts of the page and their events: each part is told of the changes in the others.

import * as api from "./api.js";
import { Documents } from "./documents.js";
import { DocumentView } from "./documentView.js";
import { $, arrows } from "./dom.js";
import { Files } from "./files.js";
import { LabelLists } from "./labelLists.js";
import { DocumentMap } from "./map.js";
import { Panel } from "./panel.js";
import { Questions } from "./questions.js";
import { partsOf, problem } from "./results.js";
import { offerSamples } from "./samples.js";
import { Summaries } from "./summaries.js";

const documents = new Documents();
const files = new Files(documents, fail);
const view = new DocumentView(fail);
const map = new DocumentMap((block) => view.goToBlock(block, true));
const readings = [make("qa", Questions), make("summarize", Summaries), make("classify", LabelLists)];
const tabs = readings.map((reading) => reading.panel.tab);
let active = readings[0];
let limit = Infinity; // characters of one request
const UNSEEN = /\p{Cf}|\p{Variation_Selector}/gu;

function make(task, Reading) {
  // A file that opened later would be another document, and the request would be cancelled.
  const panel = new Panel(task, () => files.opened.then(() => reading.submit()), fail);
  const reading = new Reading(panel, documents, (target, movePage) => show(reading, target, movePage));
  return reading;
}

// --- The document and what was found in it -------------------------------------------------------------------------

// A reading has something else to show. The document follows the tab that is open.
function show(reading, target, movePage) {
  if (reading !== active) return;
  const span = reading.highlights.spans.find((one) => one.target === target);
  if (span) documents.show(span.document);
  draw();
  for (const button of reading.panel.tabpanel.querySelectorAll(".found")) {
    button.setAttribute("aria-current", String(button.dataset.target === target));
  }
  if (!span) return;
  view.goToMark(target, movePage);
  map.setCurrent(span.start);
}

// The document that is shown, to be read, with what the open tab has found in it.
function draw() {
  const here = ({ document }) => document === documents.shown;
  const { spans, weights, most } = active.highlights;
  view.read(documents.shown, spans.filter(here));
  map.show(documents.shown, weights.filter(here), most);
  map.setCurrent(-1);
}

function write() {
  view.write();
  map.hide();
}

function count() {
  const { text, pages, kind } = documents.shown;
  const characters = (one) => [...one].length;
  const texts = documents.readable.map((document) => document.text);
  if (active === readings[0]) texts.push(...$("question").value.split("\n").map((line) => line.trim()));
  const all = texts.join("");
  // As the server counts: as sent, and without what nobody sees once compatibility characters are written out.
  const over = Math.max(characters(all), characters(all.normalize("NFKC").replaceAll(UNSEEN, ""))) > limit;
  $("count").classList.toggle("over", over);
  $("count").textContent =
    `${characters(text).toLocaleString("ja-JP")} 字` +
    (pages.length ? `・${partsOf(kind, pages.length)}` : "") +
    (over ? `（一度に読めるのは、合わせて ${limit.toLocaleString("ja-JP")} 字までです）` : "");
}

documents.addEventListener("change", () => {
  for (const reading of readings) reading.forget();
  if (documents.shown.file) draw();
  else write();
  count();
});
documents.addEventListener("show", () => {
  draw();
  count();
});
$("text").addEventListener("input", () => documents.type($("text").value));
$("question").addEventListener("input", count);
$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) active.panel.form.requestSubmit();
});
$("edit").addEventListener("click", () => {
  write();
  $("text").focus();
});
offerSamples(documents, (text, questions) => {
  files.cancel();
  documents.closeAll();
  $("text").value = text;
  documents.type(text);
  readings[0].empty();
  $("question").value = questions.join("\n");
});

// A browser puts the text back after a reload, or after going back to the page, once the page is loaded.
addEventListener("pageshow", () => {
  if (documents.files.length === 0 && $("text").value !== documents.shown.text) documents.type($("text").value);
});

// --- Tabs, after the pattern of the ARIA guide: arrows move between them -------------------------------------------

function choose(tab) {
  active = readings.find((reading) => reading.panel.tab === tab);
  for (const reading of readings) {
    const chosen = reading === active;
    reading.panel.tab.setAttribute("aria-selected", String(chosen));
    reading.panel.tab.tabIndex = chosen ? 0 : -1;
    reading.panel.tabpanel.hidden = !chosen;
  }
  if (!view.writing || active.first) show(active, active.first, false);
  count();
}

for (const tab of tabs) {
  tab.addEventListener("click", () => choose(tab));
  tab.addEventListener("keydown", (event) => {
    arrows(event, tabs, ["ArrowLeft", "ArrowRight"], (next) => {
      choose(next);
      next.focus();
    });
  });
}

// --- The server: its models, its limits, its key -------------------------------------------------------------------

function fail(error) {
  if (error.status === 401) $("key-form").hidden = false;
}

async function begin() {
  $("error").hidden = true;
  try {
    const { models, limits, log_texts: logged } = await api.info((reason) => ($("status").textContent = reason));
    $("status").textContent = "";
    limit = limits.max_text_characters;
    count();
    for (const reading of readings) reading.panel.offer(models);
    $("promise").textContent = logged
      ? "文書はこのサーバーの中だけで読まれますが、記録（ログ）に残ります。"
      : "文書はこのサーバーの中だけで読まれ、保存も記録もされません。";
  } catch (error) {
    $("status").textContent = "";
    $("error").replaceChildren(...problem(error));
    $("error").hidden = false;
    fail(error);
  }
}

$("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  api.setKey($("key").value.trim());
  $("key").value = "";
  $("key-form").hidden = true;
  for (const reading of readings) reading.panel.clear();
  begin();
});
begin();
