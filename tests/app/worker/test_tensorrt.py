"""Every batch the scheduler can form lies inside the profile, in few shapes, and rounding up changes no result."""

from dataclasses import astuple
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.block_tables import MASKED, AttentionLayout, RandomPlan
from app.manifest import Manifest
from app.packing import Document, pack, packed_length
from app.settings import Settings
from app.worker.session import Session
from app.worker.tensorrt import Sizes, fill, ladder, profile, rounded_up

# Blocks of 4 tokens, full attention up to 5 blocks.
SMALL = AttentionLayout(block_size=4, num_random_blocks=0)
BASE = AttentionLayout()
IN_ORDER = AttentionLayout(8, kinds=("full", "local"))


def document(tokens: int) -> Document:
    ids = np.random.default_rng(tokens).integers(0, 100, tokens).astype(np.int32)
    return Document(ids, np.zeros(tokens, dtype=np.int32), min(3, tokens))


@st.composite
def batches(draw: st.DrawFn) -> tuple[AttentionLayout, int, int, list[int]]:
    """A layout, max_tokens, max_batch_tokens, and lengths of documents that the scheduler may put together."""
    layout = draw(st.sampled_from([SMALL, BASE, AttentionLayout(16, 1), IN_ORDER]))
    size = layout.block_size
    max_tokens = draw(st.integers(8, 30 * size))
    max_batch_tokens = draw(st.integers(1, 40 * size))
    lengths = [draw(st.integers(1, max_tokens))]
    while sum(packed_length(length, size) for length in lengths) < max_batch_tokens and draw(st.booleans()):
        lengths.append(draw(st.integers(1, max_tokens)))
    if sum(packed_length(length, size) for length in lengths) > max_batch_tokens:
        lengths = lengths[:-1] or lengths[:1]
    return layout, max_tokens, max_batch_tokens, lengths


@given(batches())
def test_every_batch_within_the_limits_lies_inside_the_profile(
    case: tuple[AttentionLayout, int, int, list[int]],
) -> None:
    layout, max_tokens, max_batch_tokens, lengths = case
    span = profile(layout, max_tokens, max_batch_tokens)
    batch = pack([document(length) for length in lengths], layout)
    rounded = rounded_up(Sizes.of(batch.inputs), span.max)
    for sizes in (Sizes.of(batch.inputs), rounded, span.opt):
        assert all(
            low <= size <= high
            for low, size, high in zip(astuple(span.min), astuple(sizes), astuple(span.max), strict=True)
        )
    filled = fill(batch, rounded)
    assert Sizes.of(filled.inputs) == rounded
    assert {name: array.shape for name, array in filled.inputs.items()} == rounded.shapes(layout)
    assert {name: array.dtype for name, array in filled.inputs.items()} == {
        name: array.dtype for name, array in batch.inputs.items()
    }


@given(batches())
def test_filled_tables_say_the_same_of_every_real_block(case: tuple[AttentionLayout, int, int, list[int]]) -> None:
    """Each block's row still attends to the same keys with the same biases, and everything added is switched off."""
    layout, max_tokens, max_batch_tokens, lengths = case
    batch = pack([document(length) for length in lengths], layout)
    filled = fill(batch, rounded_up(Sizes.of(batch.inputs), profile(layout, max_tokens, max_batch_tokens).max))
    blocks = len(batch.inputs["key_bias"])
    assert (filled.inputs["key_bias"][blocks:] == MASKED).all()
    if layout is IN_ORDER:
        for kind in ("full", "local"):
            before, after = (
                {name: one.inputs[f"{kind}_{name}"] for name in ("table", "bias")} for one in (batch, filled)
            )
            width = before["table"].shape[1]
            for name in before:
                np.testing.assert_array_equal(after[name][:blocks, :width], before[name])
            assert (after["bias"][blocks:] == MASKED).all()
            assert (after["bias"][:, width:] == MASKED).all()
            assert after["table"].max() < blocks
        return
    assert _attended(filled.inputs)[:blocks] == _attended(batch.inputs)
    for kind in ("dense", "global", "sparse"):
        assert filled.inputs[f"{kind}_table"].max() < blocks
        assert (filled.inputs[f"{kind}_bias"][len(batch.inputs[f"{kind}_rows"]) :] == MASKED).all()
    assert filled.inputs["merge"].max() < sum(
        len(filled.inputs[f"{kind}_rows"]) for kind in ("dense", "global", "sparse")
    )


