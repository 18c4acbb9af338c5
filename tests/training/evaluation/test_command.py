"""The command on tiny models as they are served."""

import json
import shutil
from pathlib import Path

import pytest

from app.cli import main
from app.manifest import Manifest, Metric
from tests.training.conftest import reading_file, squad, write_json, write_jsonl
from training.data import DataError, held_out_by_text

PARAGRAPH = "東京は日本の首都である。夏目漱石は小説家である。"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Files of every task: 23 questions over two articles, 40 labelled texts of which 24 are longer, one summary."""
    questions = [("首都は?", "東京"), *[(f"{n}番目の小説家は?", "夏目漱石") for n in range(20)]]
    articles = {"東京": [(PARAGRAPH * 20, questions)], "漱石": [(PARAGRAPH * 19, questions[:2])]}
    write_json(tmp_path / "qa.json", squad(articles))
    # Every class once in three: whatever random weights say, some of it is right and some wrong.
    names = ["大阪城" * (10 if n % 5 > 1 else 1) for n in range(40)]
    texts = [{"text": f"{n}番の{name}", "label": ("BLD", "HST", "PNM")[n % 3]} for n, name in enumerate(names)]
    write_jsonl(tmp_path / "classify.jsonl", list(texts))
    text = "東京は日本の首都である。富士山は高い。京都は都であった。大阪城がある。"
    write_jsonl(tmp_path / "summarize.jsonl", [{"text": text, "summary": "京都は都"}])
    for n in range(8):
        notes = [f"Q: {n}番の首都は", "A: 東京 @ 東京は", "Q: 海は", "A: -", "S: 富士山は", "S: 大阪城が"]
        style = "hard-wrapped" if n < 3 else ""
        reading_file(tmp_path / "reading" / f"{n}.txt", f"第{n}条 見出し\n\n{n}番目。{text}\n", notes, style)
    return tmp_path


def evaluate(store: Path, data: Path, task: str, *options: str) -> int:
    file = "reading" if "reading-set" in options else f"{task}.json{'' if task == 'qa' else 'l'}"
    source = ["--data", str(data / file)]
    return main(["evaluate", "--model-store", str(store), "--model", f"tiny-{task}", "--task", task, *source, *options])


SUMMARY_FIGURES = [
    *("bigram_f1", "share_to_oracle", "rouge1", "rougeL", "bigram_f1_under_500"),
    *("lead.bigram_f1", "oracle.bigram_f1"),
]


@pytest.mark.parametrize(
    ("task", "options", "n", "keys"),
    [
        ("qa", [], 23, ["em", "f1", "f1_quarter_1", "f1_under_500"]),
        (
            "qa",
            ["--reader", "reading-set", "--baselines"],
            16,
            [
                *("em", "f1", "answerability_auroc", "score_diff_answerability_auroc", "f1_quarter_2"),
                *("f1_under_500", "overlap.em", "overlap.f1", "random.em", "random.f1"),
            ],
        ),
        (
            "qa",
            ["--context", "article", "--limit", "18", "--null", "--baselines"],
            18,
            [
                *("em", "f1", "null_score_auroc", "score_diff_auroc", "f1_quarter_1", "f1_under_500"),
                *("overlap.em", "overlap.f1", "random.em", "random.f1", "overlap.null_score_auroc"),
            ],
        ),
        ("classify", [], 40, ["accuracy", "macro_f1", "ece", "accuracy_under_500", "majority.accuracy"]),
        (
            "classify",
            ["--min-characters", "20", "--reader", "labelled", "--held-out-percent", "50", "--baselines"],
            sum(n % 5 > 1 and held_out_by_text(f"{n}番の{'大阪城' * 10}", 50) for n in range(40)),
            [
                *("accuracy", "macro_f1", "ece", "accuracy_under_500", "majority.accuracy"),
                *("tfidf.accuracy", "tfidf.macro_f1", "random.accuracy", "random.macro_f1"),
            ],
        ),
        ("summarize", [], 1, SUMMARY_FIGURES),
        (
            "summarize",
            ["--reader", "reading-set", "--baselines"],
            8,
            [
                *("marks_found", "marks_found_by_document", "scraps", "marks_found_by_document_under_500"),
                *(
                    f"{baseline}.{measure}"
                    for baseline in ("lead", "centroid", "random")
                    for measure in ("marks_found", "marks_found_by_document", "scraps")
                ),
            ],
        ),
        (
            "summarize",
            ["--baselines"],
            1,
            [
                *SUMMARY_FIGURES,
                *(f"{b}.{m}" for b in ("lexrank", "textrank", "random") for m in ("bigram_f1", "share_to_oracle")),
            ],
        ),
    ],
)
def test_the_command_on_a_served_model(
    task: str,
    options: list[str],
    n: int,
    keys: list[str],
    data: Path,
    tiny_store: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("NAGAYOMI_MAX_TEXT_CHARACTERS", "100")  # protects a server, not an evaluation
    monkeypatch.setenv("NAGAYOMI_INTRA_OP_THREADS", "1")
    assert evaluate(tiny_store, data, task, *options) == 0
    out, err = capsys.readouterr()
    scores = json.loads(out.splitlines()[-1])
    assert {key: value for key, value in scores.items() if key in ("task", "model", "n")} == {
        "task": task,
        "model": f"tiny-{task}",
        "n": n,
    }
    assert ("styles" in scores) is ("reading-set" in options)
    figures = [key for key in scores if key not in ("task", "model", "n", "intervals", "styles")]
    assert [key for key in figures if key != "ece"] == [key for key in keys if key != "ece"]
    assert all(0 <= scores[key] <= 1 for key in figures if not key.endswith("share_to_oracle"))
    assert ("em" in scores["intervals"]) is (task == "qa")
    assert all(low <= scores[key] <= high for key, (low, high) in scores["intervals"].items() if key != "ece")
    assert "ing: 100%" in err  # a progress bar before the figures


@pytest.mark.parametrize(
    ("task", "n", "measures"), [("qa", (3, 5), ["em", "f1"]), ("summarize", (6, 10), ["marks_found"])]
)
def test_documents_of_a_reading_set_are_scored_by_style(
    task: str,
    n: tuple[int, int],
    measures: list[str],
    data: Path,
    tiny_store: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = tmp_path / "report"
    assert evaluate(tiny_store, data, task, "--reader", "reading-set", "--report", str(report)) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    styles = said["styles"]
    assert {name: (one["documents"], one["n"]) for name, one in styles.items()} == {
        "wrapped lines": (3, n[0]),
        "other": (5, n[1]),
    }
    for measure in measures:
        parts = sum(one[measure] * one["n"] for one in styles.values())
        assert parts / sum(n) == pytest.approx(said[measure], abs=1e-3)
    assert json.loads((report / "figures.json").read_text(encoding="utf-8"))["by_style"] == styles
    assert "## By style" in (report / "README.md").read_text(encoding="utf-8")


def test_a_sample_is_the_same_every_time_and_spread_over_the_data(
    data: Path, tiny_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = []
    for file in (tmp_path / "1.jsonl", tmp_path / "2.jsonl"):
        assert evaluate(tiny_store, data, "classify", "--limit", "12", "--failures", str(file)) == 0
        kept.append(file.read_text(encoding="utf-8"))
    assert kept[0] == kept[1]
    numbers = sorted(int(json.loads(line)["text"].partition("番")[0]) for line in kept[0].splitlines())
    assert numbers, "random weights are wrong somewhere"
    assert max(numbers) > 12


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "qa", "--model", "tiny-qa", "--data", "nowhere"], "nowhere does not exist"),
        (["--task", "classify", "--model", "tiny-classify", "--data", "nowhere"], "nowhere cannot be read"),
        (["--task", "qa", "--model", "nobody", "--data", "{data}/qa.json"], "No model named 'nobody' serves qa"),
        (
            ["--task", "classify", "--reader", "kyoto-leads", "--model", "m", "--data", "d"],
            "--reader kyoto-leads has no examples for the task classify; allowed are labelled, kyoto-categories",
        ),
        (
            ["--task", "qa", "--model", "tiny-qa", "--data", "{data}/qa.json", "--min-characters", "9999"],
            "nothing to score in the data: 23 items, none long enough",
        ),
        (["--task", "classify", "--null", "--model", "m", "--data", "d"], "--null is for --task qa"),
        (["--task", "classify", "--fit-answerability", "--model", "m", "--data", "d"], "--fit-answerability is for"),
        (
            ["--task", "classify", "--reader", "reading-set", "--model", "m", "--data", "d"],
            "--reader reading-set has no examples for the task classify",
        ),
        (
            ["--task", "qa", "--reader", "labelled", "--model", "m", "--data", "d"],
            "--reader labelled has no examples for the task qa; allowed are squad, reading-set",
        ),
        (
            ["--task", "qa", "--reader", "reading-set", "--context", "article", "--model", "m", "--data", "d"],
            "--context article is for SQuAD JSON: other readers give whole documents",
        ),
        (
            ["--task", "qa", "--held-out-percent", "10", "--model", "m", "--data", "d"],
            "--held-out-percent goes with --reader labelled, kyoto-categories",
        ),
        (
            ["--task", "qa", "--model", "tiny-qa", "--data", "{data}/qa.json", "--fit-answerability"],
            "Fitting a threshold of answerability needs questions with an answer and questions without one",
        ),
        (["--task", "summarize", "--fit-temperature", "--model", "m", "--data", "d"], "is for qa and classify"),
        (
            ["--task", "classify", "--model", "m", "--data", "{data}/classify.jsonl", "--baselines"],
            "--baselines needs texts to learn from: give a --reader",
        ),
    ],
)
def test_wrong_input_is_exit_code_2(
    arguments: list[str], message: str, data: Path, tiny_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", *(argument.format(data=data) for argument in arguments), "--model-store", str(tiny_store)]
    assert main(command) == 2
    assert message in capsys.readouterr().err


def test_labels_that_the_model_does_not_have_are_said(
    tiny_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names: list[object] = [{"text": "大阪城", "label": "BLD"}, {"text": "大雨", "label": "天気"}]
    write_jsonl(tmp_path / "classify.jsonl", names)
    assert evaluate(tiny_store, tmp_path, "classify") == 0
    said = "1 of 2 texts have a label that tiny-classify does not have, and count as wrong: 天気."
    assert f"nagayomi: {said}\n" in capsys.readouterr().err
    write_jsonl(tmp_path / "classify.jsonl", [{"text": str(n), "label": n % 11} for n in range(20)])
    assert evaluate(tiny_store, tmp_path, "classify") == 2
    out, err = capsys.readouterr()
    assert "nagayomi: tiny-classify has none of the labels of the data: it has " in err
    assert "; the data has 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 ….\n" in err
    assert out == ""


def test_a_threshold_needs_questions_of_both_kinds_before_the_model_is_asked(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(tmp_path / "no-models", data, "qa", "--fit-answerability") == 2
    assert capsys.readouterr().err == (
        "nagayomi: Fitting a threshold of answerability needs questions with an answer and questions without one; of "
        "the 23 in the data, 23 have an answer.\n"
    )


@pytest.mark.parametrize("limit", ["0", "-1", "many", "1.5"])
def test_a_limit_is_a_whole_number(limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["evaluate", "--task", "qa", "--model", "m", "--data", "d", "--limit", limit])
    assert f"'{limit}' is not a whole number of at least 1" in capsys.readouterr().err


@pytest.fixture
def store(tiny_store: Path, tmp_path: Path) -> Path:
    """A store of one's own, to write in."""
    return Path(shutil.copytree(tiny_store, tmp_path / "store"))


