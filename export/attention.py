"""Attention over a block table, in torch: gather key and value blocks by the table, score, softmax, weighted sum.

Every kind of row has the same signature. The code is written for export: 3-D hidden states, q scaled before the first
MatMul, Gather instead of Scatter, and no tensor with two axes that grow with the number of tokens.

Shapes: T tokens, N blocks, b block size, H heads, d head size, R rows, W key blocks of a row.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from export.spans import Spans, span_attention


@dataclass(frozen=True)
class Rows:
    """Query blocks and the key blocks that they attend to."""

    rows: Tensor | None  # (R,) query blocks; None: every block, in order
    table: Tensor  # (R, W) key blocks
    bias: Tensor  # (R, W * b) added to the scores: block bias plus key padding
    block_size: int
    within: Tensor | None = None  # (b, W * b) added to the scores of every row alike
    by_head: bool = False  # gather the keys of one head at a time: a twelfth of the memory, and more operators


@dataclass(frozen=True)
class BlockTables:
    """All rows of a packed batch for layers of the kind "bigbird".

    `random_table` (layers, H, R, r) extends the sparse table, head by head.
    """

    dense: Rows
    global_: Rows
    sparse: Rows
    merge: Tensor  # (N,)
    block_size: int
    random_table: Tensor | None = None
    random_bias: Tensor | None = None  # (layers, H, R, r * b)


Tables = BlockTables | Rows | Spans  # of one kind of layer


def wide(x: Tensor) -> Tensor:
    """The tensor in fp32, for sums of many values or squares, which would overflow fp16 or lose its 11 bits."""
    return x.float() if x.dtype == torch.float16 else x


def probabilities(scores: Tensor) -> Tensor:
    """Softmax over the keys.

    Scores in bf16 stay in bf16. Autocast would write them out in fp32 first, and in training on CPUs that costs more
    than all matrix products of attention.
    """
    if scores.dtype == torch.bfloat16:
        with torch.autocast(scores.device.type, enabled=False):
            return torch.softmax(scores, dim=-1)
    return torch.softmax(scores, dim=-1)


def parts(x: Tensor, count: int) -> tuple[Tensor, ...]:
    """x in equal parts along its last axis. They are slices: `chunk` becomes a sequence, unknown to TensorRT."""
    width = x.shape[-1] // count
    return tuple(x[..., part * width : (part + 1) * width] for part in range(count))


def rows_of(rows: Tensor | None, table: Tensor, block_bias: Tensor, key_bias: Tensor) -> Rows:
    """Join the bias of a table's blocks (R, W) with the bias of the tokens in them, key_bias (N, b)."""
    count, width = table.shape
    size = key_bias.shape[1]
    tokens = key_bias.index_select(0, table.reshape(-1)).reshape(count, width, size)  # (R, W, b)
    bias = tokens + block_bias.unsqueeze(-1)  # (R, W, b)
    return Rows(rows, table, bias.reshape(count, width * size), size)  # bias: (R, W * b)


def attend(q: Tensor, k: Tensor, v: Tensor, rows: Rows) -> Tensor:
    """Context of some query blocks.

    Args:
        q, k, v: (H, N, b, d); q is scaled by 1 / sqrt(d) already.

    Returns:
        (H, R, b, d)
    """
    if rows.by_head:
        one = replace(rows, by_head=False)
        own = [slice(head, head + 1) for head in range(q.shape[0])]
        return torch.cat([attend(q[head], k[head], v[head], one) for head in own])
    heads, _, size, head_size = q.shape
    count, width = rows.table.shape
    flat = rows.table.reshape(-1)  # (R * W,)
    queries = q if rows.rows is None else q.index_select(1, rows.rows)  # (H, R, b, d)
    keys = k.index_select(1, flat).reshape(heads, count, width * size, head_size)  # (H, R, W * b, d)
    values = v.index_select(1, flat).reshape(heads, count, width * size, head_size)  # (H, R, W * b, d)
    scores = wide(torch.matmul(queries, keys.transpose(-1, -2)))  # (H, R, b, W * b)
    scores = scores + rows.bias.to(scores.dtype).unsqueeze(0).unsqueeze(2)
    if rows.within is not None:
        scores = scores + rows.within.to(scores.dtype)
    return torch.matmul(probabilities(scores).to(values.dtype), values)


