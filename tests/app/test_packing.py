"""Packed batches: documents on one token axis, and any mix of them attends only within each document."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.block_tables import MASKED, AttentionLayout
from app.errors import ImpossibleTable
from app.packing import Document, pack, packed_length
from tests.app.random_plans import plan

# Blocks of 4 tokens and no random blocks: a document is sparse from 6 blocks on, so that whole tables fit on the page.
SMALL = AttentionLayout(block_size=4, num_random_blocks=0)


def document(tokens: int, question_length: int = 0, first_id: int = 10) -> Document:
    ids = np.arange(first_id, first_id + tokens, dtype=np.int32)
    return Document(ids, np.ones(tokens, dtype=np.int32), question_length)


@pytest.mark.parametrize(("tokens", "length"), [(1, 64), (63, 64), (64, 64), (65, 128), (4095, 4096), (4096, 4096)])
def test_a_document_costs_whole_blocks(tokens: int, length: int) -> None:
    assert packed_length(tokens, 64) == length


def test_tokens_positions_and_padding() -> None:
    batch = pack([document(3), document(6, first_id=50)], SMALL)
    assert batch.inputs["input_ids"].tolist() == [[10, 11, 12, 0, 50, 51, 52, 53, 54, 55, 0, 0]]
    assert batch.inputs["token_type_ids"].tolist() == [[1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 0, 0]]
    assert batch.inputs["position_ids"].tolist() == [[0, 1, 2, 0, 0, 1, 2, 3, 4, 5, 0, 0]]
    assert batch.inputs["key_bias"].tolist() == [[0, 0, 0, MASKED], [0] * 4, [0, 0, MASKED, MASKED]]
    assert batch.inputs["cls_index"].tolist() == [0, 4]
    assert batch.documents == (slice(0, 3), slice(4, 10))
    assert (batch.tokens, batch.padded_tokens) == (9, 12)
    for name, array in batch.inputs.items():
        is_float = name.endswith(("bias", "mask"))
        assert array.dtype == (np.float32 if is_float else np.int32), name


def test_the_question_is_masked_but_for_cls() -> None:
    batch = pack([document(4, question_length=3), document(3), document(2, question_length=1)], SMALL)
    assert batch.inputs["question_mask"].tolist() == [[0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("documents", "layout", "words"),
    [
        ([], SMALL, "at least one document"),
        ([document(0)], SMALL, "at least one token"),
        ([document(3), document(0)], SMALL, "at least one token"),
        ([Document(np.zeros(3, np.int32), np.zeros(2, np.int32))], SMALL, "a token type for each"),
        ([document(3, question_length=4)], SMALL, "at least one token"),
        ([document(3, question_length=-1)], SMALL, "at least one token"),
        ([document(3)], AttentionLayout(pattern="random"), "needs a random plan"),
        ([document(3)], AttentionLayout(random_plan=plan(9)), "needs a random plan"),
        (
            [document(40)],
            AttentionLayout(block_size=4, num_random_blocks=1, pattern="random", random_plan=plan(9)),
            "no random blocks for 10 blocks; its longest plan has 9",
        ),
    ],
)
def test_impossible_batches(documents: list[Document], layout: AttentionLayout, words: str) -> None:
    with pytest.raises(ImpossibleTable, match=words):
        pack(documents, layout)


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 90), min_size=1, max_size=8),
    r=st.integers(0, 2),
    pattern=st.sampled_from(("hf-eval", "random")),
)
def test_any_mix_of_documents(lengths: list[int], r: int, pattern: Any) -> None:
    size = 4
    r = max(r, 1) if pattern == "random" else r
    random_plan = plan(23, r=r, first=5 + 2 * r + 1) if pattern == "random" else None
    layout = AttentionLayout(size, r, pattern, random_plan)
    batch = pack([document(length, first_id=100 * i + 1) for i, length in enumerate(lengths)], layout)
    inputs = batch.inputs
    counts = [packed_length(length, size) // size for length in lengths]
    owner = np.repeat(np.arange(len(lengths)), counts)

    # Tokens: each document where its slice says, nothing between.
    kept = np.zeros(batch.padded_tokens, dtype=bool)
    for index, (length, where) in enumerate(zip(lengths, batch.documents, strict=True)):
        assert inputs["input_ids"][0, where].tolist() == list(range(100 * index + 1, 100 * index + 1 + length))
        assert where.start % size == 0
        assert not kept[where].any()
        kept[where] = True
    assert not inputs["input_ids"][0, ~kept].any()
    np.testing.assert_array_equal(inputs["key_bias"].reshape(-1) == 0, kept)
    assert batch.tokens == sum(lengths) == kept.sum()

    # Rows: `merge` leads every block to a row of its own, and that row names the block and only its own document.
    kinds = ("dense", "global", "sparse")
    rows = np.concatenate([inputs[f"{kind}_rows"] for kind in kinds])
    assert rows[inputs["merge"]].tolist() == list(range(len(owner)))
    attended: list[list[int]] = []
    for kind in kinds:
        for table, bias in zip(inputs[f"{kind}_table"], inputs[f"{kind}_bias"], strict=True):
            attended.append(table[bias > MASKED].tolist())
    for block, place in enumerate(inputs["merge"].tolist()):
        keys = attended[place]
        assert len(set(keys)) == len(keys)
        assert block in keys
        assert set(owner[keys]) == {owner[block]}
        first, last = np.flatnonzero(owner == owner[block])[[0, -1]]
        everything = layout.is_dense(counts[owner[block]]) or block in (first, last)
        near = {first, block - 1, block, block + 1, last}
        assert set(keys) == (set(range(first, last + 1)) if everything else near)


@given(lengths=st.lists(st.integers(1, 60), min_size=1, max_size=8))
def test_any_mix_of_documents_in_order(lengths: list[int]) -> None:
    layout = AttentionLayout(block_size=4, kinds=("full", "local"))
    tables = pack([document(length) for length in lengths], layout).inputs
    counts = [packed_length(length, 4) // 4 for length in lengths]
    owner = np.repeat(np.arange(len(counts)), counts)
    for block, own in enumerate(owner):
        here = set(np.flatnonzero(owner == own).tolist())
        for kind, wanted in (("full", here), ("local", here & {block - 1, block, block + 1})):
            keys = tables[f"{kind}_table"][block][tables[f"{kind}_bias"][block] > MASKED].tolist()
            assert sorted(keys) == sorted(wanted), kind


def test_weights_of_the_mean_over_a_document() -> None:
    layout = AttentionLayout(block_size=4, kinds=("full",), means=True)
    weights = pack([document(5), document(2)], layout).inputs["mean_weights"]
    np.testing.assert_array_equal(weights, np.array([[0.2, 0.2, 0], [0, 0, 0.5]], dtype=np.float32))
