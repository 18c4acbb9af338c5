// Requests to the service, its key, and its errors in Japanese. Knows nothing of the page.

const SENTENCES = {
  unauthorized: "このサーバーを使うには鍵が要ります。正しい鍵を入れてください。",
  key_limit: "この鍵で同時に読める量を超えています。前の文書が読み終わるのをお待ちください。",
  invalid_input: "受け付けられない内容です（質問が長すぎる、使えない文字が入っている、など）。",
  malformed_body: "送られた内容を読み取れませんでした。",
  body_too_large: "文書が大きすぎて受け取れません。分けて送ってください。",
  request_too_large: "文書が長すぎます。短くするか、分けて送ってください。",
  model_not_found: "この読み方のモデルが、サーバーにありません。",
  overloaded: "サーバーが混み合っています。",
  unavailable: "サーバーの準備ができていません。しばらくしてから、もう一度お試しください。",
  engine_failed: "計算の途中で失敗しました。もう一度お試しください。",
  body_timeout: "文書の送信に時間がかかりすぎました。もう一度お試しください。",
  deadline_exceeded: "時間内に読み終えられませんでした。文書を短くするか、時間をおいてお試しください。",
  unsupported_media_type: "この形の要求は受け取れません。",
  job_not_found: "その作業は見つかりません。",
  unreadable_file: "ファイルを読み取れません。",
  unsupported_file: "この種類のファイルは読めません。",
  not_text: "文字の文書ではないようです。",
  unknown_encoding: "文字コードが分かりません。",
  broken_file: "ファイルが壊れています。",
  encrypted_file: "ファイルに暗号がかかっています。",
  unsafe_file: "安全に開けないファイルです。",
  file_too_large: "ファイルが大きすぎます。",
  broken_model: "モデルが壊れているため、使えません。",
  provider_unavailable: "サーバーの計算装置が使えません。",
  impossible_table: "サーバーの中で問題が起きました。",
  internal: "サーバーの中で問題が起きました。",
  not_found: "サーバーにこの機能がありません。",
  method_not_allowed: "サーバーにこの機能がありません。",
};

export class ApiError extends Error {
  constructor(sentence, detail, status) {
    super(sentence);
    this.detail = detail;
    this.status = status;
  }
}

// Kept until the tab is closed, for this server's address only; no other page can read it.
export function setKey(key) {
  sessionStorage.setItem("key", key);
}

function withKey(headers) {
  const key = sessionStorage.getItem("key");
  return key ? { ...headers, Authorization: `Bearer ${key}` } : headers;
}

// The answer of one endpoint. Throws ApiError; an AbortError when `signal` was used.
export async function post(task, body, signal) {
  let response;
  try {
    response = await fetch(task, {
      method: "POST",
      headers: withKey({ "Content-Type": "application/json" }),
      body: JSON.stringify(body),
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("サーバーにつながりませんでした。動いているか確かめてください。", String(error));
  }
  if (response.ok) return response.json();
  throw await explain(response);
}

async function explain(response) {
  const error = await response.json().catch(() => ({}));
  let sentence = SENTENCES[error.error_type] ?? `サーバーから予期しない返事がありました（${response.status}）。`;
  const wait = response.headers.get("Retry-After");
  if (wait) sentence += `約 ${wait} 秒後にもう一度お試しください。`;
  const id = error.request_id ? `（受付番号 ${error.request_id}）` : "";
  return new ApiError(sentence, `${error.error ?? response.statusText}${id}`, response.status);
}

// The models and limits of the server, once it is ready. Calls `waiting(reason)` while it is not. Throws ApiError when
// the server does not want to tell, as without its key.
export async function info(waiting) {
  for (;;) {
    try {
      const response = await fetch("readyz");
      const health = await response.json();
      if (response.ok) {
        const described = await fetch("info", { headers: withKey({}) });
        if (described.ok) return await described.json();
        throw await explain(described);
      }
      waiting(health.status === "loading" ? "モデルを読み込んでいます。" : `モデルを使えません。${health.reason ?? ""}`);
    } catch (error) {
      if (error instanceof ApiError) throw error;
      waiting("サーバーにつながりません。");
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}
