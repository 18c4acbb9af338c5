"""Pre-training on texts that fit on a page: it learns, a kill changes no loss, and processes share a step."""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from app.block_tables import AttentionLayout
from app.cli import main
from app.packing import Document, pack
from app.text.tokenizer import Tokenizer
from export.model import tables_from
from tests.training.conftest import places_config, write_json, write_jsonl
from training.config import ConfigError, read_config, read_pretrain_config
from training.finetune.checkpoint import new_model
from training.pretrain import command
from training.pretrain.command import Pretraining
from training.pretrain.masked_lm import new_masked_lm
from training.runs.distributed import Processes
from training.runs.folder import load_tokenizer

STEPS = 24


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with places.jsonl: every place always has the same number."""
    folder = tmp_path_factory.mktemp("texts")
    rng = np.random.default_rng(3)
    records: list[object] = [
        {"text": "".join(f"{'駅寺城川山町村島森橋'[n]} は {n} に ある 。" for n in rng.permutation(10))}
        for _ in range(40)
    ]
    write_jsonl(folder / "places.jsonl", records)
    return folder


def _config_file(folder: Path, tokenizer: Path, **changes: object) -> Path:
    values: dict[str, object] = {
        "tokenizer": str(tokenizer),
        "normaliser": "none",
        "segmenter": "none",
        "layers": 1,
        "hidden": 32,
        "heads": 2,
        "intermediate": 64,
        "max_positions": 128,
        "dropout": 0.1,
        "shifted_share": 0.3,
        "steps": STEPS,
        "batch_tokens": 512,
        "micro_batch_tokens": 128,
        "learning_rate": 0.02,
        "autocast": "none",
        "checkpoint_every": 8,
    }
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in (values | changes).items())
    file = folder / "run.toml"
    file.write_text(f'{lines}[texts]\n"places.jsonl" = 1.0\n[lengths]\n32 = 0.7\n128 = 0.3\n', encoding="utf-8")
    return file


@pytest.fixture
def config_file(tmp_path: Path, character_tokenizer_file: Path) -> Path:
    return _config_file(tmp_path, character_tokenizer_file)


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory, character_tokenizer_file: Path, texts: Path) -> Path:
    """The folder of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    _pretrain(_config_file(folder, character_tokenizer_file), texts, folder / "run")
    return folder / "run"


def _pretrain(config: Path, data: Path, out: Path, *overrides: str) -> int:
    return command.run(argparse.Namespace(config=config, data=data, out=out, set=list(overrides), cache=None))


def _training(config: Path, data: Path, out: Path, *overrides: str) -> Pretraining:
    return Pretraining(read_pretrain_config(config, list(overrides)), data, out, out.parent / "tokens", Processes())


def _losses(out: Path) -> list[float]:
    losses: list[float] = json.loads((out / "losses.json").read_text())
    return losses


def test_a_tiny_run_learns(whole_run: Path) -> None:
    losses = _losses(whole_run)
    assert len(losses) == STEPS
    assert np.mean(losses[-4:]) < 0.8 * losses[0]
    assert (whole_run / "losses.png").read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in whole_run.iterdir()} == {
        *("config.json", "last", "losses.json", "losses.png", "model.safetensors", "tokenizer.json")
    }


