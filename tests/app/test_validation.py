"""Bodies that are no requests, and the sentence that each gets."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidInput, MalformedBody
from app.schemas import QaRequest, SummarizeRequest
from app.validation import parse_object, validate


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The body is empty"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        ('{"a": "あ"}'.encode("cp932"), "not UTF-8: byte 7"),
        ('{"a": "あ"}'.encode("utf-16"), "not UTF-8: byte 0"),
        (b"{", "not JSON: expecting property name enclosed in double quotes at line 1, column 2"),
        (b'{"a": 1,}', "not JSON"),
        (b"{'a': 1}", "not JSON"),
        (b'{"a": "\n"}', "not JSON: invalid control character"),
        (b"[]", "JSON but not an object"),
        (b'"text"', "JSON but not an object"),
        (b"null", "JSON but not an object"),
        (b'{"a": NaN}', "holds NaN, which is not JSON"),
        (b'{"a": [-Infinity]}', "holds -Infinity"),
        (b'{"a": ' + b"9" * 5000 + b"}", "number too long"),
        (b'{"a":' + b"[" * 100_000, "nested too deeply"),
        (b'{"a": 1, "b": 2, "a": 3}', "names `a` twice"),
        (b'{"b": {"a": 1, "a": 3}}', "names `a` twice"),
        (
            json.dumps(dict.fromkeys(map(str, range(101)))).encode(),
            "An object in the body holds 101 names; at most 100",
        ),
    ],
)
def test_malformed(body: bytes, message: str) -> None:
    with pytest.raises(MalformedBody, match=message):
        parse_object(body)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "`question` is missing. `context` is missing."),
        ({"question": 1, "context": "文"}, "`question` must be a valid string."),
        ({"question": None, "context": "文"}, "`question` must be a valid string."),
        ({"question": {}, "context": "文"}, "`question` must be a valid string"),
        ({"question": [], "context": "文"}, "`question` must have at least 1 item, not 0."),
        ({"question": ["何", 2], "context": "文"}, "`question`[1] must be a valid string."),
        ({"question": ["何", " "], "context": "文"}, "`question`[1] must hold at least one character"),
        ({"question": {"a": 1}, "context": "文"}, "`question` must be a valid string."),
        ({"question": "何", "context": ["文"]}, "`context` must be a valid string."),
        ({"question": "何", "context": "文\0"}, "`context` holds a NUL character (U+0000); only text is allowed."),
        ({"question": "何", "context": "文\ud83d"}, "`context` holds a lone surrogate (U+D83D) at character 1;"),
        ({"question": "何", "context": "文", "top_k": 0}, "`top_k` must be greater than or equal to 1."),
        ({"question": "何", "context": "文", "top_k": 21}, "`top_k` must be less than or equal to 20."),
        ({"question": "何", "context": "文", "top_k": 1e300}, "`top_k` must be a valid integer."),
        ({"question": "何", "context": "文", "top_k": "3"}, "`top_k` must be a valid integer."),
        ({"question": "何", "context": "文", "top_k": True}, "`top_k` must be a valid integer."),
        ({"question": "何", "context": "文", "top_k": 1.5}, "`top_k` must be a valid integer."),
        ({"question": "何", "context": "文", "top_k": 10**400}, "`top_k` must be less than or equal to 20."),
        ({"question": "何", "context": "文", "null_score_diff_threshold": 1e999}, "must be a finite number."),
        ({"question": "何", "context": "文", "offset_unit": "byte"}, "must be 'codepoint' or 'utf16'."),
        ({"question": "何", "context": "文", "model": "\0"}, "`model` holds a NUL character"),
        ({"question": "何", "context": "文", "text": "x"}, "`text` is not a field of this endpoint; allowed are mod"),
        ({"question": "何", "context": "文", "x" * 999: 1}, "`" + "x" * 60 + "…` is not a field"),
        ({"question": "何", "context": "文", **dict.fromkeys("abcde")}, "There are 2 more errors like these."),
    ],
)
def test_invalid_fields(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput) as error:
        validate(parse_object(json.dumps(fields).replace("Infinity", "1e999").encode()), QaRequest)
    assert message in str(error.value)


def test_errors_of_the_whole_request_are_sentences() -> None:
    with pytest.raises(InvalidInput) as error:
        validate(parse_object('{"text": "文", "ratio": 0.5, "max_sentences": 1}'.encode()), SummarizeRequest)
    assert str(error.value).startswith("Only one of max_sentences, ratio and max_characters is allowed, not ")


def test_whole_numbers_may_be_written_with_a_point() -> None:
    body = b'{"question": "a", "context": "b", "top_k": 2.0, "doc_stride": 1e2, "null_score_diff_threshold": 1.0}'
    request = validate(parse_object(body), QaRequest)
    assert (request.top_k, request.doc_stride, request.null_score_diff_threshold) == (2, 100, 1.0)
    assert parse_object(b'{"a": [2.5, 1e300]}') == {"a": [2.5, 1e300]}


def test_escapes_are_read() -> None:
    request = validate(parse_object(b'{"question": "\\u4f55", "context": "\\ud83d\\ude00"}'), QaRequest)
    assert (request.questions, request.context) == (["何"], "😀")


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(
    st.binary()
    | st.dictionaries(st.sampled_from([*QaRequest.model_fields, "x"]), json_values).map(
        lambda value: json.dumps(value).encode()
    )
)
def test_any_body_is_read_or_refused_in_words(body: bytes) -> None:
    with contextlib.suppress(MalformedBody, InvalidInput):
        validate(parse_object(body), QaRequest)
