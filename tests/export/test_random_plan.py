from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers.models.big_bird.modeling_big_bird import BigBirdBlockSparseAttention

from app.block_tables import load_random_plan
from export.check_parity import document, reference_logits, reference_of
from export.model import BigBird
from export.random_plan import random_plan, save_random_plan


@pytest.mark.parametrize("blocks", [12, 16, 20])
def test_the_blocks_are_those_that_transformers_draws(
    monkeypatch: pytest.MonkeyPatch, qa_model: BigBird, blocks: int
) -> None:
    """Lengths with a plan of the paper (16 blocks) and with one of transformers (12, 20)."""
    drawn: list[Any] = []
    stack = np.stack

    def spy(arrays: Any, axis: int = 0) -> Any:
        drawn.append(stack(arrays, axis=axis))
        return drawn[-1]

    reference = reference_of(qa_model)
    monkeypatch.setattr("transformers.models.big_bird.modeling_big_bird.np.stack", spy)
    with torch.no_grad():
        reference_logits(reference, "qa", "random", document(blocks * 64, "qa"))
    monkeypatch.undo()
    plan = random_plan(qa_model.config, blocks * 64)
    assert plan.blocks.keys() == set(range(12, blocks + 1))
    assert len(drawn) == qa_model.config.num_hidden_layers
    for layer, table in enumerate(drawn):
        np.testing.assert_array_equal(plan.blocks[blocks][layer], table)


def test_every_number_of_blocks_has_a_plan(qa_model: BigBird) -> None:
    plan = random_plan(qa_model.config, 1536)
    assert plan.blocks.keys() == set(range(12, 25))
    for blocks, table in plan.blocks.items():
        assert table.shape == (2, 2, blocks - 2, 3)
        assert table.min() >= 0
        assert table.max() < blocks
        assert not np.array_equal(table[0], table[1])


def test_the_global_generator_is_left_alone_and_does_not_matter(qa_model: BigBird) -> None:
    np.random.seed(5)
    before = np.random.get_state(legacy=False)["state"]["key"]
    first = random_plan(qa_model.config, 768)
    np.testing.assert_array_equal(before, np.random.get_state(legacy=False)["state"]["key"])
    np.random.seed(6)
    np.testing.assert_array_equal(first.blocks[12], random_plan(qa_model.config, 768).blocks[12])


def test_a_model_in_eval_mode_draws_nothing(qa_model: BigBird) -> None:
    """Why the pattern "hf-eval" exists: all "random" blocks of transformers are block 0 there."""
    attention = BigBirdBlockSparseAttention(qa_model.config, seed=0).eval()
    assert not attention._bigbird_block_rand_mask(4096, 4096, 64, 64, 3, last_idx=1024).any()


def test_a_saved_plan_is_what_the_service_reads(tmp_path: Path, qa_model: BigBird) -> None:
    plan = random_plan(qa_model.config, 1024)
    save_random_plan(plan, tmp_path / "random_plan.npz")
    read = load_random_plan(tmp_path / "random_plan.npz")
    assert read.blocks.keys() == plan.blocks.keys()
    for blocks, table in plan.blocks.items():
        np.testing.assert_array_equal(read.blocks[blocks], table)