def test_the_checkpoint_is_one_of_transformers(whole_run: Path, character_tokenizer: Tokenizer) -> None:
    from transformers import BigBirdForMaskedLM

    theirs, info = BigBirdForMaskedLM.from_pretrained(whole_run, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    theirs.eval()
    ids = np.array([2, 5, 6, 4, 8, 9, 3], dtype=np.int32)
    types = np.full(len(ids), 1, dtype=np.int32)
    config = read_pretrain_config(whole_run.parent / "run.toml", [f"checkpoint={whole_run}"])
    ours = new_masked_lm(config, character_tokenizer).eval()
    batch = pack([Document(ids, types)], AttentionLayout())
    inputs = {name: torch.from_numpy(array) for name, array in batch.inputs.items()}
    with torch.no_grad():
        wanted = theirs(
            input_ids=torch.from_numpy(ids[None]).long(), token_type_ids=torch.from_numpy(types[None]).long()
        ).logits[0]
        logits = ours(
            inputs["input_ids"],
            inputs["token_type_ids"],
            inputs["position_ids"],
            tables_from(inputs),
            torch.arange(len(ids)),
        )
    torch.testing.assert_close(logits, wanted, atol=1e-5, rtol=0)


def test_fine_tuning_starts_from_it(whole_run: Path, character_tokenizer: Tokenizer, tmp_path: Path) -> None:
    file = tmp_path / "finetune.toml"
    file.write_text(places_config(whole_run / "tokenizer.json", checkpoint=str(whole_run)), encoding="utf-8")
    trained = load_file(whole_run / "model.safetensors")
    for task in ("qa", "classify", "summarize"):
        model = new_model(read_config(file, [f"task={task}"]), character_tokenizer, ())
        assert model.config.type_vocab_size == 3
        assert model.config.hidden_dropout_prob == 0.1
        encoder = {name: value for name, value in model.state_dict().items() if name.startswith("bert.")}
        assert len(encoder) > 20
        assert all(torch.equal(value, trained[name]) for name, value in encoder.items())


def test_a_killed_process_goes_on_with_the_same_losses(
    config_file: Path, texts: Path, whole_run: Path, tmp_path: Path
) -> None:
    code = (
        "import os, signal, sys, app.cli, training.pretrain.command\n"
        "step = training.pretrain.command.Pretraining.train_step\n"
        "def dying(self, number):\n"
        "    loss = step(self, number)\n"
        "    if number == 19: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return loss\n"
        "training.pretrain.command.Pretraining.train_step = dying\n"
        "app.cli.main(sys.argv[1:])\n"
    )
    command = ["pretrain", "--config", str(config_file), "--data", str(texts), "--out", str(tmp_path / "run")]
    killed = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert torch.load(tmp_path / "run" / "last" / "state.pt", weights_only=True)["step"] == 16
    assert len(_losses(tmp_path / "run")) == 16
    assert main(command) == 0
    assert _losses(tmp_path / "run") == pytest.approx(_losses(whole_run), abs=1e-5)


class Killed(BaseException):
    """Stands in for a kill: nothing catches it, nothing is cleaned up."""


def dying_at(last: int) -> Callable[[Pretraining, int], float]:
    real = Pretraining.train_step

    def train_step(self: Pretraining, step: int) -> float:
        if step == last:
            raise Killed
        return real(self, step)

    return train_step


def test_the_size_of_a_pass_and_the_interval_of_checkpoints_may_change(
    config_file: Path, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _pretrain(config_file, texts, tmp_path / "whole", "dropout=0.0")
    with monkeypatch.context() as patch:
        patch.setattr(Pretraining, "train_step", dying_at(12))
        with pytest.raises(Killed):
            _pretrain(config_file, texts, tmp_path / "run", "dropout=0.0")
    assert len(_losses(tmp_path / "run")) == 8
    _pretrain(config_file, texts, tmp_path / "run", "dropout=0.0", "checkpoint_every=99", "micro_batch_tokens=256")
    assert _losses(tmp_path / "run") == pytest.approx(_losses(tmp_path / "whole"), abs=1e-5)


def test_processes_share_a_step_and_go_on_from_where_one_stood(
    config_file: Path, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without dropout the number of processes changes no loss: here one begins and is killed, two go on."""
    overrides = ["dropout=0.0", "checkpoint_every=5"]
    _pretrain(config_file, texts, tmp_path / "alone", *overrides)
    together = tmp_path / "together"
    with monkeypatch.context() as patch:
        patch.setattr(Pretraining, "train_step", dying_at(12))
        with pytest.raises(Killed):
            _pretrain(config_file, texts, together, *overrides)
    assert len(_losses(together)) == 10
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "app.cli"]
    command = ["pretrain", "--config", str(config_file), "--data", str(texts), "--out", str(together)]
    settings = [part for override in overrides for part in ("--set", override)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([*launcher, *command, *settings], env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().count('"steps": 24') == 1
    assert _losses(together) == pytest.approx(_losses(tmp_path / "alone"), abs=1e-4)
    ours, theirs = (load_file(tmp_path / name / "model.safetensors") for name in ("alone", "together"))
    assert max(float((ours[name] - theirs[name]).abs().max()) for name in theirs) < 1e-3


def test_a_micro_batch_bounds_memory_and_changes_no_loss(config_file: Path, texts: Path, tmp_path: Path) -> None:
    losses = [
        _training(config_file, texts, tmp_path / str(size), "dropout=0.0", f"micro_batch_tokens={size}").train_step(0)
        for size in (128, 512)
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def test_only_the_masked_tokens_count(config_file: Path, texts: Path, tmp_path: Path) -> None:
    training = _training(config_file, texts, tmp_path / "run")
    sequences = training.sequences(0)
    with torch.no_grad():
        for value in training.model.parameters():
            value.zero_()
        loss = float(training.loss_sum(sequences))
    masked = sum(len(sequence.targets) for sequence in sequences)
    # Nothing is known: every piece of the vocabulary is as likely as another.
    assert loss / masked == pytest.approx(np.log(training.model.config.vocab_size), rel=1e-4)


def test_processes_take_turns(config_file: Path, texts: Path, tmp_path: Path) -> None:
    training = _training(config_file, texts, tmp_path / "run")
    whole = [sequence.document.input_ids.tobytes() for sequence in training.sequences(3)]
    shares = []
    for rank in range(3):
        training.processes = Processes(rank, 3)
        shares.append([sequence.document.input_ids.tobytes() for sequence in training.sequences(3)])
    assert [shares[index % 3][index // 3] for index in range(len(whole))] == whole


def test_a_checkpoint_with_fewer_token_types_gets_more(
    whole_run: Path, character_tokenizer: Tokenizer, tmp_path: Path
) -> None:
    name = "bert.embeddings.token_type_embeddings.weight"
    weights = load_file(whole_run / "model.safetensors")
    weights[name] = weights[name][:1].clone()
    save_file(weights, tmp_path / "model.safetensors")
    shape = json.loads((whole_run / "config.json").read_text())
    write_json(tmp_path / "config.json", {**shape, "type_vocab_size": 1})
    config = read_pretrain_config(whole_run.parent / "run.toml", [f"checkpoint={tmp_path}"])
    model = new_masked_lm(config, character_tokenizer)
    rows = model.bert.embeddings.token_type_embeddings.weight
    assert model.config.type_vocab_size == 3
    torch.testing.assert_close(rows.detach(), weights[name].expand(3, -1))
    head = model.cls.predictions.transform.dense.weight
    assert torch.equal(head, weights["cls.predictions.transform.dense.weight"])


def test_other_texts_do_not_go_on_with_a_run(whole_run: Path, texts: Path, tmp_path: Path) -> None:
    shutil.copytree(whole_run, tmp_path / "run")
    shutil.copytree(texts, tmp_path / "texts")
    with (tmp_path / "texts" / "places.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"text": "駅"}\n')
    with pytest.raises(ConfigError, match="The texts differ from those"):
        _pretrain(whole_run.parent / "run.toml", tmp_path / "texts", tmp_path / "run")


def test_another_configuration_does_not_go_on_with_a_run(whole_run: Path, texts: Path, tmp_path: Path) -> None:
    out, config = tmp_path / "run", whole_run.parent / "run.toml"
    shutil.copytree(whole_run, out)
    with pytest.raises(ConfigError, match=r"mask_rate was 0.15 and is 0.3; steps was 24 and is 25\."):
        _pretrain(config, texts, out, "mask_rate=0.3", "steps=25")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("max_positions=64", "lengths asks for 128 tokens; the model has 64 positions"),
        ("tokenizer=nowhere.json", "The tokenizer nowhere.json cannot be loaded"),
        ("checkpoint=nowhere", "The checkpoint cannot be used"),
        ("texts={nowhere=1}", "nowhere does not exist"),
        ("lengths={9000=1}", "batch_tokens is 512; it must hold one sequence of 9000 tokens"),
    ],
)
def test_errors_are_sentences(
    override: str, message: str, config_file: Path, texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["pretrain", "--config", str(config_file), "--data", str(texts), "--out", str(tmp_path / "run")]
    assert main([*command, "--set", override]) == 2
    assert message in capsys.readouterr().err


def test_a_step_holds_a_sequence_for_every_process(config_file: Path, texts: Path, tmp_path: Path) -> None:
    config = read_pretrain_config(config_file, [])
    with pytest.raises(ConfigError, match="5 processes with a sequence of 128 tokens each need at least 640"):
        Pretraining(config, texts, tmp_path / "run", tmp_path / "tokens", Processes(0, 5))


def test_the_tokenizer_is_the_checkpoints_own(whole_run: Path, character_tokenizer: Tokenizer) -> None:
    config = read_pretrain_config(whole_run.parent / "run.toml", ['tokenizer=""', f"checkpoint={whole_run}"])
    assert load_tokenizer(config).vocab_size == character_tokenizer.vocab_size
