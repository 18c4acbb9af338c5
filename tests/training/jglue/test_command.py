"""All tasks of JGLUE by tiny encoders: from configurations to the row of the table, and a kill at any moment."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.cli import main
from tests.training.conftest import squad, write_json, write_jsonl
from tests.training.jglue.tiny_encoders import fine_tunes_luke, save_tiny_encoder
from training.config import ConfigError
from training.jglue import grid_search
from training.jglue.command import table
from training.jglue.config import EncoderConfig
from training.jglue.grid_search import tune
from training.jglue.tasks import TASKS
from training.runs.trainer import Diverged

# transformers takes checkpoints that are less than a second apart for a broken clock.
pytestmark = pytest.mark.filterwarnings("ignore:mtime may not be reliable:UserWarning")

PLACES = "駅寺城川山町村島森橋"


def _records(task: str, numbers: range) -> list[object]:
    """A class, a similarity or a choice that one character of the text decides."""
    records: list[object] = []
    for n in numbers:
        one, other = PLACES[n % 10], PLACES[(n // 2) % 10]
        pair = {"sentence1": f"{one}がある。", "sentence2": f"{other}がある。"}
        same = one == other
        records.append(
            {
                "marc-ja": {"sentence": f"{one}がある。", "label": "positive" if n % 2 else "negative"},
                "jcola": {"sentence": f"{one}がある。", "label": n % 2},
                "jsts": pair | {"label": 5.0 if same else float(n % 2)},
                "jnli": pair | {"label": "entailment" if same else "neutral"},
                "jcommonsenseqa": {"question": one, "label": n % 5}
                | {f"choice{i}": one if i == n % 5 else "犬" for i in range(5)},
            }[task]
        )
    return records


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """train, valid and ood of every task but MARC-ja, which can no longer be had."""
    folder = tmp_path_factory.mktemp("data")
    for task in TASKS:
        for name, numbers in (("train", range(24)), ("valid", range(30, 40)), ("ood", range(50, 54))):
            if task == "jsquad":
                paragraphs = [
                    (f"{PLACES[n % 10]}は{n % 10}にある。", [(f"{PLACES[n % 10]}はどこ", str(n % 10))]) for n in numbers
                ]
                write_json(folder / task / f"{name}.json", squad({"places": paragraphs}))
            elif task != "marc-ja":
                write_jsonl(folder / task / f"{name}.json", _records(task, numbers))
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_encoder("big_bird", tmp_path_factory.mktemp("encoder") / "big_bird", hidden_dropout_prob=0.1)


def _config(task: str, checkpoint: Path, **changes: object) -> dict[str, Any]:
    return {
        "task": task,
        "checkpoint": str(checkpoint),
        "train": f"{task}/train.json",
        "valid": f"{task}/valid.json",
        "normaliser": "none",
        "segmenter": "none",
        "max_tokens": 32,
        "doc_stride": 8,
        "learning_rates": [0.005],
        "epochs": [2],
        "batch_size": 4,
        "checkpoint_every": 5,
    } | changes


def _toml(file: Path, values: dict[str, Any]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
    file.write_text(lines, encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def configs(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("configs")
    for task in TASKS:
        ood = {"out_of_domain": "jcola/ood.json"} if task == "jcola" else {}
        _toml(folder / f"{task}.toml", _config(task, checkpoint, **ood))
    return folder


@pytest.fixture(scope="module")
def whole_run(data: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on JNLI that nothing interrupted."""
    out = tmp_path_factory.mktemp("whole") / "run"
    tune(EncoderConfig.model_validate(_config("jnli", checkpoint)), data, out)
    return out


def _losses(out: Path) -> list[float]:
    losses: list[float] = json.loads((out / "losses.json").read_text())
    return losses


