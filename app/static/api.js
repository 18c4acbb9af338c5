// Requests to the service, with its key. This module knows the HTTP interface, and does not know the page.

import { ApiError, errorOf, unreachable } from "./errors.js";
import { parts } from "./request.js";

// Kept until the tab is closed, for this server's address only; no other page can read it.
export function setKey(key) {
  sessionStorage.setItem("key", key);
}

export const hasKey = () => Boolean(sessionStorage.getItem("key"));

const running = new Set(); // addresses of jobs

// A response that is a success. Throws ApiError; an AbortError when its signal was used.
async function ask(path, options = {}) {
  const key = sessionStorage.getItem("key");
  // fetch would throw at a header with other characters, as if there were no server.
  if (key && !/^[\x21-\x7e]+$/.test(key)) throw errorOf({ error_type: "unauthorized" }, 401);
  const headers = { ...options.headers, ...(key ? { Authorization: `Bearer ${key}` } : {}) };
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw unreachable(error);
  }
  if (response.ok) return response;
  const error = await response.json().catch(() => ({ error: response.statusText }));
  throw errorOf(error, response.status, response.headers.get("Retry-After"));
}

function form(fields, files) {
  const body = new FormData();
  for (const [name, value] of parts(fields)) body.append(name, value);
  for (const file of files) body.append("file", file, file.name);
  return body;
}

// The text of a file, with blocks, pages and boxes.
export async function extract(file, signal) {
  const body = form({ boxes: true, offset_unit: "utf16" }, [file]);
  return (await ask("extract", { method: "POST", body, signal })).json();
}

// A page of a PDF as a picture, a Blob.
export async function render(file, page, width, signal) {
  return (await ask("render", { method: "POST", body: form({ page, width }, [file]), signal })).blob();
}

// What a task answers, asked as a job: `progress(done, windows)` is called as it proceeds. Aborting cancels the job.
// `request`: as requestOf makes it.
export async function work({ task, fields, files }, progress, signal) {
  const options = files.length
    ? { headers: {}, body: form(fields, files) }
    : { headers: { "Content-Type": "application/json" }, body: JSON.stringify(fields) };
  options.headers.Prefer = "respond-async";
  const response = await ask(task, { ...options, method: "POST", signal });
  if (response.status !== 202) return response.json(); // little to read, or a server without jobs
  // Below the page, wherever a proxy has put it.
  const path = `jobs/${(await response.json()).id}`;
  running.add(path);
  try {
    const job = await follow(path, progress, signal);
    if (job.status === "done") return job.result;
    throw errorOf(job.error ?? { error_type: "job_not_found" }, response.status);
  } finally {
    forget(path);
  }
}

// The job once it is over. The stream may end early, as behind a proxy that is in a hurry: then it is asked for again.
async function follow(path, progress, signal) {
  for (;;) {
    const response = await ask(path, { headers: { Accept: "text/event-stream" }, signal });
    try {
      for await (const { event, data } of events(response.body)) {
        if (event !== "progress") return data;
        if (data.windows !== null) progress(data.windows_done, data.windows);
      }
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // the connection was lost
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
    signal.throwIfAborted();
  }
}

// Server-sent events. EventSource sends no key.
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const all = (text + value.replaceAll("\r", "")).split("\n\n");
    text = all.pop();
    for (const one of all) {
      const fields = Object.fromEntries(one.split("\n").map((line) => line.split(/: ?(.*)/s, 2)));
      if (fields.event) yield { event: fields.event, data: JSON.parse(fields.data) };
    }
  }
}

// Cancels the job where it runs, and gives back the room of its result where it is done.
function forget(path) {
  running.delete(path);
  ask(path, { method: "DELETE", keepalive: true }).catch(() => {}); // it is forgotten in time by itself
}

addEventListener("pagehide", () => running.forEach(forget));

// What a server that is not ready is doing, by its status.
const STATES = {
  loading: "モデルを読み込んでいます。",
  recovering: "モデルを起動し直しています。",
  draining: "サーバーを終了しています。",
  closed: "サーバーを終了しています。",
};

// The models and limits of the server, once it is ready. Calls `waiting(reason)` while it is not. Throws ApiError when
// the server refuses to say, for example without a key.
export async function info(waiting) {
  for (;;) {
    try {
      const response = await fetch("readyz");
      const health = await response.json();
      if (response.ok) return await (await ask("info")).json();
      waiting(STATES[health.status] ?? "モデルを使えません。");
    } catch (error) {
      if (error instanceof ApiError) throw error;
      waiting("サーバーにつながりません。");
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}
