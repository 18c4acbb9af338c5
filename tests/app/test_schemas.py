"""Requests: values that the types accept, and their errors about others."""

import json
import re
import unicodedata

import pytest

from app.schemas import TEXT_PATTERN, ClassifyRequest, QaRequest, SummarizeRequest
from app.text.normalizer import clean


def test_defaults() -> None:
    qa = QaRequest(question="何?", context="文。")
    assert (qa.top_k, qa.max_answer_length, qa.null_score_diff_threshold, qa.offset_unit) == (1, 30, None, "codepoint")
    assert qa.questions == ["何?"]
    summarize = SummarizeRequest(text="文。")
    assert (summarize.max_sentences, summarize.ratio, summarize.max_characters, summarize.diversity) == (
        None,
        None,
        None,
        0.0,
    )
    assert ClassifyRequest(text="文。").top_k is None


def test_json_schemas_stand_alone() -> None:
    """They are put into the OpenAPI document as they are, so they may not refer to definitions elsewhere."""
    for model in (QaRequest, SummarizeRequest, ClassifyRequest):
        schema = json.dumps(model.model_json_schema())
        assert "$ref" not in schema
        for name, field in model.model_fields.items():
            assert field.description, name


@pytest.mark.parametrize("text", ["", " ", "\u3000\n\t", "\0", "あ\0い", "\ud800", "あ\udfff"])
def test_texts_that_are_none(text: str) -> None:
    for make in (
        lambda: QaRequest(question=text, context="文"),
        lambda: QaRequest(question=["何", text], context="文"),
        lambda: QaRequest(question="何", context=text),
        lambda: SummarizeRequest(text=text),
        lambda: ClassifyRequest(text=text),
        lambda: ClassifyRequest(text="文", text_pair=text),
    ):
        with pytest.raises(ValueError, match=r"must hold|holds a"):
            make()


def test_the_pattern_leaves_out_what_nothing_is_left_of() -> None:
    """Character by character, as the tokenizer cleans and normalises them."""
    known = [char for char in map(chr, range(0x110000)) if unicodedata.category(char) not in ("Cs", "Cn")]
    unseen = [char for char in known if not unicodedata.normalize("NFKC", clean(char)).strip()]
    assert [char for char in known if not re.search(TEXT_PATTERN, char)] == unseen


def test_what_excludes_one_another_does_so_in_the_schema() -> None:
    branches = QaRequest.model_json_schema()["anyOf"]
    assert branches == [{"properties": {name: {"type": "null"}}} for name in ("window_overlap", "doc_stride")]


def test_one_length_only() -> None:
    SummarizeRequest(text="文", ratio=1)
    with pytest.raises(ValueError, match="only one of max_sentences, ratio and max_characters is allowed"):
        SummarizeRequest(text="文", ratio=0.5, max_sentences=2)
