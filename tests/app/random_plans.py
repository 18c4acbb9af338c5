"""Random plans for tests of packed batches."""

import numpy as np

from app.block_tables import RandomPlan


def plan(max_blocks: int, *, layers: int = 2, heads: int = 3, r: int = 1, first: int = 8) -> RandomPlan:
    rng = np.random.default_rng(0)
    return RandomPlan(
        {n: rng.integers(0, n, (layers, heads, n - 2, r)).astype(np.int32) for n in range(first, max_blocks + 1)}
    )