def _attended(inputs: dict[str, np.ndarray]) -> list[tuple[int, list[tuple[int, float]]]]:
    """For every block: the block its row is for, and the keys of that row that count."""
    rows = [
        (int(row), [(int(key), float(bias)) for key, bias in zip(table, biases, strict=True) if bias > MASKED])
        for kind in ("dense", "global", "sparse")
        for row, table, biases in zip(
            inputs[f"{kind}_rows"], inputs[f"{kind}_table"], inputs[f"{kind}_bias"], strict=True
        )
    ]
    return [rows[place] for place in inputs["merge"]]


@pytest.mark.parametrize("model", ["tiny-qa", "tiny-classify", "tiny-summarize"])
@pytest.mark.parametrize("lengths", [[1], [40, 700, 65], [705], [1500, 64, 320, 800], [130] * 9])
def test_results_of_real_documents_are_the_same_to_the_bit(tiny_store: Path, model: str, lengths: list[int]) -> None:
    manifest = Manifest.read(tiny_store / model)
    session = Session(tiny_store / model, manifest, Settings(intra_op_threads=1))
    batch = session.pack([document(length) for length in lengths])
    filled = fill(batch, rounded_up(Sizes.of(batch.inputs), profile(session.layout, manifest.max_tokens, 16384).max))
    for plain, rounded in zip(session.run(batch), session.run(filled), strict=True):
        assert plain.keys() == rounded.keys()
        for name in plain:
            np.testing.assert_array_equal(plain[name], rounded[name])


def test_random_tables_grow_with_the_sparse_rows() -> None:
    plan = RandomPlan({n: np.full((2, 3, n - 2, 1), 4, dtype=np.int32) for n in range(8, 17)})
    layout = AttentionLayout(4, 1, "random", plan)
    batch = pack([document(44)], layout)  # 11 blocks: 9 sparse rows
    filled = fill(batch, rounded_up(Sizes.of(batch.inputs), profile(layout, 64, 64).max))
    assert filled.inputs["random_table"].shape == (2, 3, 10, 1)
    assert Sizes.of(filled.inputs).shapes(layout)["random_table"] == (2, 3, 10, 1)
    np.testing.assert_array_equal(filled.inputs["random_table"][:, :, :9], batch.inputs["random_table"])
    assert (filled.inputs["random_table"][:, :, 9:] == 0).all()


def test_a_ladder_wastes_a_quarter_at_most() -> None:
    assert ladder(1) == [1]
    assert ladder(20) == [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20]
    assert ladder(64)[-4:] == [40, 48, 56, 64]
    assert max(after / before for before, after in pairwise(ladder(1000)[8:])) <= 1.25


def test_a_batch_larger_than_the_engine_is_an_error() -> None:
    batch = pack([document(64 * 20)], BASE)
    with pytest.raises(ValueError, match="built for 16 at most"):
        rounded_up(Sizes.of(batch.inputs), profile(BASE, 1024, 1024).max)


def test_the_profile_of_the_defaults() -> None:
    span = profile(BASE, 4096, 4096)
    assert span.max == Sizes(
        blocks=64, documents=64, dense_rows=64, dense_width=11, global_rows=10, global_width=64, sparse_rows=62
    )
    assert span.min == Sizes(1, 1, 1, 1, 1, 1, 1)
    assert span.opt == Sizes(
        blocks=64, documents=4, dense_rows=32, dense_width=11, global_rows=2, global_width=32, sparse_rows=32
    )


def test_the_profile_of_a_model_of_512_tokens_in_full_layers() -> None:
    layout = AttentionLayout(num_random_blocks=0, kinds=("full",))
    span = profile(layout, 512, 4096)
    assert span.max == Sizes(blocks=64, documents=64, full_width=8)
    assert span.opt == Sizes(blocks=64, documents=8, full_width=8)
    assert span.max.shapes(layout).keys() == {
        *("input_ids", "token_type_ids", "position_ids", "question_mask", "key_bias", "cls_index"),
        *("full_table", "full_bias"),
    }


def test_models_without_long_documents_have_idle_rows_alone() -> None:
    span = profile(BASE, 512, 4096)
    assert (span.max.dense_width, span.max.global_rows, span.max.global_width, span.max.sparse_rows) == (8, 1, 1, 1)
