"""The first batches of a session: the largest possible shapes, and the error when they fail."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from app.block_tables import AttentionLayout, block_tables
from app.errors import BrokenModel
from app.manifest import Manifest
from app.packing import Document, PackedBatch
from app.settings import Settings
from app.types import Task
from app.worker.session import Session
from app.worker.warmup import warm, warm_lengths

LAYOUT = AttentionLayout(block_size=64, num_random_blocks=3)


@pytest.mark.parametrize(
    ("max_tokens", "max_batch_tokens", "blocks"),
    [
        (4096, 4096, [[11] * 5 + [9], [64], [1]]),
        (4096, 8192, [[11] * 11 + [7], [64] + [12] * 5, [1]]),
        (512, 1024, [[8, 8], [8], [1]]),
        (4096, 64, [[1], [64], [1]]),
        (4096, 1, [[1], [64], [1]]),
    ],
)
def test_shapes(max_tokens: int, max_batch_tokens: int, blocks: list[list[int]]) -> None:
    lengths = warm_lengths(LAYOUT, max_tokens, max_batch_tokens)
    assert lengths == [[64 * count for count in batch] for batch in blocks]


@pytest.mark.parametrize("max_batch_tokens", [4096, 8192])
def test_no_batch_gathers_more_keys_than_those_of_the_warm_up(max_batch_tokens: int) -> None:
    """Keys gathered by a batch's tables, which is what its memory grows with, over mixes of a few kinds of lengths."""

    def gathered(counts: list[int]) -> int:
        inputs = block_tables(counts, LAYOUT)
        return sum(inputs[f"{kind}_table"].size for kind in ("dense", "global", "sparse"))

    room = max_batch_tokens // 64
    warmed = max(gathered([length // 64 for length in batch]) for batch in warm_lengths(LAYOUT, 4096, max_batch_tokens))
    for kinds in ((1,), (11,), (12,), (1, 11), (1, 12), (11, 12), (11, 40), (12, 40), (12, 52), (11, 64), (1, 64)):
        for last in range(1, room // kinds[-1] + 1):
            others = (room - last * kinds[-1]) // kinds[0]
            assert gathered([kinds[-1]] * last + [kinds[0]] * others) <= warmed


def test_a_graph_that_cannot_run_its_own_sizes(handmade_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any) -> None:
        raise MemoryError("no memory")

    directory = handmade_models / "hand-classify"
    manifest = Manifest.read(directory)
    session = Session(directory, manifest, Settings(intra_op_threads=1))
    monkeypatch.setattr(session, "run", fails)
    with pytest.raises(BrokenModel, match="windows of up to 256 tokens and --max-batch-tokens 512 allow: no memory"):
        warm(session, manifest, 512)


def test_the_smallest_batch_alone(handmade_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = handmade_models / "hand-classify"
    manifest = Manifest.read(directory)
    session = Session(directory, manifest, Settings(intra_op_threads=1))
    pack, packed = session.pack, []

    def noted(documents: Sequence[Document]) -> PackedBatch:
        packed.append([len(document.input_ids) for document in documents])
        return pack(documents)

    monkeypatch.setattr(session, "pack", noted)
    warm(session, manifest, 512, smallest_only=True)
    assert packed == [[session.layout.block_size]]


@pytest.mark.parametrize(
    ("task", "labels", "words"),
    [
        ("classify", ("a", "b", "c"), "The manifest of hand-classify has 3 labels, its graph 2."),
        ("rerank", (), "A model for rerank has one label; the graph of hand-classify has 2."),
    ],
)
def test_a_graph_with_other_labels_than_its_task_reads(
    handmade_models: Path, task: Task, labels: tuple[str, ...], words: str
) -> None:
    directory = handmade_models / "hand-classify"
    manifest = Manifest.read(directory).model_copy(update={"task": task, "labels": labels})
    session = Session(directory, manifest, Settings(intra_op_threads=1))
    with pytest.raises(BrokenModel) as refused:
        warm(session, manifest, 512, smallest_only=True)
    assert str(refused.value) == words


def test_a_summarizer_with_two_logits_for_a_token(handmade_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = handmade_models / "hand-summarize"
    manifest = Manifest.read(directory)
    session = Session(directory, manifest, Settings(intra_op_threads=1))
    run = session.run
    monkeypatch.setattr(session, "run", lambda batch: [{"logits": one["logits"].repeat(2, -1)} for one in run(batch)])
    with pytest.raises(
        BrokenModel, match=r"^A model for summarize has one label; the graph of hand-summarize has 2\.$"
    ):
        warm(session, manifest, 512, smallest_only=True)
