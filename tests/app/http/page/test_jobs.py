"""Long work on the page: progress, and the button to stop it. The server's answers are given by the tests."""

from collections.abc import Mapping

import pytest

from tests.app.http.page.reading import TEXT, WAITING, error, put
from tests.app.http.page.webdriver import Browser

# Stands in for the service: `tell(event, job)` sends an event of the job that the page follows.
FAKE = """
window.deleted = [];
window.fetch = async (path, options = {}) => {
  if (options.method === "DELETE") deleted.push(path);
  if (options.method === "DELETE") return new Response(null, { status: 204 });
  if (path !== "jobs/one") return Response.json({ id: "one" }, { status: 202 });
  const stream = new ReadableStream({
    start(controller) {
      options.signal.addEventListener("abort", () => controller.error(options.signal.reason));
      window.tell = (event, job) => {
        const text = `: hello\\n\\nevent: ${event}\\ndata: ${JSON.stringify(job)}\\n\\n`;
        controller.enqueue(new TextEncoder().encode(text));
      };
    },
  });
  return new Response(stream);
};
"""


@pytest.fixture
def asked(browser: Browser) -> Browser:
    """A question was asked, and the job runs."""
    put(browser, TEXT)
    browser.run(FAKE + "$('#question').value = '何?'; $('#panel-qa form').requestSubmit()")
    browser.wait("window.tell")
    return browser


def tell(browser: Browser, event: str, job: Mapping[str, object]) -> None:
    browser.run("tell(...arguments)", event, job)


def test_progress_is_shown_in_windows(asked: Browser) -> None:
    assert asked.text(".progress [role=status]") == "読んでいます…"
    tell(asked, "progress", {"windows": 12, "windows_done": 5})
    asked.wait("$('.progress [role=status]').textContent === '読んでいます… 5 / 12 区間'")
    assert asked.get("[$('.progress progress').value, $('.progress progress').max]") == [5, 12]


@pytest.mark.parametrize("stop", ["$('.cancel').click()", "$('#question').focus()"])
def test_work_is_cancelled_by_the_button_and_by_escape(asked: Browser, stop: str) -> None:
    asked.run(stop)
    if "focus" in stop:
        asked.press("Escape")
    asked.wait("deleted.length")
    assert asked.get("deleted") == ["jobs/one"]
    assert asked.texts("#questions .note") == [WAITING]
    assert asked.get("$('.progress').hidden") is True
    assert asked.get("$('#panel-qa .error').hidden") is True


def test_a_job_that_fails_is_explained(asked: Browser) -> None:
    tell(asked, "failed", {"status": "failed", "error": {"error": "It broke.", "error_type": "engine_failed"}})
    asked.wait("!$('#panel-qa .error').hidden")
    assert error(asked) == "計算の途中で失敗しました。もう一度お試しください。"
    assert asked.texts("#questions .note") == [WAITING]


def test_work_goes_on_while_another_tab_is_open(asked: Browser) -> None:
    asked.run("$('#tab-summarize').click(); $('#tab-qa').click()")
    tell(asked, "progress", {"windows": 2, "windows_done": 1})
    asked.wait("$('.progress progress').value === 1")
    assert asked.get("deleted") == []


def test_an_answer_to_a_question_that_was_removed_meanwhile_is_dropped(asked: Browser) -> None:
    asked.click("#questions .remove")
    result = {"question": "何?", "answers": [], "null_score": 0.9, "score_diff": 3.0}
    timings = dict.fromkeys(("tokenize_ms", "queue_ms", "infer_ms", "decode_ms", "total_ms"), 1)
    response = {
        "documents": [{"document": "貼り付けた文書"}],
        "results": [result],
        "model": "m",
        "usage": {"tokens": 1, "windows": 1},
        "timings": timings,
    }
    tell(asked, "done", {"status": "done", "result": response})
    asked.wait("$('.usage').textContent")
    assert asked.texts("#questions li") == []
    assert asked.get("$('#reading').hidden") is True
    assert asked.complaints() == []
