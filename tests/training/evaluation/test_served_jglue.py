"""Encoders fine-tuned in seconds: the service gives the scores that torch gives."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.cli import main
from tests.training.conftest import squad, write_json, write_jsonl
from tests.training.jglue.tiny_encoders import fine_tunes_luke, save_tiny_encoder
from training.jglue.config import EncoderConfig
from training.jglue.grid_search import tune
from training.jglue.tasks import TaskName

pytestmark = [
    # transformers takes checkpoints that are less than a second apart for a broken clock.
    pytest.mark.filterwarnings("ignore:mtime may not be reliable:UserWarning"),
    pytest.mark.filterwarnings("ignore:.torch.jit.script.* is deprecated:DeprecationWarning"),
]

PLACES = "駅寺城川山町村島森橋"
# Every kind of task; with MORE, every family.
CASES: list[tuple[str, TaskName]] = [
    ("big_bird", "jcola"),
    ("bert-mecab", "jsquad"),
    ("roberta", "jcommonsenseqa"),
    ("xlm-roberta", "jsts"),
    ("luke", "jnli"),
]
MORE: list[tuple[str, TaskName]] = [
    ("big_bird", "jsquad"),
    ("bert", "jcommonsenseqa"),
    ("roberta", "jnli"),
    ("deberta-v2", "jsquad"),
    ("deberta-v2", "jcommonsenseqa"),
    ("luke", "jsquad"),
    ("modernbert", "jsquad"),
    ("modernbert", "jsts"),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for name, numbers in (("train", range(24)), ("valid", range(30, 60))):
        pairs = [(PLACES[n % 10], PLACES[(n // 2) % 10], n) for n in numbers]
        write_jsonl(folder / f"jcola-{name}", [{"sentence": f"{one}がある。", "label": n % 2} for one, _, n in pairs])
        sentences = [({"sentence1": f"{one}がある。", "sentence2": f"{other}は1。"}, n) for one, other, n in pairs]
        labels = ("entailment", "neutral", "contradiction")
        write_jsonl(folder / f"jnli-{name}", [pair | {"label": labels[n % 3]} for pair, n in sentences])
        write_jsonl(folder / f"jsts-{name}", [pair | {"label": float(n % 4)} for pair, n in sentences])
        choices = [{f"choice{i}": "犬猫山川寺"[i] for i in range(5)} | {"label": n % 5} for n in numbers]
        write_jsonl(
            folder / f"jcommonsenseqa-{name}",
            [{"question": f"{one}にいる?"} | some for (one, _, _), some in zip(pairs, choices, strict=True)],
        )
        # Longer than a window, with a title as in JSQuAD, a number and a pair of brackets.
        contexts = [
            (
                f"{one} [SEP] {one}は「{n % 10}2」にある。{other}は{other}にある。犬が走る。猫が走る。",
                [(f"{one}はどこ", f"{n % 10}2")],
            )
            for one, other, n in pairs
        ]
        write_json(folder / f"jsquad-{name}", squad({"places": contexts}))
    return folder


def _tuned(architecture: str, task: TaskName, data: Path, folder: Path) -> Path:
    checkpoint = save_tiny_encoder(architecture, folder / "encoder")
    config: dict[str, Any] = {
        "task": task,
        "checkpoint": str(checkpoint),
        "train": f"{task}-train",
        "valid": f"{task}-valid",
        "normaliser": "nfkc" if architecture == "bert-mecab" else "none",
        "segmenter": "mecab-unidic-lite" if architecture == "bert-mecab" else "none",
        "max_tokens": 32,
        "doc_stride": 8,
        "learning_rates": [0.01],
        "epochs": [2],
        "batch_size": 4,
    }
    tune(EncoderConfig.model_validate(config), data, folder / "tuned")
    return folder / "tuned"


def _evaluated(model: Path, data: Path, capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, float]:
    capsys.readouterr()
    assert main(["evaluate", "--suite", "jglue", "--model", str(model), "--data", str(data), *options]) == 0
    row, last = capsys.readouterr().out.splitlines()[-2:]
    assert row.startswith("| tuned | ")
    (scores,) = json.loads(last)["results"].values()
    assert isinstance(scores, dict)
    return scores


def _marks(architecture: str, *more: pytest.MarkDecorator) -> tuple[pytest.MarkDecorator, ...]:
    return (*more, fine_tunes_luke) if architecture == "luke" else more


@pytest.mark.parametrize(
    ("architecture", "task"),
    [
        *(pytest.param(*case, marks=_marks(case[0])) for case in CASES),
        *(pytest.param(*case, marks=_marks(case[0], pytest.mark.slow)) for case in MORE),
    ],
)
def test_the_service_gives_the_scores_of_torch(
    architecture: str, task: TaskName, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = _tuned(architecture, task, data, tmp_path)
    in_torch = _evaluated(model, data, capsys)
    served = _evaluated(model, data, capsys, "--served")
    assert served == pytest.approx(in_torch, abs=1e-3)
    assert served["n"] == 30
    assert max(value for name, value in served.items() if name != "n") > 0


def test_texts_that_torch_cuts_off_are_counted(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = _tuned("big_bird", "jcola", data, tmp_path)
    write_jsonl(data / "jcola-valid-long", [{"sentence": "犬" * length, "label": 1} for length in (30, 31, 100)])
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    config["nagayomi"]["training"]["valid"] = "jcola-valid-long"
    (model / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert main(["evaluate", "--suite", "jglue", "--served", "--model", str(model), "--data", str(data)]) == 0
    assert (
        "jcola: 2 of 3 texts are longer than a sequence of the model and were read whole, in windows; without --served "
        "they are cut off." in capsys.readouterr().err
    )


def test_a_model_of_the_store_is_served_anyway(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--served", "--model", "m", "--task", "qa", "--data", "d"]) == 2
    assert "--served goes with --suite: a model of the store is asked through the service anyway." in (
        capsys.readouterr().err
    )
