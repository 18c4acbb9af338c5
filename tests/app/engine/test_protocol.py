"""Messages between the service and an engine process, as they come out at the other end."""

import asyncio
import io
from collections.abc import Sequence

import numpy as np
import pytest

from app.engine.protocol import Failed, encode_batch, encode_result, read_batch, receive_result
from app.packing import Document
from app.types import Outputs


def document(ids: Sequence[int], types: Sequence[int], question_length: int, dtype: type = np.int32) -> Document:
    return Document(np.array(ids, dtype=dtype), np.array(types, dtype=dtype), question_length)


async def received(message: bytes) -> list[Outputs] | Failed:
    stream = asyncio.StreamReader()
    stream.feed_data(message)
    stream.feed_eof()
    return await receive_result(stream)


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_a_batch_arrives_as_it_was_sent(dtype: type) -> None:
    sent = [document([1, 65_535, 2], [0, 1, 1], 2, dtype), document([7], [0], 0, dtype)]
    arrived = read_batch(io.BytesIO(encode_batch(sent)))
    assert [(one.input_ids.tolist(), one.token_type_ids.tolist(), one.question_length) for one in arrived] == [
        ([1, 65_535, 2], [0, 1, 1], 2),
        ([7], [0], 0),
    ]
    assert {one.input_ids.dtype for one in arrived} == {np.dtype(np.int32)}


async def test_a_result_arrives_as_it_was_sent() -> None:
    tokens = np.array([[0.5], [-1.25], [np.inf]], dtype=np.float32)  # (3, 1)
    labels = np.array([3.0, 4.0], dtype=np.float32)
    arrived = await received(encode_result([{"logits": tokens}, {"a": labels, "b": labels[::-1]}]))
    assert not isinstance(arrived, Failed)
    assert [{name: array.tolist() for name, array in outputs.items()} for outputs in arrived] == [
        {"logits": [[0.5], [-1.25], [float("inf")]]},
        {"a": [3.0, 4.0], "b": [4.0, 3.0]},
    ]


async def test_a_failure_arrives_as_it_was_sent() -> None:
    assert await received(encode_result(Failed("MemoryError: 壊れた"))) == Failed("MemoryError: 壊れた")


@pytest.mark.parametrize("kept", [0, 4, 8, 20])
async def test_a_message_that_breaks_off_is_an_end(kept: int) -> None:
    with pytest.raises(EOFError):
        read_batch(io.BytesIO(encode_batch([document([1, 2], [0, 0], 0)])[:kept]))
    with pytest.raises(asyncio.IncompleteReadError):
        await received(encode_result([{"logits": np.zeros(2, dtype=np.float32)}])[:kept])
