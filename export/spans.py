"""Full attention over long documents without gathering their keys: one span of queries after another.

A table would copy every key of a document for each of its rows: at 8,192 tokens, gigabytes. A span is a few query
blocks of one document, and the keys of that document lie next to each other, so that a slice of them is enough. In a
graph this is a Scan over the spans; torch cannot export one, so a trace holds an operator in its place, for `expand`.

A layer needs the scores of one span, (H, C, L) for a document of L tokens, and a slice of its keys and values: no
tensor has two axes that grow with T. Spans are for CPUs; graphs for GPUs gather keys head by head
(export/attention.py).

Shapes: T tokens, N blocks of b tokens, S spans of C query tokens, H heads, d head size.
"""

from dataclasses import dataclass

import onnx
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper
from torch import Tensor

from app.block_tables import SPAN_BLOCKS

DOMAIN, PLACE = "nagayomi", "AttendSpans"


@dataclass(frozen=True)
class Spans:
    """Query spans of a packed batch; see `app.packing.pack`."""

    spans: Tensor  # (S, 4) first query token and the one after the last, first key token and the one after the last
    merge: Tensor  # (N,) the place of each block among the blocks of all spans
    key_bias: Tensor  # (T,)
    block_size: int


def span_attention(q: Tensor, k: Tensor, v: Tensor, spans: Spans) -> Tensor:
    """Context of every block.

    Args:
        q, k, v: (H, N, b, d), q scaled.

    Returns:
        (H, N, b, d)
    """
    heads, _, size, head_size = q.shape
    room = (SPAN_BLOCKS - 1) * size
    queries = F.pad(
        q.reshape(heads, -1, head_size), (0, 0, 0, room)
    )  # (H, T + room, d): the last span may reach past the batch
    keys, values = (x.reshape(heads, -1, head_size) for x in (k, v))  # (H, T, d)
    inputs = (queries, keys, values, spans.key_bias, spans.spans)
    if torch.onnx.is_in_onnx_export():
        shape = (spans.spans.shape[0], heads, SPAN_BLOCKS * size, head_size)
        context = torch.onnx.ops.symbolic(f"{DOMAIN}::{PLACE}", inputs, dtype=q.dtype, shape=shape, version=1)
    else:
        context = _attend_spans(*inputs)
    context = context.reshape(-1, heads, SPAN_BLOCKS, size, head_size).transpose(1, 2)  # (S, blocks, H, b, d)
    return context.reshape(-1, heads, size, head_size).index_select(0, spans.merge).transpose(0, 1)  # (H, N, b, d)


def _attend_spans(q: Tensor, k: Tensor, v: Tensor, key_bias: Tensor, spans: Tensor) -> Tensor:
    contexts = []
    for first, last, key_first, key_last in spans.tolist():
        scores = q[:, first:last] @ k[:, key_first:key_last].transpose(1, 2) + key_bias[key_first:key_last]
        contexts.append(torch.softmax(scores, dim=-1) @ v[:, key_first:key_last])
    return torch.stack(contexts)  # (S, H, C, d)


def expand(graph: onnx.ModelProto) -> None:
    """Replace every such operator of the trace by a Scan over its spans. Changes the graph."""
    nodes = [_scan(node) if node.domain == DOMAIN else node for node in graph.graph.node]
    if len(axes := _axes(nodes)):
        graph.graph.initializer.extend(axes)
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
    kept = [opset for opset in graph.opset_import if opset.domain != DOMAIN]
    del graph.opset_import[:]
    graph.opset_import.extend(kept)


_AXIS = "span_axis_{}"


def _axes(nodes: list[onnx.NodeProto]) -> list[TensorProto]:
    if not any(node.op_type == "Scan" for node in nodes):
        return []
    return [helper.make_tensor(_AXIS.format(axis), TensorProto.INT32, [1], [axis]) for axis in (0, 1)]


def _scan(place: onnx.NodeProto) -> onnx.NodeProto:
    q, k, v, key_bias, spans = place.input
    name = place.name

    def own(part: str) -> str:  # names inside differ from those outside and from those of other Scans
        return f"{name}.{part}"

    def cut(source: str, part: str, bounds: str, axis: int) -> onnx.NodeProto:
        first, last = own(f"{bounds}_first"), own(f"{bounds}_last")
        return helper.make_node(
            "Slice", [source, first, last, _AXIS.format(axis)], [own(part)], name=own(f"cut_{part}")
        )

    bounds = [own(part) for part in ("query_first", "query_last", "key_first", "key_last")]
    body = helper.make_graph(
        [
            helper.make_node("Split", [own("span")], bounds, name=own("split"), axis=0, num_outputs=4),
            cut(q, "q", "query", 1),
            cut(k, "k", "key", 1),
            cut(v, "v", "key", 1),
            cut(key_bias, "bias", "key", 0),
            helper.make_node("Transpose", [own("k")], [own("k_t")], name=own("transpose"), perm=[0, 2, 1]),
            helper.make_node("MatMul", [own("q"), own("k_t")], [own("scores")], name=own("scores")),
            helper.make_node("Add", [own("scores"), own("bias")], [own("biased")], name=own("add")),
            helper.make_node("Softmax", [own("biased")], [own("weights")], name=own("softmax"), axis=-1),
            helper.make_node("MatMul", [own("weights"), own("v")], [own("context")], name=own("context")),
        ],
        own("body"),
        [helper.make_tensor_value_info(own("span"), TensorProto.INT32, [4])],
        [helper.make_tensor_value_info(own("context"), TensorProto.FLOAT, None)],
    )
    return helper.make_node("Scan", [spans], list(place.output), name=name, body=body, num_scan_inputs=1)
