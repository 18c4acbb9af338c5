"""Tensors in JSON and in binary data. The claims of a request are never believed."""

import contextlib
import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidInput, MalformedBody
from app.http.compat.kserve_tensors import OutputTensor, read_request, read_texts, write_response


def elements(*texts: str | bytes) -> bytes:
    encoded = [text if isinstance(text, bytes) else text.encode() for text in texts]
    return b"".join(struct.pack("<I", len(text)) + text for text in encoded)


def tensor(name: str = "text", shape: Any = (1,), **fields: Any) -> dict[str, Any]:
    return {"name": name, "shape": list(shape), "datatype": "BYTES", **fields}


def binary(name: str, data: bytes, *shape: int) -> dict[str, Any]:
    return tensor(name, shape, parameters={"binary_data_size": len(data)})


def read(inputs: list[dict[str, Any]], data: bytes = b"", length: str | None = None) -> dict[str, list[str]]:
    head = json.dumps({"inputs": inputs}).encode()
    request, rest = read_request(head + data, str(len(head)) if length is None else length)
    return read_texts(request.inputs, rest, most=4)


def test_texts_of_json() -> None:
    assert read([tensor(data=["上"]), tensor("text_pair", (1, 1), data=[["下"]])]) == {
        "text": ["上"],
        "text_pair": ["下"],
    }
    assert read([tensor(shape=(2, 1), data=["a", "b"])]) == {"text": ["a", "b"]}, "flat, as MLServer sends it"


def test_texts_of_binary_data() -> None:
    first, second = elements("上", ""), elements("下", "𠮷")
    sent = [binary("text", first, 2), binary("text_pair", second, 2, 1)]
    assert read(sent, first + second) == {"text": ["上", ""], "text_pair": ["下", "𠮷"]}


@pytest.mark.parametrize("fields", [{"inputs": [1] * 40}, {"inputs": [], "outputs": [1] * 40}])
def test_only_the_first_wrong_member_of_a_list_is_named(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput) as error:
        read_request(json.dumps(fields).encode(), None)
    assert str(error.value) == f"`{list(fields)[-1]}`[0] must be an object of names and values."


@pytest.mark.parametrize("name", ["inputs", "outputs"])
def test_a_request_has_few_tensors(name: str) -> None:
    member = tensor() if name == "inputs" else {"name": "label"}
    with pytest.raises(InvalidInput, match=rf"`{name}` must have at most 16 items, not 17\."):
        read_request(json.dumps({"inputs": [], name: [member] * 17}).encode(), None)


def test_the_whole_body_is_json_without_the_header() -> None:
    request, rest = read_request(json.dumps({"id": "1", "inputs": []}).encode(), None)
    assert (request.id, request.inputs, rest) == ("1", [], b"")


@pytest.mark.parametrize("length", ["", "-1", "+1", "1e3", " 1", "٣", "9" * 13, "0x10", "99999"])
def test_a_wrong_length_of_the_json(length: str) -> None:
    with pytest.raises(MalformedBody, match="Inference-Header-Content-Length"):
        read([tensor(data=["上"])], length=length)


@pytest.mark.parametrize("length", ["0", "10"])
def test_json_that_is_cut_off(length: str) -> None:
    with pytest.raises(MalformedBody, match=r"empty|not JSON"):
        read([tensor(data=["上"])], length=length)


