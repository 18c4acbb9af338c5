"""Any text on its whole way to the engine: tokens, windows and the packed batch lose nothing and invent nothing."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.block_tables import MASKED, AttentionLayout, block_tables, validate_tables
from app.errors import ImpossibleTable
from app.packing import Document, pack
from app.schemas import TEXT_PATTERN
from app.text.tokenizer import Tokenizer
from app.text.windows import context_room, question_windows, text_windows

MAX_TOKENS = 96
LAYOUT = AttentionLayout(block_size=16, num_random_blocks=0)  # sparse from 6 blocks on: both kinds of rows
any_text = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=300)
japanese = st.text(alphabet="東京都は日本の首都である。猫　ｶﾞ㍻\u3099\u200b \n\x0032か", max_size=600)


@pytest.fixture(scope="module")
def tokenizer(tiny_tokenizer_file: Path) -> Tokenizer:
    return Tokenizer.load(tiny_tokenizer_file, normaliser="nfkc", segmenter="mecab-jumandic")


@given(
    question=st.none() | japanese.filter(lambda text: len(text) < 60), text=any_text | japanese, overlap=st.integers(0)
)
def test_every_token_of_any_text_reaches_the_engine_and_is_owned_once(
    tokenizer: Tokenizer, question: str | None, text: str, overlap: int
) -> None:
    tokens = tokenizer.encode(text)
    asked = None if question is None else tokenizer.encode(question).slice(0, MAX_TOKENS - 4)
    room = context_room(asked, MAX_TOKENS, tokenizer.template)
    stride = room - overlap % room
    if asked is None:
        windows = text_windows(tokens, None, template=tokenizer.template, max_tokens=MAX_TOKENS, doc_stride=stride)
    else:
        windows = question_windows(
            asked,
            tokens,
            template=tokenizer.template,
            max_tokens=MAX_TOKENS,
            doc_stride=stride,
            overlap_token_type=None,
        )
    documents = [Document(one.input_ids, one.token_type_ids, one.question_length) for one in windows]
    batch = pack(documents, LAYOUT)

    owned: list[int] = []
    for window, where in zip(windows, batch.documents, strict=True):
        packed = batch.inputs["input_ids"][0, where]
        context = packed[window.context_start : window.context_start + window.context_length]
        first = window.first_token
        np.testing.assert_array_equal(context, tokens.ids[first : first + window.context_length])
        owned += (first + np.flatnonzero(window.owned)).tolist()
    assert sorted(owned) == list(range(len(tokens)))
    assert batch.tokens == sum(len(window.input_ids) for window in windows)


@given(text=any_text | japanese)
def test_the_schema_takes_the_texts_that_have_tokens(tokenizer: Tokenizer, text: str) -> None:
    matches = re.search(TEXT_PATTERN, text) is not None
    assert matches == ("\0" not in text and len(tokenizer.encode(text)) > 0)


@given(counts=st.lists(st.integers(1, 9), min_size=2, max_size=5), data=st.data())
def test_no_key_block_of_another_document_gets_past_the_check(counts: list[int], data: st.DataObject) -> None:
    tables = block_tables(counts, LAYOUT)
    owner = np.repeat(np.arange(len(counts)), counts)
    kinds = [kind for kind in ("dense", "global", "sparse") if (tables[f"{kind}_bias"] > MASKED).any()]
    kind = data.draw(st.sampled_from(kinds))
    rows, table, bias = (tables[f"{kind}_{part}"] for part in ("rows", "table", "bias"))
    row, column = data.draw(st.sampled_from(np.argwhere(bias > MASKED).tolist()))
    foreign = [-1, len(owner), *np.flatnonzero(owner != owner[rows[row]]).tolist()]
    table[row, column] = data.draw(st.sampled_from(foreign))
    with pytest.raises(ImpossibleTable):
        validate_tables(tables, counts)
