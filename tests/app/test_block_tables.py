"""Block tables: the rows of each kind, random plans, spans, distances, and tables that are refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.block_tables import MASKED, AttentionLayout, block_tables, load_random_plan, validate_tables
from app.errors import BrokenModel, ImpossibleTable
from tests.app.random_plans import plan

# Blocks of 4 tokens and no random blocks: a document is sparse from 6 blocks on, so that whole tables fit on the page.
SMALL = AttentionLayout(block_size=4, num_random_blocks=0)
LOG_4 = np.float32(np.log(4.0))


def test_a_short_document_attends_to_all_its_blocks() -> None:
    tables = block_tables([3], SMALL)
    assert tables["dense_rows"].tolist() == [0, 1, 2]
    assert tables["dense_table"].tolist() == [[0, 1, 2]] * 3
    assert tables["dense_bias"].tolist() == [[0.0] * 3] * 3
    assert tables["merge"].tolist() == [0, 1, 2]


def test_kinds_without_rows_get_one_idle_row_that_nothing_reads() -> None:
    tables = block_tables([3], SMALL)
    for kind, width in (("global", 1), ("sparse", 5)):
        assert tables[f"{kind}_rows"].tolist() == [0]
        assert tables[f"{kind}_table"].tolist() == [[0] * width]
        assert tables[f"{kind}_bias"].tolist() == [[MASKED] * width]
    assert set(tables["merge"].tolist()).isdisjoint({3, 4})
    sparse_only = block_tables([6], SMALL)
    assert sparse_only["dense_rows"].tolist() == [0]
    assert sparse_only["dense_bias"].tolist() == [[MASKED]]
    assert 0 not in sparse_only["merge"]


def test_a_long_document_has_global_ends_and_a_sparse_middle() -> None:
    tables = block_tables([6], SMALL)
    assert tables["global_rows"].tolist() == [0, 5]
    assert tables["global_table"].tolist() == [[0, 1, 2, 3, 4, 5]] * 2
    assert tables["global_bias"].tolist() == [[0.0] * 6] * 2
    assert tables["sparse_rows"].tolist() == [1, 2, 3, 4]
    assert tables["sparse_table"].tolist() == [[0, 0, 1, 2, 5], [0, 1, 2, 3, 5], [0, 2, 3, 4, 5], [0, 3, 4, 5, 5]]
    assert tables["sparse_bias"].tolist() == [[0, MASKED, 0, 0, 0], [0] * 5, [0] * 5, [0, 0, 0, MASKED, 0]]
    # One idle dense row, then the global rows 1 and 2, then the sparse rows 3 to 6.
    assert tables["merge"].tolist() == [1, 3, 4, 5, 6, 2]


@pytest.mark.parametrize(("r", "dense"), [(0, 5), (1, 7), (3, 11)])
def test_full_attention_up_to_five_and_two_r_blocks(r: int, dense: int) -> None:
    layout = AttentionLayout(num_random_blocks=r)
    assert layout.is_dense(dense)
    assert not layout.is_dense(dense + 1)
    assert (block_tables([dense], layout)["sparse_bias"] == MASKED).all()
    assert len(block_tables([dense + 1], layout)["sparse_rows"]) == dense - 1


def test_in_the_pattern_hf_eval_block_0_counts_one_and_r_times() -> None:
    tables = block_tables([12], AttentionLayout())
    bias = np.zeros((10, 5), dtype=np.float32)
    bias[:, 0] = LOG_4
    bias[0, 1] = bias[-1, 3] = MASKED
    np.testing.assert_array_equal(tables["sparse_bias"], bias)
    assert tables["sparse_bias"].dtype == np.float32
    # Global rows see every block once.
    assert not tables["global_bias"].any()


def test_documents_keep_to_their_own_blocks() -> None:
    tables = block_tables([2, 6, 1, 7], SMALL)
    assert tables["dense_rows"].tolist() == [0, 1, 8]
    assert tables["dense_table"].tolist() == [[0, 1], [0, 1], [8, 0]]
    assert tables["dense_bias"].tolist() == [[0, 0], [0, 0], [0, MASKED]]
    assert tables["global_rows"].tolist() == [2, 7, 9, 15]
    assert tables["global_table"].tolist() == [
        [2, 3, 4, 5, 6, 7, 0],
        [2, 3, 4, 5, 6, 7, 0],
        [9, 10, 11, 12, 13, 14, 15],
        [9, 10, 11, 12, 13, 14, 15],
    ]
    assert tables["global_bias"].tolist() == [[0] * 6 + [MASKED]] * 2 + [[0] * 7] * 2
    assert tables["sparse_rows"].tolist() == [3, 4, 5, 6, 10, 11, 12, 13, 14]
    assert tables["sparse_table"][4:].tolist() == [
        [9, 9, 10, 11, 15],
        [9, 10, 11, 12, 15],
        [9, 11, 12, 13, 15],
        [9, 12, 13, 14, 15],
        [9, 13, 14, 15, 15],
    ]
    # Dense rows stand at 0 to 2, global rows at 3 to 6, sparse rows at 7 to 15.
    assert tables["merge"].tolist() == [0, 1, 3, 7, 8, 9, 10, 4, 2, 5, 11, 12, 13, 14, 15, 6]


def test_random_blocks_are_looked_up_and_moved_to_the_document() -> None:
    random_plan = plan(9)
    layout = AttentionLayout(block_size=4, num_random_blocks=1, pattern="random", random_plan=random_plan)
    tables = block_tables([2, 8, 9], layout)
    wanted = np.concatenate([random_plan.blocks[8] + 2, random_plan.blocks[9] + 10], axis=2)
    np.testing.assert_array_equal(tables["random_table"], wanted)
    assert tables["random_table"].shape == (2, 3, len(tables["sparse_rows"]), 1)
    # The random blocks have columns of their own: block 0 counts once.
    assert tables["sparse_bias"][:, 0].tolist() == [0.0] * 13


def test_without_sparse_rows_the_random_table_is_idle() -> None:
    layout = AttentionLayout(block_size=4, num_random_blocks=1, pattern="random", random_plan=plan(9))
    tables = block_tables([2, 7], layout)
    assert tables["random_table"].tolist() == np.zeros((2, 3, 1, 1)).tolist()
    assert tables["sparse_rows"].tolist() == [0]


def edit(name: str, index: tuple[int, ...], value: float) -> Any:
    def apply(tables: dict[str, Any]) -> None:
        tables[name] = tables[name].copy()
        tables[name][index] = value

    return apply


def drop_last(name: str) -> Any:
    def apply(tables: dict[str, Any]) -> None:
        tables[name] = tables[name][:-1]

    return apply


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (edit("merge", (3,), 0), "exactly one row"),
        (edit("merge", (3,), -1), "exactly one row"),
        (edit("merge", (3,), 99), "exactly one row"),
        (drop_last("merge"), "exactly one row"),
        (drop_last("dense_bias"), "dense rows, table and bias differ"),
        (drop_last("sparse_bias"), "sparse rows, table and bias differ"),
        (edit("global_table", (0, 0), 18), "global table names a block outside the batch of 10"),
        (edit("sparse_table", (2, 1), -1), "sparse table names a block outside"),
        (edit("dense_rows", (1,), 10), "dense table names a block outside"),
        (edit("dense_table", (1, 0), 5), "dense table lets a document attend to another"),
        (edit("global_table", (0, 1), 0), "global table lets a document attend to another"),
        (edit("sparse_table", (2, 2), 1), "sparse table lets a document attend to another"),
        (edit("random_table", (1, 2, 0, 0), 10), "random table names a block outside"),
        (edit("random_table", (1, 2, 0, 0), -1), "random table names a block outside"),
        (edit("random_table", (1, 2, 0, 0), 1), "random table lets a document attend to another"),
        (lambda tables: tables.update(random_table=tables["random_table"][:, :, :-1]), "misses a row"),
    ],
)
def test_broken_tables_are_refused(break_it: Any, words: str) -> None:
    layout = AttentionLayout(block_size=4, num_random_blocks=1, pattern="random", random_plan=plan(9))
    tables = block_tables([2, 8], layout)
    validate_tables(tables, [2, 8])
    break_it(tables)
    with pytest.raises(ImpossibleTable, match=words):
        validate_tables(tables, [2, 8])


def test_a_plan_is_read_back(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {str(n): table.astype(np.int16) for n, table in plan(9).blocks.items()}
    np.savez_compressed(tmp_path / "random_plan.npz", **arrays)
    read = load_random_plan(tmp_path / "random_plan.npz")
    assert read.blocks.keys() == {8, 9}
    np.testing.assert_array_equal(read.blocks[9], plan(9).blocks[9])
    assert read.blocks[9].dtype == np.int32


@pytest.mark.parametrize("content", [None, b"", b"not an archive", b"PK\x03\x04 cut short"])
def test_a_broken_plan_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "random_plan.npz"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BrokenModel, match=r"random_plan\.npz cannot be read"):
        load_random_plan(file)


FULL = AttentionLayout(block_size=4, kinds=("full",))
BOTH = AttentionLayout(block_size=4, kinds=("full", "local"))


def test_in_full_layers_every_block_attends_to_all_of_its_document() -> None:
    tables = block_tables([2, 3], FULL)
    assert tables.keys() == {"full_table", "full_bias"}
    assert tables["full_table"].tolist() == [[0, 1, 0], [0, 1, 0], [2, 3, 4], [2, 3, 4], [2, 3, 4]]
    assert tables["full_bias"].tolist() == [[0, 0, MASKED]] * 2 + [[0, 0, 0]] * 3
    assert FULL.is_dense(10_000)


def test_in_local_layers_every_block_attends_to_itself_and_its_neighbours() -> None:
    tables = block_tables([1, 3], BOTH)
    assert tables.keys() == {"full_table", "full_bias", "local_table", "local_bias"}
    assert tables["local_table"].tolist() == [[0, 0, 0], [0, 1, 2], [1, 2, 3], [2, 3, 0]]
    assert tables["local_bias"].tolist() == [[MASKED, 0, MASKED], [MASKED, 0, 0], [0, 0, 0], [0, 0, MASKED]]


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (edit("full_table", (0, 0), 5), "full table names a block outside the batch of 5"),
        (edit("full_table", (0, 1), 2), "full table lets a document attend to another"),
        (edit("local_table", (2, 1), 1), "local table lets a document attend to another"),
        (drop_last("local_bias"), "local rows, table and bias differ"),
        (drop_last("full_table"), "full rows, table and bias differ"),
    ],
)
def test_broken_tables_in_order_are_refused(break_it: Any, words: str) -> None:
    tables = block_tables([2, 3], BOTH)
    break_it(tables)
    with pytest.raises(ImpossibleTable, match=words):
        validate_tables(tables, [2, 3])


SPANS = AttentionLayout(block_size=4, kinds=("full",), spans=True)


def test_spans_of_four_blocks_see_the_keys_of_their_document() -> None:
    tables = block_tables([2, 5], SPANS)
    assert tables.keys() == {"full_spans", "full_merge"}
    assert tables["full_spans"].tolist() == [[0, 16, 0, 8], [8, 24, 8, 28], [24, 40, 8, 28]]
    # Four places for each span, of which the first has two blocks and the last one.
    assert tables["full_merge"].tolist() == [0, 1, 4, 5, 6, 7, 8]


@pytest.mark.parametrize(
    "break_it",
    [
        edit("full_spans", (0, 3), 12),
        edit("full_spans", (2, 2), 0),
        edit("full_merge", (1,), 2),
        drop_last("full_spans"),
        drop_last("full_merge"),
    ],
)
def test_broken_spans_are_refused(break_it: Any) -> None:
    tables = block_tables([2, 5], SPANS)
    break_it(tables)
    with pytest.raises(ImpossibleTable, match="The spans do not cover every block"):
        validate_tables(tables, [2, 5])


def test_segments_of_distances_lie_around_the_block_of_the_query() -> None:
    layout = AttentionLayout(block_size=4, kinds=("full",), distances=2)
    tables = block_tables([2, 1], layout)
    # Four segments for each block, from two blocks before on: the pair of a block with itself begins at the second.
    assert tables["distance_rows"].tolist() == [[1, 2], [4, 5], [9, 10]]
    assert tables["distance_keys"].tolist() == [[1, 4], [2, 5], [9, 0]]


@given(counts=st.lists(st.integers(1, 8), min_size=1, max_size=6))
def test_segments_of_distances_lie_inside_the_batch(counts: list[int]) -> None:
    tables = block_tables(counts, AttentionLayout(block_size=4, kinds=("full",), distances=8))
    for name in ("distance_rows", "distance_keys"):
        assert tables[name].min() >= 0
        assert tables[name].max() + 1 < sum(counts) * 16
