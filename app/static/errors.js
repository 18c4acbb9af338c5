// Messages for errors, in Japanese. This module knows the `error_type` of app/errors.py, and does not know the page.

const SENTENCES = {
  unauthorized: "このサーバーを使うには API キーが必要です。正しいキーを入力してください。",
  key_limit: "このキーで同時に処理できる量を超えています。前の文書の処理が終わるまでお待ちください。",
  invalid_input: "受け付けられない内容です（質問が長すぎる、使えない文字が入っている、など）。",
  malformed_body: "送られた内容を読み取れませんでした。",
  body_too_large: "文書が大きすぎて受け取れません。分けて送ってください。",
  request_too_large: "文書が長すぎます。短くするか、分けて送ってください。",
  model_not_found: "この処理に使うモデルがサーバーにありません。",
  overloaded: "サーバーが混み合っています。",
  unavailable: "サーバーの準備ができていません。しばらくしてから、もう一度お試しください。",
  engine_failed: "計算の途中で失敗しました。もう一度お試しください。",
  body_timeout: "文書の送信に時間がかかりすぎました。もう一度お試しください。",
  deadline_exceeded: "時間内に読み終えられませんでした。文書を短くするか、時間をおいてお試しください。",
  unsupported_media_type: "この形式のリクエストは受け付けられません。",
  job_not_found: "処理中のジョブがサーバーに残っていません。もう一度お試しください。",
  unreadable_file: "ファイルを読み取れません。",
  unsupported_file: "この種類のファイルは読めません。",
  not_text: "テキストの文書ではないようです。",
  unknown_encoding: "文字コードが分かりません。",
  broken_file: "ファイルが壊れています。",
  encrypted_file: "ファイルがパスワードで保護されています。保護を解除して保存し直してから開いてください。",
  unsafe_file: "安全に開けないファイルです。",
  file_too_large: "ファイルが大きすぎるか、読むのに時間がかかりすぎます。分けて開いてください。",
  broken_model: "モデルが壊れているため、使えません。",
  provider_unavailable: "サーバーの計算装置が使えません。",
  impossible_table: "サーバーの中で問題が起きました。",
  internal: "サーバーの中で問題が起きました。",
  not_found: "サーバーにこの機能がありません。",
  method_not_allowed: "サーバーにこの機能がありません。",
};

// What the service says of a file that it read, by `warning_type` as app/files/warnings.py has it.
const WARNINGS = {
  no_text: "文字がありません。",
  pages_without_text: "画像だけで文字を読めないページがあります",
  damaged_pages: "壊れていて読めないページがあります",
  unnamed_characters: "どの文字か分からないところがあり、� になっています",
  recognised_text: "画像から文字認識（OCR）で読み取られた文字です。誤りがあるかもしれません",
  hidden_slides: "非表示のスライドも読みました",
  missing_slides: "ファイルの中に見つからないスライドがあります",
  hidden_sheets: "非表示のシートも読みました",
  hidden_cells: "非表示の行や列も読みました",
  missing_sheets: "ファイルの中に見つからないシートがあります",
  formulas_without_result: "計算結果が保存されていない数式は読んでいません。Excel で開いて保存し直すと読めます。",
  missing_chapters: "本の中に見つからない章があります。",
  embedded_file: "文書に埋め込まれた別のファイルは読んでいません。",
  attached_files: "添付ファイルは読んでいません。",
  mail_part: "メールの一部を読めませんでした。",
  header_cut: "長すぎるヘッダーを途中で切りました。",
  nested_text: "深く入れ子になった部分は読んでいません。",
  struck_out_text: "取り消し線の引かれた文字は読んでいません。",
  unknown_charset: "書かれている文字コードの名前が分からないため、内容から判断しました。",
  wrong_charset: "書かれている文字コードが違うため、内容から判断しました。",
  damaged_text: "文字として読めないところがあり、� になっています。",
};

// A warning in Japanese, with its pages if it has some: {warning, warning_type, pages}.
export function warningOf({ warning_type: type, pages }) {
  const sentence = WARNINGS[type] ?? "読み取れなかった部分があります。";
  return pages.length ? `${sentence}（${pages.join("、")}）。` : sentence;
}

// `sentence` is for everyone; `detail`, in English, gives more.
export class ApiError extends Error {
  constructor(sentence, detail, status) {
    super(sentence);
    this.detail = detail;
    this.status = status;
  }
}

// `error`: {error, error_type, request_id?} as the service sends it, as far as it did.
export function errorOf(error, status, retryAfter) {
  let sentence = SENTENCES[error.error_type] ?? `サーバーから予期しない応答がありました（${status}）。`;
  if (retryAfter) sentence += `約 ${retryAfter} 秒後にもう一度お試しください。`;
  const id = error.request_id ? `（受付番号 ${error.request_id}）` : "";
  return new ApiError(sentence, `${error.error ?? ""}${id}`, status);
}

export const unreachable = (error) =>
  new ApiError("サーバーにつながりませんでした。動いているか確かめてください。", String(error));

export const unreadable = (error) =>
  new ApiError(
    "ファイルの中身を読み出せません。フォルダーは開けません。移動したり書き換えたりしたファイルは、開き直してください。",
    String(error),
  );
