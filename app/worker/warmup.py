"""The first batches of a session: the shapes that take the most memory, so that later batches need no more.

Readiness waits for them. They also prove that a model can run its own sizes.
"""

import numpy as np

from app.block_tables import AttentionLayout
from app.errors import BrokenModel
from app.manifest import Manifest
from app.packing import Document
from app.types import Outputs
from app.worker.session import Session

_WITH_ONE_LABEL = ("summarize", "rerank", "evidence")


def warm(session: Session, manifest: Manifest, max_batch_tokens: int, *, smallest_only: bool = False) -> None:
    """Run every batch of `warm_lengths`, or only the last of them, which takes next to no time.

    Raises:
        BrokenModel: one of them fails, or the graph does not have the labels of the manifest.
    """
    batches = warm_lengths(session.layout, manifest.max_tokens, max_batch_tokens)
    for lengths in batches[-1:] if smallest_only else batches:
        try:
            outputs = session.run(session.pack([_sample(length, manifest) for length in lengths]))
        except Exception as error:  # anything at all: a model that cannot run its own sizes is not served
            raise BrokenModel(
                f"{manifest.name} fails on a batch of {sum(lengths)} tokens, which its windows of up to "
                f"{manifest.max_tokens} tokens and --max-batch-tokens {max_batch_tokens} allow: {error}"
            ) from error
        _check_labels(manifest, outputs[0])


def _check_labels(manifest: Manifest, outputs: Outputs) -> None:
    """Refuse a graph whose logits the task would read as those of other labels."""
    if manifest.task not in ("classify", *_WITH_ONE_LABEL):
        return
    found = outputs["logits"].shape[-1]
    if manifest.task == "classify" and found != len(manifest.labels):
        raise BrokenModel(f"The manifest of {manifest.name} has {len(manifest.labels)} labels, its graph {found}.")
    if manifest.task in _WITH_ONE_LABEL and found != 1:
        raise BrokenModel(f"A model for {manifest.task} has one label; the graph of {manifest.name} has {found}.")


def warm_lengths(layout: AttentionLayout, max_tokens: int, max_batch_tokens: int) -> list[list[int]]:
    """Lengths in tokens of the documents of each batch, largest need first.

    A row's need grows with the blocks it attends to. Widest are the rows of full attention, so the first batch has
    nothing but the longest documents that get it. The second has the longest window, whose global rows are widest, and
    the shortest others that have global rows, which share their width. (As many documents as there can be need no more
    than that: each attends to one block.) The last is the smallest, for a first request that does not wait.
    """
    size = layout.block_size
    longest = -(-max_tokens // size)
    room = max(max_batch_tokens // size, 1)
    dense = max(blocks for blocks in range(1, longest + 1) if layout.is_dense(blocks))
    batches = [
        [dense] * (room // dense) + [room % dense] * (room % dense > 0),
        [longest] + [dense + 1] * ((room - longest) // (dense + 1) if longest > dense else 0),
        [1],
    ]
    return [[min(blocks * size, max_tokens) for blocks in batch] for batch in batches]


def _sample(length: int, manifest: Manifest) -> Document:
    ids = np.arange(length, dtype=np.int32) % manifest.architecture.vocab_size
    return Document(ids, np.zeros(length, dtype=np.int32))
