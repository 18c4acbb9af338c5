"""One step of the loop: batches, positions, losses and gradients."""

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from app.block_tables import AttentionLayout
from app.packing import Document, PackedBatch, pack
from app.tasks.sentence_features import SENTENCE_FEATURES
from app.types import DoubleArray, SentenceFeature
from tests.training.finetune.running import Killed, train
from training.config import TrainingConfig, read_config
from training.finetune import loop
from training.finetune.examples import Target, TrainingSequence
from training.finetune.loop import Run, batches, grouped
from training.runs.distributed import Processes
from training.runs.trainer import Diverged, learning_rate


def test_a_loss_that_is_not_finite_stops_the_run(
    config_file: Path,
    places_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    real = loop.loss_sum

    def broken(*args: Any) -> torch.Tensor:
        loss = real(*args)
        return loss * float("nan") if next(steps) == 5 else loss

    steps = itertools.count()
    monkeypatch.setattr(loop, "loss_sum", broken)
    with pytest.raises(Diverged, match="The loss of step 6 is nan"):
        train(config_file, places_data, tmp_path / "run")
    assert torch.load(tmp_path / "run" / "last" / "state.pt", weights_only=True)["step"] == 4
    assert capsys.readouterr().err.endswith("\n"), "the error begins on a line of its own, not behind the progress bar"


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


def test_the_learning_rate_rises_and_falls() -> None:
    config = TrainingConfig(tokenizer="t", learning_rate=1.0, warmup_share=0.1)
    rates = [learning_rate(step, 100, config) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == rates[10] == pytest.approx(1.0)
    assert rates[-1] == pytest.approx(1 / 90)
    assert learning_rate(0, 1, config) == 1.0


def _packed(*lengths: int) -> PackedBatch:
    documents = [Document(np.zeros(length, np.int32), np.zeros(length, np.int32)) for length in lengths]
    return pack(documents, AttentionLayout(block_size=4))


def _sentences(*of: dict[SentenceFeature, float]) -> DoubleArray:
    return np.array([[one.get(name, 0.0) for name in SENTENCE_FEATURES] for one in of])


def test_the_loss_of_a_sentence_is_that_of_its_logit_and_counts_where_a_summary_may_keep_it() -> None:
    """The first document's second sentence stands in a note, which takes 2 from its mean logit of 3."""
    logits = torch.tensor([[[1.0], [3.0], [3.0], [-9.0], [-1.0], [1.0], [0.0], [2.0]]])  # (1, T, 1)
    targets = [
        Target(0, 0, 0, np.array(at, np.int32), np.array(kept, np.float32), np.array(w, np.float32), features)
        for at, kept, w, features in (
            ([0, 2, 3], [1, 0, 1], [1, 1, 0], _sentences({}, {"note": 1}, {})),
            ([0, 2], [0, 1], [1, 1], _sentences({}, {})),
        )
    ]
    alone = [math.log(1 + math.exp(-2)), math.log(1 + math.exp(1)), math.log(2), math.log(1 + math.exp(-1))]
    loss = loop.loss_sum((logits,), _packed(4, 4), targets, "summarize", sentence_weights={"note": -2.0})
    assert loss.item() == pytest.approx(sum(alone))
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


def test_the_progress_bar_names_task_device_and_precision(config_file: Path, places_data: Path, tmp_path: Path) -> None:
    for autocast, named in (("none", "fp32"), ("bf16", "bf16")):
        run = Run(read_config(config_file, [f"autocast={autocast}"]), places_data, tmp_path / autocast)
        assert run.description == f"training qa on cpu in {named}"
        assert math.isfinite(run.train_step(next(batches(run.mixture, run.config, 0, 64)), np.random.default_rng(0)))