@pytest.mark.parametrize(
    ("inputs", "data", "words"),
    [
        ([binary("text", b"1234567", 1)], b"1234", "claims 7 bytes of binary data; the body has 4 more."),
        ([binary("text", elements("a"), 1)], elements("a") + b"!", "1 bytes of binary data belong to no input."),
        ([tensor(data=["a"])], b"!", "1 bytes of binary data belong to no input."),
        ([binary("text", b"\x01\0\0", 1)], b"\x01\0\0", "ends inside the length of element 0."),
        ([binary("text", b"\xff\xff\xff\xff!", 1)], b"\xff\xff\xff\xff!", "claims 4294967295 bytes; 1 bytes are left"),
        ([binary("text", elements("a", "b"), 1)], elements("a", "b"), "shape [1] but binary data for more elements."),
        ([binary("text", elements("a"), 2)], elements("a"), "shape [2] but binary data for 1 elements."),
        ([binary("text", b"", 1)], b"", "shape [1] but binary data for 0 elements."),
        (
            [binary("text", elements("a", b"\x93\xfa"), 2)],
            elements("a", b"\x93\xfa"),
            "Element 1 of `text` is not UTF-8",
        ),
        ([binary("text", elements(b"\xed\xa0\x80"), 1)], elements(b"\xed\xa0\x80"), "Element 0 of `text` is not UTF-8"),
        ([tensor(shape=(5,), data=["a"])], b"", "a shape of 5 texts; at most 4 are allowed."),
        ([tensor(shape=(2**62,), data=["a"])], b"", "a shape of 4611686018427387904 texts; at most 4"),
        ([tensor(shape=(10**30,), data=["a"])], b"", "`inputs`[0].shape[0] must be less than or equal to"),
        ([tensor(shape=(0,), data=[])], b"", "`inputs`[0].shape[0] must be greater than or equal to 1."),
        ([tensor(shape=(-1,), data=["a"])], b"", "`inputs`[0].shape[0] must be greater than or equal to 1."),
        ([tensor(shape=(1, 2), data=["a", "b"])], b"", "must have the shape [n] or [n, 1]."),
        ([tensor(shape=(), data=["a"])], b"", "must have the shape [n] or [n, 1]."),
        ([tensor(shape=(1, 1, 1), data=["a"])], b"", "must have the shape [n] or [n, 1]."),
        ([tensor(shape=(True,), data=["a"])], b"", "`inputs`[0].shape[0] must be a valid integer."),
        ([tensor(shape=(2,), data=["a"])], b"", "has the shape [2] but 1 elements."),
        ([tensor(data=[1])], b"", "Element 0 of the input `text` must be a text."),
        ([tensor(data=[["a"]])], b"", "Element 0 of the input `text` must be a text."),
        ([tensor()], b"", "must have either `data` or the parameter `binary_data_size`."),
        ([{**binary("text", b"", 1), "data": ["a"]}], b"", "must have either `data` or the parameter"),
        (
            [tensor(data=["a"]), tensor("text_pair", (2,), data=["b", "c"])],
            b"",
            "same number of texts, not `text` 1, `tex",
        ),
        ([tensor(parameters={"shared_memory_region": "x"})], b"", "`inputs`[0].parameters.shared_memory_region is not"),
        ([tensor(parameters={"binary_data_size": -1})], b"", "binary_data_size must be greater than or equal to 0."),
        ([{**tensor(data=["a"]), "datatype": "FP32"}], b"", "`inputs`[0].datatype must be 'BYTES'."),
    ],
)
def test_wrong_requests_are_refused(inputs: list[dict[str, Any]], data: bytes, words: str) -> None:
    with pytest.raises(InvalidInput) as error:
        read(inputs, data)
    assert words in str(error.value)


_sizes = st.one_of(st.integers(-2, 40), st.sampled_from([2**31, 2**63, 10**40]))
_tensors = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["text", "text_pair"]),
        "shape": st.lists(_sizes, max_size=3),
        "datatype": st.just("BYTES"),
    },
    optional={
        "data": st.lists(st.sampled_from(["上", "", 1]), max_size=3),
        "parameters": st.fixed_dictionaries({"binary_data_size": _sizes}),
    },
)


@given(st.lists(_tensors, max_size=3), st.binary(max_size=40), st.none() | st.integers(-1, 300))
def test_any_body_is_read_or_refused_in_words(inputs: list[dict[str, Any]], data: bytes, length: int | None) -> None:
    with contextlib.suppress(MalformedBody, InvalidInput):
        texts = read(inputs, data, None if length is None else str(length))
        assert all(1 <= len(column) <= 4 for column in texts.values())


def test_a_response_in_json_and_in_binary_data() -> None:
    texts = OutputTensor("answer", "BYTES", [1, 2], ["都", ""])
    starts = OutputTensor("start", "INT64", [1, 2], [3, -1])
    scores = OutputTensor("score", "FP32", [2], [0.5, 0.25])
    body, length = write_response({"id": "1"}, [(texts, True), (starts, True), (scores, False)])
    assert length is not None
    assert json.loads(body[:length]) == {
        "id": "1",
        "outputs": [
            {"name": "answer", "datatype": "BYTES", "shape": [1, 2], "parameters": {"binary_data_size": 11}},
            {"name": "start", "datatype": "INT64", "shape": [1, 2], "parameters": {"binary_data_size": 16}},
            {"name": "score", "datatype": "FP32", "shape": [2], "data": [0.5, 0.25]},
        ],
    }
    assert body[length:] == elements("都", "") + struct.pack("<qq", 3, -1)
    assert write_response({}, [(scores, True)])[0].endswith(struct.pack("<ff", 0.5, 0.25))
    assert write_response({}, [(scores, False)])[1] is None
