// Requests to the service, with its key. Knows nothing of the page and of what is asked.

import { ApiError, errorOf, unreachable } from "./errors.js";

// Kept until the tab is closed, for this server's address only; no other page can read it.
export function setKey(key) {
  sessionStorage.setItem("key", key);
}

export const hasKey = () => Boolean(sessionStorage.getItem("key"));

// A response that is a success. Throws ApiError; an AbortError when its signal was used.
async function ask(path, options = {}) {
  const key = sessionStorage.getItem("key");
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

// What a task answers. `request`: {task, fields}.
export async function work({ task, fields }, signal) {
  const options = { method: "POST", headers: { "Content-Type": "application/json" }, signal };
  return (await ask(task, { ...options, body: JSON.stringify(fields) })).json();
}

// The models and limits of the server, once it is ready. Calls `waiting(reason)` while it is not. Throws ApiError when
// the server does not want to tell, as without its key.
export async function info(waiting) {
  for (;;) {
    try {
      const response = await fetch("readyz");
      const health = await response.json();
      if (response.ok) return await (await ask("info")).json();
      waiting(health.status === "loading" ? "モデルを読み込んでいます。" : `モデルを使えません。${health.reason ?? ""}`);
    } catch (error) {
      if (error instanceof ApiError) throw error;
      waiting("サーバーにつながりません。");
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}
