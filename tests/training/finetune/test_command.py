"""Training on a data set that fits on a page: it learns, and errors name the fault."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from app.cli import main
from app.text.tokenizer import Tokenizer
from tests.training.conftest import reading_file, squad, write_json, write_jsonl
from tests.training.finetune.running import train
from training.config import ConfigError, read_config
from training.data import DataError
from training.finetune.checkpoint import new_model
from training.finetune.loop import Run


def test_a_tiny_run_learns(whole_run: tuple[Path, list[float]]) -> None:
    out, losses = whole_run
    assert len(losses) == 18
    assert np.mean(losses[-4:]) < 0.85 * np.mean(losses[:4])
    assert (out / "losses.png").read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in out.iterdir()} == {
        *("config.json", "last", "losses.json", "losses.png", "model.safetensors", "tokenizer.json")
    }


def test_the_checkpoint_is_one_of_transformers(whole_run: tuple[Path, list[float]]) -> None:
    from transformers import BigBirdForQuestionAnswering

    model, info = BigBirdForQuestionAnswering.from_pretrained(whole_run[0], output_loading_info=True)
    assert not info["missing_keys"]
    assert model.config.type_vocab_size == 3
    nagayomi = json.loads((whole_run[0] / "config.json").read_text())["nagayomi"]
    assert nagayomi["overlap_token_type"] == 2
    assert [one["max_tokens"] for one in nagayomi["training"]["sets"]] == [24]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("tokenizer=nowhere.json", "The tokenizer nowhere.json cannot be loaded"),
        ("checkpoint=nowhere", "The checkpoint cannot be used"),
        ("sets.0.data=nowhere.json", "nowhere.json does not exist"),
        ("sets.0.reader=livedoor", "has no examples for the task 'qa'; allowed are squad, reading-set."),
        ("sets.0.reader=squat", "'squat' has no examples for the task 'qa'; allowed are squad, reading-set."),
        ("sets.0.max_tokens=100", "max_tokens is 100; the model has 64 positions"),
        ("sets.0.max_tokens=8", "gives no training example"),
        ("layers=none", "layers must be a valid integer"),
    ],
)
def test_errors_name_the_fault(
    override: str,
    message: str,
    config_file: Path,
    places_data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ["finetune", "--config", str(config_file), "--data", str(places_data), "--out", str(tmp_path / "run")]
    assert main([*command, "--set", override]) == 2
    assert message in capsys.readouterr().err


def test_a_run_from_a_checkpoint_prepares_text_as_the_checkpoint_says(
    config_file: Path, places_data: Path, whole_run: tuple[Path, list[float]], tmp_path: Path
) -> None:
    lines = config_file.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.startswith(("tokenizer", "normaliser", "segmenter"))]
    config_file.write_text("\n".join(kept), encoding="utf-8")
    assert train(config_file, places_data, tmp_path / "run", f"checkpoint={whole_run[0]}", "epochs=0") == 0
    saved = json.loads((tmp_path / "run" / "config.json").read_text())["nagayomi"]
    assert (saved["normaliser"], saved["segmenter"]) == ("none", "none")
    assert (saved["training"]["normaliser"], saved["training"]["segmenter"]) == ("none", "none")


def test_a_run_from_a_checkpoint_takes_its_weights(
    config_file: Path, whole_run: tuple[Path, list[float]], character_tokenizer: Tokenizer
) -> None:
    config = read_config(config_file, [f"checkpoint={whole_run[0]}"])
    model = new_model(config, character_tokenizer, ())
    wanted = load_file(whole_run[0] / "model.safetensors")
    own = model.state_dict()
    assert own.keys() == wanted.keys()
    assert all(torch.equal(own[name], wanted[name]) for name in own)
    classifier = new_model(
        read_config(config_file, [f"checkpoint={whole_run[0]}", "task=classify"]), character_tokenizer, ("A", "B")
    ).state_dict()
    assert classifier["classifier.out_proj.weight"].shape == (2, 16)
    assert all(torch.equal(classifier[name], wanted[name]) for name in wanted if name.startswith("bert."))


def test_a_checkpoint_without_the_encoder_is_refused(
    config_file: Path, whole_run: tuple[Path, list[float]], character_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    weights = load_file(whole_run[0] / "model.safetensors")
    shutil.copy(whole_run[0] / "config.json", tmp_path)
    save_file(
        {name: value for name, value in weights.items() if "embeddings" not in name}, tmp_path / "model.safetensors"
    )
    with pytest.raises(ConfigError, match="lacks 5 weights of the encoder"):
        new_model(read_config(config_file, [f"checkpoint={tmp_path}"]), character_tokenizer, ())


def test_a_checkpoint_needs_a_third_token_type_for_overlap(
    config_file: Path, character_tokenizer: Tokenizer, tmp_path: Path, places_data: Path
) -> None:
    plain = [*("question_overlap=false", "epochs=0.1")]
    train(config_file, places_data, tmp_path / "plain", *plain)
    with pytest.raises(ConfigError, match="set question_overlap = false"):
        new_model(read_config(config_file, [f"checkpoint={tmp_path / 'plain'}"]), character_tokenizer, ())
    new_model(read_config(config_file, [f"checkpoint={tmp_path / 'plain'}", *plain]), character_tokenizer, ())


@pytest.mark.parametrize("task", ["classify", "summarize"])
def test_the_other_tasks_learn_too(task: str, config_file: Path, tmp_path: Path) -> None:
    for n in range(10):
        # A summary keeps the sentence about the temple, which stands anywhere.
        text = "".join(np.random.default_rng(n).permutation([f"橋は{n}。", f"寺は{n}。", "森にある。", "城。"]))
        reading_file(tmp_path / "summarize" / f"{n}.txt", text, ["Q: ないか", "A: -", f"S: 寺は{n}。"])
    write_jsonl(tmp_path / "classify", [{"text": f"{p * 6}は{n}。", "label": p} for p in "駅寺" for n in range(10)])
    overrides = [f"task={task}", f"sets.0.data={task}", "sets.0.held_out_percent=0", "epochs=20", "learning_rate=0.01"]
    overrides.append(f"sets.0.reader={'labelled' if task == 'classify' else 'reading-set'}")
    run = Run(read_config(config_file, overrides), tmp_path, tmp_path / "run")
    run.train()
    assert np.mean(run.losses[-4:]) < 0.8 * np.mean(run.losses[:4])
    saved = json.loads((tmp_path / "run" / "config.json").read_text())
    assert saved["id2label"] == ({"0": "寺", "1": "駅"} if task == "classify" else {"0": "LABEL_0"})
    types = saved["type_vocab_size"], saved["nagayomi"]["sentence_token_types"]
    assert types == ((3, True) if task == "summarize" else (2, False)), "only a summarizer reads where sentences stand"


def test_data_without_usable_examples_is_an_error(config_file: Path, tmp_path: Path) -> None:
    write_json(tmp_path / "places.json", squad({"places": [("駅は0。", [("寺" * 20, "")])]}))
    with pytest.raises(DataError, match="gives no training example"):
        Run(read_config(config_file, []), tmp_path, tmp_path / "run")
