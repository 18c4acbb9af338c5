"""Training on a data set that fits on a page: it learns, and a kill at any moment changes no loss."""

import argparse
import bisect
import itertools
import json
import math
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from app.cli import main
from app.packing import AttentionLayout, Document, PackedBatch, pack
from app.text.tokenizer import Tokenizer
from tests.training.conftest import places_config, reading_file, squad, write_json, write_jsonl
from training.config import ConfigError, TrainingConfig, read_config
from training.data import DataError
from training.finetune import command, loop
from training.finetune.checkpoint import new_model
from training.finetune.examples import Target, TrainingSequence
from training.finetune.loop import Run, batches, grouped
from training.runs.distributed import Processes
from training.runs.trainer import Diverged, learning_rate


class Killed(BaseException):
    """Stands in for a kill: nothing catches it, nothing is cleaned up."""


@pytest.fixture
def config_file(tmp_path: Path, character_tokenizer_file: Path) -> Path:
    file = tmp_path / "run.toml"
    file.write_text(places_config(character_tokenizer_file), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def whole_run(
    tmp_path_factory: pytest.TempPathFactory, character_tokenizer_file: Path, places_data: Path
) -> tuple[Path, list[float]]:
    """The folder and the losses of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    config = folder / "run.toml"
    config.write_text(places_config(character_tokenizer_file), encoding="utf-8")
    _train(config, places_data, folder / "run")
    return folder / "run", json.loads((folder / "run" / "losses.json").read_text())


def _train(config: Path, data: Path, out: Path, *overrides: str) -> int:
    return command.run(argparse.Namespace(config=config, data=data, out=out, set=list(overrides)))


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


def _dying(real: Callable[..., Any], calls: Iterator[int], at: int) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == at:
            raise Killed
        return real(*args, **kwargs)

    return call


@pytest.mark.parametrize("at", range(23))
def test_a_kill_inside_a_checkpoint_changes_no_loss(
    at: int,
    config_file: Path,
    places_data: Path,
    whole_run: tuple[Path, list[float]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Die before the at-th change to the folder (there are seven in the first checkpoint, eight in the others)."""
    calls = itertools.count()
    step = 4 * bisect.bisect_right([4, 13, 21], at)  # before these, the next checkpoint becomes the one to go on from
    with monkeypatch.context() as patch:
        for module, name in ((os, "replace"), (shutil, "rmtree"), (loop, "save_checkpoint"), (torch, "save")):
            patch.setattr(module, name, _dying(getattr(module, name), calls, at))
        with pytest.raises(Killed):
            _train(config_file, places_data, tmp_path / "run")
    run = Run(read_config(config_file, []), places_data, tmp_path / "run")
    run.resume()
    assert run.step == step
    run.train()
    assert run.losses == pytest.approx(whole_run[1], abs=1e-5)
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (tmp_path / "run", whole_run[0]))
    assert max(float((ours[name] - theirs[name]).abs().max()) for name in theirs) < 1e-5


def test_a_killed_process_goes_on_with_the_same_losses(
    config_file: Path, places_data: Path, whole_run: tuple[Path, list[float]], tmp_path: Path
) -> None:
    code = (
        "import os, signal, sys, app.cli, training.finetune.loop\n"
        "step = training.finetune.loop.Run.train_step\n"
        "def dying(self, *args):\n"
        "    loss = step(self, *args)\n"
        "    if self.step == 10: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return loss\n"
        "training.finetune.loop.Run.train_step = dying\n"
        "app.cli.main(sys.argv[1:])\n"
    )
    command = ["finetune", "--config", str(config_file), "--data", str(places_data), "--out", str(tmp_path / "run")]
    killed = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, timeout=200, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert torch.load(tmp_path / "run" / "last" / "state.pt", weights_only=True)["step"] == 8
    assert main(command) == 0
    assert json.loads((tmp_path / "run" / "losses.json").read_text()) == pytest.approx(whole_run[1], abs=1e-5)