def test_every_task_is_fine_tuned_and_evaluated_with_one_command(
    configs: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "tiny"
    assert main(["finetune", "--config", str(configs), "--data", str(data), "--out", str(out)]) == 0
    tuned = capsys.readouterr()
    assert f"MARC-ja is left out: {data}/marc-ja/train.json, {data}/marc-ja/valid.json does not exist." in tuned.err
    *lines, last = tuned.out.splitlines()
    assert lines[0] == "| Model | MARC-ja | JCoLA | JSTS | JNLI | JSQuAD | JCommonsenseQA |"
    assert lines[3].startswith("| tiny | - | ")
    results = json.loads(last)["results"]
    assert {task: set(scores) for task, scores in results.items()} == {
        "jcola": {"n", "accuracy", "mcc", "out_of_domain_n", "out_of_domain_accuracy", "out_of_domain_mcc"},
        "jsts": {"n", "pearson", "spearman"},
        "jnli": {"n", "accuracy"},
        "jsquad": {"n", "em", "f1"},
        "jcommonsenseqa": {"n", "accuracy"},
    }
    assert main(["evaluate", "--suite", "jglue", "--model", str(out), "--data", str(data)]) == 0
    assert capsys.readouterr().out == tuned.out
    assert main(["evaluate", "--suite", "jglue", "--model", str(out / "jsts"), "--data", str(data)]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["results"] == {"jsts": results["jsts"]}


def test_a_run_leaves_a_checkpoint_its_losses_and_its_scores(whole_run: Path) -> None:
    names = {path.name for path in whole_run.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "losses.json", "losses.png", "scores.json"} <= names
    assert not {"trials", "trial.json"} & names
    assert len(_losses(whole_run)) == 12
    config = json.loads((whole_run / "config.json").read_text())
    assert config["attention_type"] == "block_sparse"  # what it was, though short texts are read with full attention
    assert config["label2id"] == {"entailment": 0, "contradiction": 1, "neutral": 2}
    assert {key: config["nagayomi"][key] for key in ("task", "normaliser", "segmenter")} == {
        "task": "jnli",
        "normaliser": "none",
        "segmenter": "none",
    }


@pytest.mark.filterwarnings("ignore:.torch.jit.script.* is deprecated:DeprecationWarning")
@pytest.mark.parametrize("architecture", ["bert", "roberta", "deberta-v2", pytest.param("luke", marks=fine_tunes_luke)])
def test_other_encoders_learn_through_the_same_suite(architecture: str, data: Path, tmp_path: Path) -> None:
    checkpoint = save_tiny_encoder(architecture, tmp_path / "encoder")
    config = _config("jcommonsenseqa", checkpoint, epochs=[8], learning_rates=[0.01])
    tune(EncoderConfig.model_validate(config), data, tmp_path / "run")
    losses = _losses(tmp_path / "run")
    assert np.mean(losses[-6:]) < 0.9 * np.mean(losses[:6])


def test_the_best_of_all_recipes_is_kept(data: Path, checkpoint: Path, tmp_path: Path) -> None:
    config = _config("jcola", checkpoint, learning_rates=[1e-9, 0.01], epochs=[1, 6])
    summary = tune(EncoderConfig.model_validate(config), data, tmp_path / "run")
    tried = {(trial["learning_rate"], trial["epochs"]): trial["scores"]["accuracy"] for trial in summary["trials"]}
    assert list(tried) == [(1e-9, 1), (1e-9, 6), (0.01, 1), (0.01, 6)]
    assert summary["scores"]["accuracy"] == max(tried.values())
    assert len(_losses(tmp_path / "run")) == 6 * summary["epochs"]
    assert json.loads((tmp_path / "run" / "scores.json").read_text()) == summary


def test_a_finished_run_stays_as_it_is(whole_run: Path, data: Path, checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(whole_run, out)
    summary = tune(EncoderConfig.model_validate(_config("jnli", checkpoint, checkpoint_every=99)), data, out)
    assert summary == json.loads((whole_run / "scores.json").read_text())
    assert (out / "model.safetensors").read_bytes() == (whole_run / "model.safetensors").read_bytes()


def test_another_configuration_does_not_go_on_with_a_run(
    whole_run: Path, data: Path, checkpoint: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(whole_run, out)
    with pytest.raises(ConfigError, match=r"another configuration: max_tokens was 32 and is 16\. Use another folder"):
        tune(EncoderConfig.model_validate(_config("jnli", checkpoint, max_tokens=16)), data, out)


@pytest.mark.parametrize("step", [3, 7, pytest.param(11, marks=pytest.mark.slow)])
def test_a_killed_process_goes_on_with_the_same_losses(
    step: int, whole_run: Path, data: Path, checkpoint: Path, tmp_path: Path
) -> None:
    config = _toml(tmp_path / "run.toml", _config("jnli", checkpoint))
    code = (
        "import os, signal, sys, app.cli, training.jglue.grid_search as tuning\n"
        "def dying(self, args, state, control, logs=None, **kwargs):\n"
        f"    if state.global_step == {step}: os.kill(os.getpid(), signal.SIGKILL)\n"
        "tuning._Watch.on_log = dying\n"
        "app.cli.main(sys.argv[1:])\n"
    )
    command = ["finetune", "--config", str(config), "--data", str(data), "--out", str(tmp_path / "run")]
    killed = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, timeout=250, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    saved = {path.name for path in (tmp_path / "run").glob("trials/*/checkpoint-*")}
    assert saved == ({f"checkpoint-{step // 5 * 5}"} if step > 5 else set())
    assert main(command) == 0
    assert _losses(tmp_path / "run") == pytest.approx(_losses(whole_run), abs=2e-4)


class Killed(BaseException):
    """Stands in for a kill: nothing catches it, nothing is cleaned up."""


@pytest.mark.parametrize("name", ["score_sets", "_publish", "_write_json", "draw_losses"])
def test_a_kill_between_training_and_the_result_changes_nothing(
    name: str, whole_run: Path, data: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = EncoderConfig.model_validate(_config("jnli", checkpoint))

    def dying(*args: Any) -> None:
        if name != "_write_json" or args[0].name in ("trial.json", "scores.json"):
            raise Killed
        real(*args)

    real = getattr(grid_search, name)
    with monkeypatch.context() as patch:
        patch.setattr(grid_search, name, dying)
        with pytest.raises(Killed):
            tune(config, data, tmp_path / "run")
    assert tune(config, data, tmp_path / "run") == json.loads((whole_run / "scores.json").read_text())
    assert _losses(tmp_path / "run") == _losses(whole_run)


def test_a_kill_while_a_trials_checkpoints_are_removed_changes_nothing(
    whole_run: Path, data: Path, checkpoint: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    summary = json.loads((whole_run / "scores.json").read_text())
    (result,) = summary["trials"]
    trial = out / "trials" / result["folder"]
    shutil.copytree(whole_run, trial)
    shutil.move(trial / "run.json", out / "run.json")
    write_json(trial / "trial.json", {key: result[key] for key in ("learning_rate", "epochs", "scores")})
    write_json(trial / "checkpoint-10" / "trainer_state.json", {"global_step": 10})

    assert tune(EncoderConfig.model_validate(_config("jnli", checkpoint)), data, out) == summary
    assert {file.name for file in out.iterdir()} == {file.name for file in whole_run.iterdir()}


def test_a_half_written_checkpoint_is_passed_over(tmp_path: Path) -> None:
    write_json(tmp_path / "checkpoint-5" / "trainer_state.json", {"global_step": 5})
    (tmp_path / "checkpoint-10").mkdir()
    (tmp_path / "checkpoint-10" / "trainer_state.json").write_text('{"global_st')
    (tmp_path / "checkpoint-15").mkdir()
    assert grid_search._whole_checkpoint(tmp_path) == str(tmp_path / "checkpoint-5")
    assert grid_search._whole_checkpoint(tmp_path / "nowhere") is None


def test_a_loss_that_is_no_number_stops_the_run(data: Path, checkpoint: Path, tmp_path: Path) -> None:
    config = _config("jsts", checkpoint, learning_rates=[1e30], warmup_share=0.0, clip_norm=1e30)
    with pytest.raises(Diverged, match=r"The loss of step \d+ is (nan|inf); try lower learning_rates"):
        tune(EncoderConfig.model_validate(config), data, tmp_path / "run")


def test_a_batch_is_shared_among_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert grid_search._batch_of_a_device(32) == 32
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert grid_search._batch_of_a_device(32) == 8
    with pytest.raises(ConfigError, match="batch_size is 30; it must be a multiple of 4, the number of devices"):
        grid_search._batch_of_a_device(30)


def test_training_data_of_another_set_must_not_hold_scored_items(data: Path, checkpoint: Path, tmp_path: Path) -> None:
    valid = json.loads((data / "jnli" / "valid.json").read_text().splitlines()[0])
    sentences = {name: {"sentence": valid[name]} for name in ("sentence1", "sentence2")}
    write_jsonl(tmp_path / "neg.jsonl", [sentences | {"gold_label": "neutral"}])
    changes = {"train": str(tmp_path / "neg.jsonl"), "train_reader": "jnli-neg"}
    config = _toml(tmp_path / "run.toml", _config("jnli", checkpoint, **changes))
    command = ["finetune", "--config", str(config), "--data", str(data), "--out", str(tmp_path / "run")]
    assert main(command) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--suite", "jglue", "--model", "nowhere"], "nowhere holds no model that was fine-tuned for a task of JGLUE"),
        (
            ["--suite", "jglue", "--model", "m", "--task", "qa", "--record", "x"],
            "--suite does not take --task, --record.",
        ),
        (["--suite", "jglue", "--model", "m", "--null", "--report", "r"], "--suite does not take --null, --report."),
        (["--model", "tiny-qa"], "--task and --data are needed, or --suite"),
        (["--model", "tiny-qa", "--task", "qa"], "--task and --data are needed, or --suite"),
    ],
)
def test_what_cannot_be_evaluated_is_said_in_words(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_data_that_is_not_there_is_said_in_words(
    whole_run: Path, configs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = ["--data", str(tmp_path / "nowhere")]
    assert main(["evaluate", "--suite", "jglue", "--model", str(whole_run), *nowhere]) == 2
    assert "has no files of any task; --data is the folder that holds jglue/ and jcola/" in capsys.readouterr().err
    assert main(["finetune", "--config", str(configs), "--out", str(tmp_path / "run"), *nowhere]) == 2
    (tmp_path / "empty").mkdir()
    assert main(["finetune", "--config", str(tmp_path / "empty"), "--out", str(tmp_path / "run"), *nowhere]) == 2
    assert "has no TOML file" in capsys.readouterr().err


def test_the_row_has_the_form_of_the_published_table() -> None:
    published = {
        "marc-ja": {"accuracy": 0.962},
        "jsts": {"pearson": 0.913, "spearman": 0.873},
        "jnli": {"accuracy": 0.895},
        "jsquad": {"em": 0.864, "f1": 0.927},
        "jcommonsenseqa": {"accuracy": 0.84},
    }
    assert table("Waseda RoBERTa base", published) == (  # type: ignore[arg-type]  # names of tasks
        "| Model | MARC-ja | JCoLA | JSTS | JNLI | JSQuAD | JCommonsenseQA |\n"
        "| --- | --- | --- | --- | --- | --- | --- |\n"
        "|  | acc | acc/MCC | Pearson/Spearman | acc | EM/F1 | acc |\n"
        "| Waseda RoBERTa base | 0.962 | - | 0.913/0.873 | 0.895 | 0.864/0.927 | 0.840 |"
    )


def test_a_folder_of_other_runs_is_refused_by_the_name_of_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "topics.toml"
    file.write_text('task = "classify"\n', encoding="utf-8")
    assert main(["finetune", "--config", str(tmp_path), "--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == (
        f"nagayomi: {file} is no task of JGLUE, and only those are read as a folder; name one file: --config {file}.\n"
    )
