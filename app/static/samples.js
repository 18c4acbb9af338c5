// Documents to try the page on, each with a question that it answers.

import { $, element } from "./dom.js";
import { errorOf, unreachable } from "./errors.js";
import { problem } from "./results.js";

const SAMPLES = [
  {
    file: "contract.txt",
    title: "契約書",
    about: "架空の駐車場の賃貸借契約書。条と項に番号のある文書です。",
    questions: ["賃料は月額いくらですか", "敷金の残額はいつまでに返してもらえますか", "連帯保証人は誰ですか"],
  },
  {
    file: "minutes.txt",
    title: "議事録",
    about: "架空の自治会の役員会議事録。議題ごとに、報告と決まったことが並びます。",
    questions: ["ごみの収集枠は１台いくらですか", "防犯灯の工事はいつ行われますか"],
  },
  {
    file: "manual.txt",
    title: "取扱説明書",
    about: "架空の掃除機の取扱説明書。箇条書きと表のある文書です。",
    questions: ["充電にはどのくらい時間がかかりますか", "フィルターはどのくらいの頻度で洗いますか"],
  },
  {
    file: "history.txt",
    title: "歴史の文章",
    about: "琵琶湖疏水の歴史についての文章。見出しのない、続いた文章です。",
    questions: ["工事の責任者に選ばれたのは誰ですか"],
  },
];

async function textOf({ file }) {
  const response = await fetch(`static/samples/${file}`).catch((error) => {
    throw unreachable(error);
  });
  if (!response.ok) throw errorOf({}, response.status);
  return (await response.text()).trimEnd();
}

// `take(text, questions)` is called with the one that was chosen.
export function offerSamples(documents, take) {
  $("sample").append(...SAMPLES.map(({ file, title }) => element("option", { value: file }, title)));
  $("sample").addEventListener("change", async () => {
    const sample = SAMPLES.find(({ file }) => file === $("sample").value);
    if (!sample) return;
    $("file-error").hidden = true;
    let text;
    try {
      text = await textOf(sample);
    } catch (error) {
      $("file-error").replaceChildren(...problem(error));
      $("file-error").hidden = false;
      $("sample").value = "";
      return;
    }
    if ($("sample").value !== sample.file) return; // another was chosen, or a text was typed meanwhile
    take(text, sample.questions);
    $("sample").value = sample.file;
    $("about").textContent = `見本：${sample.about}`;
    $("about").hidden = false;
  });
  // What was changed by hand, or opened, is no sample any more.
  documents.addEventListener("change", () => {
    $("sample").value = "";
    $("about").hidden = true;
  });
}