def test_a_finished_run_stays_as_it_is(
    config_file: Path, places_data: Path, whole_run: tuple[Path, list[float]], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(whole_run[0], out)
    assert _train(config_file, places_data, out) == 0
    assert json.loads((out / "losses.json").read_text()) == whole_run[1]
    assert (out / "model.safetensors").read_bytes() == (whole_run[0] / "model.safetensors").read_bytes()


def test_another_configuration_does_not_go_on_with_a_run(
    config_file: Path,
    places_data: Path,
    whole_run: tuple[Path, list[float]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "run"
    shutil.copytree(whole_run[0], out)
    command = ["finetune", "--config", str(config_file), "--data", str(places_data), "--out", str(out)]
    assert main([*command, "--set", "epochs=4", "--set", "hidden=32"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"nagayomi: {out} holds a run with another configuration: ")
    assert "hidden was 16 and is 32; epochs was 3.0 and is 4.0." in error
    shutil.rmtree(out / "last")  # a finished run whose state was thrown away
    with pytest.raises(ConfigError, match="epochs was"):
        _train(config_file, places_data, out, "epochs=4")


def test_how_often_to_save_may_change(
    config_file: Path, places_data: Path, whole_run: tuple[Path, list[float]], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(whole_run[0], out)
    config = json.loads((out / "last" / "config.json").read_text())
    training = config["nagayomi"]["training"]
    # Written by a version that had other keys.
    del training["class_balance"], training["sets"][0]["removed_share"]
    training["start"] = "random"
    write_json(out / "last" / "config.json", config)
    assert _train(config_file, places_data, out, "checkpoint_every=100") == 0


def test_another_tokenizer_does_not_go_on_with_a_run(
    places_data: Path, whole_run: tuple[Path, list[float]], tmp_path: Path, character_tokenizer_file: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(whole_run[0], out)
    (out / "tokenizer.json").write_text("{}")
    config = tmp_path / "run.toml"
    config.write_text(places_config(character_tokenizer_file), encoding="utf-8")
    with pytest.raises(ConfigError, match="is not the tokenizer that the run"):
        _train(config, places_data, out)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("tokenizer=nowhere.json", "The tokenizer nowhere.json cannot be loaded"),
        ("checkpoint=nowhere", "The checkpoint cannot be used"),
        ("sets.0.data=nowhere.json", "nowhere.json does not exist"),
        ("sets.0.reader=livedoor", "does not give examples for the task 'qa'"),
        ("sets.0.max_tokens=100", "max_tokens is 100; the model has 64 positions"),
        ("sets.0.max_tokens=8", "holds nothing that a model could learn from"),
        ("layers=none", "layers: Input should be a valid integer"),
    ],
)
def test_what_is_wrong_is_said_in_words(
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
    _train(config_file, places_data, tmp_path / "plain", *plain)
    with pytest.raises(ConfigError, match="set question_overlap = false"):
        new_model(read_config(config_file, [f"checkpoint={tmp_path / 'plain'}"]), character_tokenizer, ())
    new_model(read_config(config_file, [f"checkpoint={tmp_path / 'plain'}", *plain]), character_tokenizer, ())


def test_a_loss_that_is_no_number_stops_the_run(
    config_file: Path, places_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = loop.loss_sum

    def broken(*args: Any) -> torch.Tensor:
        loss = real(*args)
        return loss * float("nan") if next(steps) == 5 else loss

    steps = itertools.count()
    monkeypatch.setattr(loop, "loss_sum", broken)
    with pytest.raises(Diverged, match="The loss of step 6 is nan"):
        _train(config_file, places_data, tmp_path / "run")
    assert torch.load(tmp_path / "run" / "last" / "state.pt", weights_only=True)["step"] == 4


def test_every_example_is_in_every_epoch_once(config_file: Path, places_data: Path, tmp_path: Path) -> None:
    run = Run(read_config(config_file, []), places_data, tmp_path / "run")
    for epoch in range(3):
        epoch_batches = list(batches(run.mixture, run.config, epoch, 64))
        assert sum(len(batch) for batch in epoch_batches) == run.mixture.size == 24
        assert max(len(batch) for batch in epoch_batches) == 4
    first, again, other = (
        [s.document.input_ids.tobytes() for b in batches(run.mixture, run.config, e, 64) for s in b] for e in (0, 0, 1)
    )
    assert first == again != other


def test_a_sequence_larger_than_a_batch_is_one() -> None:
    lengths = [3, 70, 2, 200, 64, 1]
    sequences = [TrainingSequence(Document(np.zeros(n, np.int32), np.zeros(n, np.int32)), Target()) for n in lengths]
    groups = grouped(sequences, 128, 64)
    assert [[len(sequence.document.input_ids) for sequence in group] for group in groups] == [
        *([3], [70], [2], [200], [64, 1])
    ]


def _read_positions(run: Run, sequences: list[TrainingSequence], monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The positions of each sequence in one step, as the model gets them."""
    seen: list[list[int]] = []

    def spying(batch: PackedBatch, *rest: Any) -> None:
        positions = calls.pop()["position_ids"][0]
        seen.extend(positions[place].tolist() for place in batch.documents)
        raise Killed

    calls: list[dict[str, torch.Tensor]] = []
    real = run.packed.forward

    def called(**inputs: torch.Tensor) -> Any:
        calls.append(inputs)
        return real(**inputs)

    monkeypatch.setattr(run.packed, "forward", called)
    monkeypatch.setattr(loop, "loss_sum", lambda outputs, batch, *rest: spying(batch, *rest))
    with pytest.raises(Killed):
        run.train_step(sequences, np.random.default_rng(1))
    return seen


def test_positions_are_shifted_but_for_the_question(
    config_file: Path, places_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(read_config(config_file, ["shifted_share=1.0"]), places_data, tmp_path / "run")
    sequences = [run.mixture.sources[0].draw(index, np.random.default_rng(0)) for index in range(4)]
    shifts = set()
    for own, sequence in zip(_read_positions(run, sequences, monkeypatch), sequences, strict=True):
        question = sequence.document.question_length
        assert own[:question] == list(range(question))
        assert np.diff(own[question:]).tolist() == [1] * (len(own) - question - 1)
        assert max(own) < 64
        shifts.add(own[question] - question)
    assert len(shifts) > 2


def test_without_a_question_all_but_cls_is_shifted(
    config_file: Path, places_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(read_config(config_file, ["shifted_share=1.0"]), places_data, tmp_path / "run")
    sequence = TrainingSequence(Document(np.zeros(9, np.int32), np.zeros(9, np.int32)), Target())
    (own,) = _read_positions(run, [sequence], monkeypatch)
    assert own[0] == 0
    assert own[1] > 1
    assert np.diff(own[1:]).tolist() == [1] * 7


def test_passes_and_processes_give_the_same_loss_and_gradients(
    config_file: Path, places_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without dropout: in one pass, in four, and the sum over three processes, one of them without a sequence."""

    def gradients(processes: Processes, micro: int, out: str) -> tuple[float, dict[str, torch.Tensor]]:
        overrides = ["dropout=0.0", "shifted_share=0.5", f"micro_batch_tokens={micro}"]
        run = Run(read_config(config_file, overrides), places_data, tmp_path / out)
        sequences = [run.mixture.sources[0].draw(index, np.random.default_rng(0)) for index in range(2)]
        run.processes = processes
        monkeypatch.setattr(Processes, "sum_of", lambda self, value: value)
        monkeypatch.setattr(Processes, "sum_gradients", lambda self, parameters: None)
        monkeypatch.setattr(run, "descend", lambda loss: None)
        loss = run.train_step(sequences, np.random.default_rng(3))
        return loss, {n: p.grad.clone() for n, p in run.model.named_parameters() if p.grad is not None}

    whole_loss, whole = gradients(Processes(), 10_000, "whole")
    micro_loss, micro = gradients(Processes(), 1, "micro")
    shares = [gradients(Processes(rank, 3), 10_000, f"rank-{rank}") for rank in range(3)]
    assert shares[2][0] == 0.0
    assert micro_loss == pytest.approx(whole_loss, abs=1e-6)
    assert sum(loss for loss, _ in shares) == pytest.approx(whole_loss, abs=1e-6)
    assert all(share.keys() == whole.keys() for _, share in shares)
    for name, wanted in whole.items():
        torch.testing.assert_close(micro[name], wanted, atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(sum(share[name] for _, share in shares), wanted, atol=1e-6, rtol=1e-5)


def test_processes_share_a_step_and_go_on_from_where_one_stood(
    config_file: Path, places_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without dropout the number of processes changes no loss: here one begins and is killed, two go on."""
    # Batches of one sequence: one of the processes has none in every step.
    overrides = ["dropout=0.0", "batch_tokens=64", "epochs=0.5", "checkpoint_every=5"]
    _train(config_file, places_data, tmp_path / "alone", *overrides)
    together = tmp_path / "together"
    real = Run.train_step

    def dying(self: Run, *args: Any) -> float:
        if self.step == 7:
            raise Killed
        return real(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "train_step", dying)
        with pytest.raises(Killed):
            _train(config_file, places_data, together, *overrides)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "app.cli"]
    command = ["finetune", "--config", str(config_file), "--data", str(places_data), "--out", str(together)]
    settings = [part for override in overrides for part in ("--set", override)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([*launcher, *command, *settings], env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().count('"steps": 12') == 1
    losses = [json.loads((tmp_path / name / "losses.json").read_text()) for name in ("together", "alone")]
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)


def test_the_learning_rate_rises_and_falls() -> None:
    config = TrainingConfig(tokenizer="t", learning_rate=1.0, warmup_share=0.1)
    rates = [learning_rate(step, 100, config) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == rates[10] == pytest.approx(1.0)
    assert rates[-1] == pytest.approx(1 / 90)
    assert learning_rate(0, 1, config) == 1.0


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


def test_nothing_to_learn_from_is_an_error(config_file: Path, tmp_path: Path) -> None:
    write_json(tmp_path / "places.json", squad({"places": [("駅は0。", [("寺" * 20, "")])]}))
    with pytest.raises(DataError, match="holds nothing that a model could learn from"):
        Run(read_config(config_file, []), tmp_path, tmp_path / "run")


def _packed(*lengths: int) -> PackedBatch:
    documents = [Document(np.zeros(length, np.int32), np.zeros(length, np.int32)) for length in lengths]
    return pack(documents, AttentionLayout(block_size=4))


def test_the_loss_of_a_sentence_is_that_of_its_mean_logit_and_counts_where_a_summary_may_keep_it() -> None:
    logits = torch.tensor([[[1.0], [3.0], [3.0], [-9.0], [-1.0], [1.0], [0.0], [2.0]]])  # (1, T, 1)
    targets = [
        Target(starts=np.array(at, np.int32), kept=np.array(kept, np.float32), weights=np.array(w, np.float32))
        for at, kept, w in (([0, 2, 3], [1, 0, 1], [1, 1, 0]), ([0, 2], [0, 1], [1, 1]))
    ]
    alone = [math.log(1 + math.exp(-2)), math.log(1 + math.exp(3)), math.log(2), math.log(1 + math.exp(-1))]
    assert loop.loss_sum((logits,), _packed(4, 4), targets, "summarize").item() == pytest.approx(sum(alone))
    assert loop.loss_weight(targets, "summarize") == 4.0


def test_the_loss_of_a_text_counts_as_its_label_weighs() -> None:
    logits = torch.tensor([[0.0, 0.0], [3.0, 0.0]])
    targets = [Target(label=1), Target(label=0)]
    alone = [math.log(2), math.log(1 + math.exp(-3))]
    assert loop.loss_sum((logits,), _packed(3, 3), targets, "classify").item() == pytest.approx(sum(alone))
    assert loop.loss_weight(targets, "classify") == 2.0
    weighed = loop.loss_sum((logits,), _packed(3, 3), targets, "classify", torch.tensor([0.5, 4.0]))
    assert weighed.item() == pytest.approx(4 * alone[0] + 0.5 * alone[1])


def test_the_loss_of_a_question_is_over_its_own_tokens_and_cls_is_no_answer() -> None:
    logits = torch.full((1, 8), 50.0)  # what lies outside the documents must not count
    logits[0, :3] = torch.tensor([1.0, 0.0, 2.0])
    logits[0, 4:6] = torch.tensor([0.0, 3.0])
    targets = [Target(start=2, end=0), Target()]

    def surprise(at: int, *own: float) -> float:
        return math.log(sum(math.exp(one) for one in own)) - own[at]

    starts = surprise(2, 1, 0, 2) + surprise(0, 0, 3)
    ends = surprise(0, 1, 0, 2) + surprise(0, 0, 3)
    assert loop.loss_sum((logits, logits), _packed(3, 2), targets, "qa").item() == pytest.approx((starts + ends) / 2)
    assert loop.loss_weight(targets, "qa") == 2.0


def test_the_progress_says_what_trains_where(config_file: Path, places_data: Path, tmp_path: Path) -> None:
    for autocast, named in (("none", "fp32"), ("bf16", "bf16")):
        run = Run(read_config(config_file, [f"autocast={autocast}"]), places_data, tmp_path / autocast)
        assert run.description == f"training qa on cpu in {named}"
        assert math.isfinite(run.train_step(next(batches(run.mixture, run.config, 0, 64)), np.random.default_rng(0)))
