"""The attention that export.attention is compared with: the whole mask, written out."""

import torch
from torch import Tensor

from export.attention import BlockTables


def dense_reference(q: Tensor, k: Tensor, v: Tensor, tables: BlockTables, key_bias: Tensor, layer: int) -> Tensor:
    """The same attention with the whole (T, T) mask written out: slow, quadratic, and plain enough to trust.

    A key block that a row names k times with biases b_i counts exp(b_1) + ... + exp(b_k) times.
    """
    _, tokens, heads, head_size = q.shape
    blocks, size = key_bias.shape
    weight = torch.zeros(heads, blocks, blocks, dtype=torch.float64)
    real = {int(position) for position in tables.merge}
    offset = 0
    for kind in (tables.dense, tables.global_, tables.sparse):
        # The block bias of a table entry is the largest bias of its tokens: padding only lowers it.
        entry = (kind.bias.reshape(*kind.table.shape, size) - key_bias[kind.table.long()]).amax(-1)  # (R, W)
        assert kind.rows is not None
        for index, row in enumerate(kind.rows.tolist()):
            if offset + index not in real:
                continue
            for column, block in enumerate(kind.table[index].tolist()):
                weight[:, row, block] += torch.exp(entry[index, column].double())
            if kind is tables.sparse and tables.random_table is not None:
                for head in range(heads):
                    for block in tables.random_table[layer, head, index].tolist():
                        weight[head, row, block] += 1.0
        offset += len(kind.rows)
    mask = weight.log().repeat_interleave(size, 1).repeat_interleave(size, 2)  # (H, T, T)
    mask = mask + key_bias.reshape(1, 1, tokens).double()
    scores = torch.einsum("thd,shd->hts", q[0].double(), k[0].double()) + mask
    context = torch.einsum("hts,shd->thd", torch.softmax(scores, dim=-1), v[0].double())
    return context.reshape(1, tokens, heads * head_size).to(q.dtype)
