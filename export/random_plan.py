"""The random key blocks of the paper's attention pattern, from transformers' own training-mode plan and seeds.

transformers draws them again at every forward pass, seeded with the index of the layer; here they are drawn once, for
every number of blocks that a model can see, and stored with the model, so that the service only looks them up.
"""

from pathlib import Path
from typing import Any

import numpy as np
from transformers import BigBirdConfig
from transformers.models.big_bird.modeling_big_bird import BigBirdBlockSparseAttention

from app.block_tables import RandomPlan
from app.types import IntArray

# Lengths for which transformers keeps the plans of the paper instead of its newer ones (modeling_big_bird.py).
_PAPER_LENGTHS = (1024, 3072, 4096)


def random_plan(config: BigBirdConfig, max_tokens: int) -> RandomPlan:
    """Random blocks (layers, heads, n - 2, r) for every n that gets block-sparse attention, up to `max_tokens`."""
    size, r = config.block_size, config.num_random_blocks
    return RandomPlan(
        {
            blocks: np.stack([_layer_blocks(config, blocks * size, layer) for layer in range(config.num_hidden_layers)])
            for blocks in range(5 + 2 * r + 1, max_tokens // size + 1)
        }
    )


def _layer_blocks(config: BigBirdConfig, length: int, layer: int) -> IntArray:
    """(heads, n - 2, r) of one layer, drawn in the order in which `bigbird_block_sparse_attention` draws them."""
    attention = BigBirdBlockSparseAttention(config, seed=layer)
    attention.train()  # in eval mode transformers returns block 0 for all of them
    size, heads, r = config.block_size, config.num_attention_heads, config.num_random_blocks
    state = np.random.get_state()  # transformers seeds the global generator, whose state is restored
    np.random.seed(layer)
    try:
        if length in _PAPER_LENGTHS:
            longest = attention.max_seqlen
            blocks = [
                attention._bigbird_block_rand_mask(longest, longest, size, size, r, last_idx=1024)[: length // size - 2]
                for _ in range(heads)
            ]
        else:
            plan_lengths, plan_blocks = attention._get_rand_attn_plan(length, size, r)
            blocks = attention._bigbird_block_rand_mask_with_head(
                from_seq_length=length,
                to_seq_length=length,
                from_block_size=size,
                to_block_size=size,
                num_heads=heads,
                plan_from_length=plan_lengths,
                plan_num_rand_blocks=plan_blocks,
            )
    finally:
        np.random.set_state(state)
    return np.stack(blocks).astype(np.int32)


def save_random_plan(plan: RandomPlan, path: Path) -> None:
    """Write the plan as `app.block_tables.load_random_plan` reads it: one array per number of blocks."""
    arrays: dict[str, Any] = {str(blocks): table.astype(np.int16) for blocks, table in plan.blocks.items()}
    np.savez_compressed(path, **arrays)
