"""Scores of predictors that are known, and the command on tiny models as they are served."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.cli import main
from app.errors import InvalidInput
from app.manifest import Manifest, Metric
from app.schemas import ClassifyRequest, QaRequest, SummarizeRequest
from app.service import Service
from tests.training.conftest import squad, write_json, write_jsonl
from training.data import DataError, LabelledText, QuestionExample, SummaryExample
from training.evaluate import (
    QUESTIONS_A_REQUEST,
    evaluation_settings,
    score_labels,
    score_questions,
    score_summaries,
)
from training.metrics import greedy_oracle

QUESTIONS = [
    QuestionExample(f"{context}-{index}", f"{index}番は?", f"{context}の何番。", ((f"{index}番", 2),))
    for context in "甲乙"
    for index in range(QUESTIONS_A_REQUEST + 3)
]
SUMMARIES = [
    SummaryExample(("寺は古い。", "山がある。", "川が流れる。", "都であった。"), "川が流れる都であった"),
    SummaryExample(("甲。", "乙。"), "乙"),
]


class KnownService:
    """Answers from a table of what it should say."""

    def __init__(self, answers: dict[str, str]) -> None:
        self.answers = answers
        self.requests: list[QaRequest] = []

    async def qa(self, request: QaRequest) -> Any:
        self.requests.append(request)
        results = [
            SimpleNamespace(answers=[SimpleNamespace(text=self.answers[q])] if q in self.answers else [])
            for q in request.questions
        ]
        return SimpleNamespace(results=results)

    async def classify(self, request: ClassifyRequest) -> Any:
        return SimpleNamespace(labels=[SimpleNamespace(label=self.answers[request.text])])

    async def summarize(self, request: SummarizeRequest) -> Any:
        return SimpleNamespace(summary=self.answers[request.text])


def _service(answers: dict[str, str]) -> Service:
    return cast(Service, KnownService(answers))


async def test_a_perfect_reader_scores_one() -> None:
    examples = [*QUESTIONS, QuestionExample("none", "無い?", "丙。", ())]
    service = KnownService({e.question: e.answers[0][0] for e in QUESTIONS})
    assert await score_questions(cast(Service, service), "m", examples) == {"n": 39, "em": 1.0, "f1": 1.0}
    assert max(len(request.questions) for request in service.requests) == QUESTIONS_A_REQUEST
    assert len(service.requests) == 5


async def test_a_reader_that_is_half_right() -> None:
    examples = [
        QuestionExample("1", "一?", "京都府。", (("京都", 0),)),
        QuestionExample("2", "二?", "大阪。", (("大阪", 0), ("大", 0))),
    ]
    scores = await score_questions(_service({"一?": "京都府", "二?": "大"}), "m", examples)
    assert scores == {"n": 2, "em": 0.5, "f1": 0.9}


async def test_a_reader_that_never_answers() -> None:
    assert await score_questions(_service({}), "m", QUESTIONS[:3]) == {"n": 3, "em": 0.0, "f1": 0.0}


async def test_labels() -> None:
    examples = [LabelledText("一", "A"), LabelledText("二", "A"), LabelledText("三", "A"), LabelledText("四", "B")]
    perfect = await score_labels(_service({"一": "A", "二": "A", "三": "A", "四": "B"}), "m", examples)
    assert perfect == {"n": 4, "accuracy": 1.0, "macro_f1": 1.0, "majority": 0.75}
    constant = await score_labels(_service(dict.fromkeys("一二三四", "A")), "m", examples)
    assert constant == {"n": 4, "accuracy": 0.75, "macro_f1": round(6 / 7 / 2, 4), "majority": 0.75}


async def test_summaries_that_are_the_oracles() -> None:
    picked = {
        "\n".join(e.sentences): "".join(e.sentences[i] for i in greedy_oracle(e.sentences, e.summary, 3))
        for e in SUMMARIES
    }
    scores = await score_summaries(_service(picked), "m", SUMMARIES)
    assert list(scores) == ["n", "bigram_f1", "lead", "oracle", "rouge1", "rouge2", "rougeL"]
    assert scores["bigram_f1"] == scores["oracle"] == scores["rouge2"] > scores["lead"]


async def test_the_first_failure_ends_the_evaluation() -> None:
    class Failing(KnownService):
        async def qa(self, request: QaRequest) -> Any:
            raise InvalidInput("The question is too long.")

    with pytest.raises(InvalidInput, match="too long"):
        await score_questions(cast(Service, Failing({})), "m", QUESTIONS)


async def test_items_that_no_service_takes_are_named() -> None:
    with pytest.raises(DataError, match=r"Question q7 is nothing the service takes: context: .*white space"):
        await score_questions(_service({}), "m", [QuestionExample("q7", "何?", " ", ())])
    with pytest.raises(DataError, match=r"The text '' of the class A is nothing"):
        await score_labels(_service({}), "m", [LabelledText("", "A")])
    with pytest.raises(DataError, match="nothing to score"):
        await score_questions(_service({}), "m", [])


def test_the_limits_of_a_server_do_not_hold(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NAGAYOMI_MODEL_STORE", str(tmp_path))
    for name in ("MAX_TEXT_CHARACTERS", "MAX_QUESTIONS", "MAX_REQUEST_TOKENS", "MAX_QUEUE_TOKENS", "REQUEST_TIMEOUT_S"):
        monkeypatch.setenv(f"NAGAYOMI_{name}", "1")
    settings = evaluation_settings(None)
    assert settings.model_store == tmp_path
    # 8 requests at once of a book of a million characters with 16 questions, read with a stride of an eighth.
    assert settings.max_queue_tokens >= settings.max_request_tokens >= 8 * 16 * 1_000_000
    assert settings.max_text_characters >= 1_000_000
    assert settings.max_questions >= QUESTIONS_A_REQUEST
    assert settings.request_timeout_s > 7 * 24 * 3600
    assert evaluation_settings(tmp_path / "other").model_store == tmp_path / "other"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    paragraph = "東京は日本の首都である。夏目漱石は小説家である。" * 20
    questions = [("首都は?", "東京"), *[(f"{n}番目の小説家は?", "夏目漱石") for n in range(20)]]
    write_json(tmp_path / "qa.json", squad({"東京": [(paragraph, questions), (paragraph, questions[:2])]}))
    write_jsonl(tmp_path / "classify.jsonl", [{"text": "大阪城", "label": "BLD"}, {"text": "明治", "label": "HST"}])
    text = "東京は日本の首都である。富士山は高い。京都は都であった。大阪城がある。"
    write_jsonl(tmp_path / "summarize.jsonl", [{"text": text, "summary": "京都は都"}])
    return tmp_path


@pytest.mark.parametrize(
    ("task", "file", "options", "keys"),
    [
        ("qa", "qa.json", [], ["n", "em", "f1"]),
        ("qa", "qa.json", ["--context", "article", "--limit", "18"], ["n", "em", "f1"]),
        ("classify", "classify.jsonl", [], ["n", "accuracy", "macro_f1", "majority"]),
        (
            "summarize",
            "summarize.jsonl",
            [],
            ["n", "bigram_f1", "lead", "oracle", "rouge1", "rouge2", "rougeL"],
        ),
    ],
)
def test_the_command_on_a_served_model(
    task: str,
    file: str,
    options: list[str],
    keys: list[str],
    data: Path,
    tiny_store: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("NAGAYOMI_MODEL_STORE", str(tiny_store))
    monkeypatch.setenv("NAGAYOMI_MAX_TEXT_CHARACTERS", "100")
    monkeypatch.setenv("NAGAYOMI_INTRA_OP_THREADS", "1")
    assert main(["evaluate", "--task", task, "--model", f"tiny-{task}", "--data", str(data / file), *options]) == 0
    out, err = capsys.readouterr()
    scores = json.loads(out.splitlines()[-1])
    assert list(scores) == ["task", "model", *keys]
    assert (scores["task"], scores["model"]) == (task, f"tiny-{task}")
    assert all(0 <= scores[key] <= 1 for key in keys if key != "n")
    assert scores["n"] == {"qa": 18 if options else 23, "classify": 2, "summarize": 1}[task]
    assert "ing: 100%" in err  # a progress bar before the figures


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "qa", "--model", "tiny-qa", "--data", "nowhere"], "nowhere does not exist"),
        (["--task", "classify", "--model", "tiny-classify", "--data", "nowhere"], "nowhere cannot be read"),
        (["--task", "qa", "--model", "nobody", "--data", "{data}/qa.json"], "No model named 'nobody' serves qa"),
        (
            ["--task", "classify", "--reader", "kyoto-leads", "--model", "m", "--data", "d"],
            "--reader kyoto-leads gives nothing for the task classify; allowed are labelled, kyoto-categories",
        ),
    ],
)
def test_what_is_wrong_is_exit_code_2(
    arguments: list[str], message: str, data: Path, tiny_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", *(argument.format(data=data) for argument in arguments), "--model-store", str(tiny_store)]
    assert main(command) == 2
    assert message in capsys.readouterr().err


def test_a_wrong_environment_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAGAYOMI_TEXT_THREADS", "many")
    with pytest.raises(InvalidInput, match="NAGAYOMI_TEXT_THREADS: Input should be a valid integer"):
        evaluation_settings(None)


def test_recorded_figures_stand_in_the_manifest_and_in_the_card(
    tiny_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "store"
    shutil.copytree(tiny_store, store)
    card = store / "tiny-classify" / "README.md"
    card.write_text("# Card\n\n<!-- metrics -->\nold\n<!-- /metrics -->\n", encoding="utf-8")
    data = tmp_path / "made.jsonl"
    write_jsonl(data, [{"text": "京都の寺。", "label": "HST"}, {"text": "東京の城。", "label": "BLD"}])
    arguments = ["evaluate", "--model-store", str(store), "--model", "tiny-classify", "--task", "classify"]
    arguments += ["--data", str(data), "--record", "made texts"]

    assert main(arguments) == 0
    assert main(arguments) == 0  # a second time replaces the first

    scores = json.loads(capsys.readouterr().out.splitlines()[-1])
    values = {name: scores[name] for name in ("accuracy", "macro_f1", "majority")}
    command = f"nagayomi evaluate --model tiny-classify --task classify --data {data}"
    manifest = Manifest.read(store / "tiny-classify")
    assert manifest.metrics == (Metric(dataset="made texts", n=2, values=values, command=command),)
    shown = ", ".join(f"{name} {value:.3f}" for name, value in values.items())
    assert card.read_text(encoding="utf-8") == (
        "# Card\n\n<!-- metrics -->\n| data | n | result | command |\n|---|---|---|---|\n"
        f"| made texts | 2 | {shown} | `{command}` |\n<!-- /metrics -->\n"
    )