def test_recorded_figures_bear_the_command_that_gives_them_again(
    store: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--reader", "labelled", "--held-out-percent", "50", "--min-characters", "2", "--limit", "9", "--baselines"]
    assert evaluate(store, data, "classify", *asked, "--record", "made texts") == 0
    scores = json.loads(capsys.readouterr().out.splitlines()[-1])
    values = {name: value for name, value in scores.items() if name not in ("task", "model", "n", "intervals")}
    intervals = {name: tuple(interval) for name, interval in scores["intervals"].items()}
    assert "accuracy" in intervals
    command = f"nagayomi evaluate --model tiny-classify --task classify --data {data}/classify.jsonl {' '.join(asked)}"
    metric = Metric(dataset="made texts", n=9, values=values, intervals=intervals, command=command)
    assert Manifest.read(store / "tiny-classify").metrics == (metric,)


def test_a_fitted_temperature_is_served(store: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(store, data, "classify", "--fit-temperature") == 0
    fitted = json.loads(capsys.readouterr().out.splitlines()[-1])
    temperature = fitted.pop("temperature")
    assert temperature != 1
    manifest = Manifest.read(store / "tiny-classify")
    assert manifest.temperature == temperature
    assert manifest.fitted_on == (f"{data.name}/classify.jsonl",)
    assert evaluate(store, data, "classify") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == fitted  # served with it, the same figures


def test_a_fitted_threshold_of_answerability_is_the_models(
    store: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--reader", "reading-set"]
    assert evaluate(store, data, "qa", *asked) == 0
    before = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert "answerability_accuracy" not in before
    assert evaluate(store, data, "qa", *asked, "--fit-answerability") == 0
    fitted = json.loads(capsys.readouterr().out.splitlines()[-1])
    threshold = fitted.pop("null_score_diff_threshold")
    assert Manifest.read(store / "tiny-qa").null_score_diff_threshold == threshold
    assert 0.5 <= fitted["answerability_balanced_accuracy"] <= 1
    # The calibration error is then of the documents that the threshold was not fitted on.
    unchanged = before.keys() - {"intervals", "ece"}
    assert {name: fitted[name] for name in unchanged} == {name: before[name] for name in unchanged}
    assert evaluate(store, data, "qa", *asked) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == fitted


def test_a_fit_that_fails_changes_nothing_and_loses_no_figure(
    store: Path, data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ["--reader", "reading-set"]
    assert evaluate(store, data, "qa", *asked) == 0
    figures = capsys.readouterr().out.splitlines()[-1]
    before = (store / "tiny-qa" / "manifest.json").read_bytes()

    def fails(items: object) -> float:
        raise DataError("All questions of the half have an answer.")

    monkeypatch.setattr("training.evaluation.command.fit_temperature", lambda items, served_at: 2.0)
    monkeypatch.setattr("training.evaluation.command.fit_answerability", fails)
    assert evaluate(store, data, "qa", *asked, "--fit-temperature", "--fit-answerability", "--record", "made") == 2
    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == figures
    assert said.err.splitlines()[-1] == "nagayomi: All questions of the half have an answer."
    assert (store / "tiny-qa" / "manifest.json").read_bytes() == before


def test_a_report_and_the_failures_are_written(store: Path, data: Path, tmp_path: Path) -> None:
    written = ["--report", str(tmp_path / "report"), "--failures", str(tmp_path / "failures.jsonl")]
    assert evaluate(store, data, "qa", "--null", "--limit", "12", *written) == 0
    command = f"nagayomi evaluate --model tiny-qa --task qa --data {data}/qa.json --limit 12 --null"
    content = json.loads((tmp_path / "report" / "figures.json").read_text(encoding="utf-8"))
    assert (content["command"], content["figures"]["n"]) == (command, 12)
    assert (tmp_path / "report" / "null_roc.png").exists()
    first = json.loads((tmp_path / "failures.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert list(first) == ["question", "passage", "expected", "given", "score", "f1"]


def test_figures_are_printed_although_the_failures_cannot_be_written(
    store: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = data / "qa.json" / "failures.jsonl"
    assert evaluate(store, data, "qa", "--limit", "3", "--failures", str(file)) == 2
    said = capsys.readouterr()
    assert json.loads(said.out.splitlines()[-1])["n"] == 3
    assert f"The failures cannot be written: [Errno 20] Not a directory: '{file}'" in said.err