def attend_random(q: Tensor, k: Tensor, v: Tensor, rows: Rows, random_table: Tensor, random_bias: Tensor) -> Tensor:
    """`attend` with r more key blocks that differ from head to head, gathered over (head, block) pairs.

    Args:
        random_table: (H, R, r); random_bias: (H, R, r * b).
    """
    heads, _, size, head_size = q.shape
    count, width = rows.table.shape
    extra = random_table.shape[-1]
    # Blocks in the order (block, head), so that the place of a pair depends on no size that the batch decides.
    head = torch.arange(heads, device=rows.table.device, dtype=rows.table.dtype).reshape(heads, 1, 1)  # (H, 1, 1)
    table = torch.cat([rows.table.unsqueeze(0) * heads + head, random_table * heads + head], dim=-1)  # (H, R, W + r)
    flat = table.reshape(-1)  # (H * R * (W + r),)
    every_head = torch.zeros(heads, 1, 1, device=random_bias.device, dtype=random_bias.dtype)
    bias = torch.cat([rows.bias.unsqueeze(0) + every_head, random_bias], dim=-1)  # (H, R, (W + r) * b)
    shape = (heads, count, (width + extra) * size, head_size)  # of keys and values: (H, R, (W + r) * b, d)
    keys = k.transpose(0, 1).reshape(-1, size, head_size).index_select(0, flat).reshape(shape)
    values = v.transpose(0, 1).reshape(-1, size, head_size).index_select(0, flat).reshape(shape)
    assert rows.rows is not None
    queries = q.index_select(1, rows.rows)  # (H, R, b, d)
    scores = wide(torch.matmul(queries, keys.transpose(-1, -2)))  # (H, R, b, (W + r) * b)
    scores = scores + bias.to(scores.dtype).unsqueeze(2)
    return torch.matmul(probabilities(scores).to(values.dtype), values)


def _bigbird(q: Tensor, k: Tensor, v: Tensor, tables: BlockTables, layer: int) -> Tensor:
    dense = attend(q, k, v, tables.dense)
    global_ = attend(q, k, v, tables.global_)
    if tables.random_table is None or tables.random_bias is None:
        sparse = attend(q, k, v, tables.sparse)
    else:
        sparse = attend_random(q, k, v, tables.sparse, tables.random_table[layer], tables.random_bias[layer])
    return torch.cat([dense, global_, sparse], dim=1).index_select(1, tables.merge)


def block_attention(q: Tensor, k: Tensor, v: Tensor, tables: Tables, layer: int) -> Tensor:
    """Attention of one layer over all rows of a batch, put back in the order of the blocks.

    Args:
        q, k, v: (1, T, H, d), q scaled.
        tables: the tables of the layer's kind; the rows of "full" and "local" are in order.

    Returns:
        (1, T, H * d)
    """
    _, tokens, heads, head_size = q.shape
    size = tables.block_size

    def blocks(x: Tensor) -> Tensor:
        return x.reshape(-1, size, heads, head_size).permute(2, 0, 1, 3)  # (H, N, b, d)

    q, k, v = blocks(q), blocks(k), blocks(v)
    if isinstance(tables, BlockTables):
        context = _bigbird(q, k, v, tables, layer)  # (H, N, b, d)
    else:
        context = attend(q, k, v, tables) if isinstance(tables, Rows) else span_attention(q, k, v, tables)
    return context.permute(1, 2, 0, 3).reshape(1, tokens, heads * head_size)  # (1, T, H * d)
