// Copies of a result: a quotation with its place, JSON, or a curl command that gives the same result. This module knows
// the clipboard and the shell.

import { hasKey } from "./api.js";
import { $, element } from "./dom.js";
import { parts } from "./request.js";
import { placeOf } from "./results.js";

export function quotation(text, result, document) {
  const place = placeOf(result, document);
  return `「${text.trim()}」${place && `（${place}）`}`;
}

// The request that the page sent, for a shell in the folder of the files. A key is named and never shown.
export function curl({ task, fields, files }) {
  const words = ["curl", "-s", quoted(new URL(task, document.baseURI).href)];
  if (hasKey()) words.push("-H", '"Authorization: Bearer $NAGAYOMI_API_KEY"');
  if (files.length === 0) {
    return `${words.join(" ")} -H 'Content-Type: application/json' -d @- <<'END'\n${JSON.stringify(fields)}\nEND\n`;
  }
  for (const [name, value] of parts(fields)) words.push("--form-string", quoted(`${name}=${value}`));
  for (const { name } of files) words.push("-F", quoted(`file=@"${name.replace(/["\\]/g, "\\$&")}"`));
  return `${words.join(" ")}\n`;
}

const quoted = (word) => `'${word.replaceAll("'", "'\\''")}'`;

// `text`: the quotation, or null where there is none.
export function copyButtons(text, result, request) {
  const choices = [
    ["引用", () => text],
    ["JSON", () => JSON.stringify(result, null, 2)],
    ["curl", () => curl(request)],
  ];
  const buttons = choices
    .filter(([name]) => name !== "引用" || text)
    .map(([name, make]) =>
      element("button", { type: "button", onclick: () => copy(make()), "aria-label": `${name}をコピー` }, name),
    );
  return element("p", { class: "copy" }, element("span", { "aria-hidden": "true" }, "コピー"), ...buttons);
}

async function copy(text) {
  try {
    // Missing where the page came over plain HTTP from another machine.
    await navigator.clipboard.writeText(text);
    $("copied").textContent = "";
    $("copied").textContent = "コピーしました。";
    $("copied").classList.add("shown");
    setTimeout(() => $("copied").classList.remove("shown"), 2000);
  } catch {
    $("copy-text").value = text;
    $("copy-dialog").showModal();
    $("copy-text").select();
  }
}
