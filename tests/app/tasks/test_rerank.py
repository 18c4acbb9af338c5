from pathlib import Path

import numpy as np
import pytest

from app.manifest import Manifest
from app.schemas import EvidenceFields, RerankFields
from app.settings import Settings
from app.tasks.evidence import EVIDENCE, PreparedEvidence
from app.tasks.rerank import RERANK, PreparedScore, best_score
from app.tasks.sources import Source
from app.text.tokenizer import Tokenizer
from app.types import FloatArray, Outputs


@pytest.fixture
def manifest(handmade_models: Path) -> Manifest:
    """Of a model of 256 tokens, one for each character."""
    return Manifest.read(handmade_models / "hand-classify")


@pytest.fixture
def tokenizer(handmade_models: Path) -> Tokenizer:
    return Tokenizer.load(handmade_models / "hand-classify" / "tokenizer.json", normaliser="nfkc", segmenter="none")


def logit(value: float) -> Outputs:
    return {"logits": np.array([value], dtype=np.float32)}


def test_a_text_is_as_good_as_its_best_window() -> None:
    assert best_score([logit(-3), logit(0), logit(-1)]) == 0.5
    assert best_score([logit(1e9)]) == pytest.approx(1)


def test_the_query_stands_in_front_of_every_window(manifest: Manifest, tokenizer: Tokenizer) -> None:
    prepared = PreparedScore(tokenizer, manifest, RerankFields(query="上"), Source("下中" * 300, "`text`"), Settings())
    assert len(prepared.documents) > 1
    asked = tokenizer.encode("上").ids.tolist()
    for document in prepared.documents:
        assert document.input_ids[1:2].tolist() == asked
    assert prepared.decode([logit(-1)] * (len(prepared.documents) - 1) + [logit(2)]) == pytest.approx(0.8808, abs=1e-4)


def test_documents_come_best_first_and_those_without_text_last() -> None:
    sources = [Source("下", "a"), Source("上", "b"), Source("中", "c")]
    found = RERANK.documents_results([0.2, None, 0.9], sources)
    assert [(one.index, one.score) for one in found] == [(2, 0.9), (0, 0.2), (1, 0.0)]


def keeping(tokens: FloatArray) -> Outputs:
    """Token logits whose second column is the given one, of which the first is 0."""
    return {**logit(0), "token_logits": np.stack([np.zeros_like(tokens), tokens], axis=1)}


def test_a_sentence_is_kept_when_its_tokens_are_above_the_threshold_in_the_mean(
    manifest: Manifest, tokenizer: Tokenizer
) -> None:
    text = "上中。下中。"
    fields = EvidenceFields(query="上", threshold=0.4)
    prepared = PreparedEvidence(tokenizer, manifest, fields, Source(text, "`text`"), Settings())
    (window,) = prepared.windows
    tokens = np.full(len(window.input_ids), 9, dtype=np.float32)
    tokens[window.context_start : window.context_start + 6] = [0, 0, 0, -9, 0, -9]
    found = prepared.decode([keeping(tokens)])
    assert found.score == 0.5
    assert [(one.text, one.start, one.end, one.kept) for one in found.sentences] == [
        ("上中。", 0, 3, True),
        ("下中。", 3, 6, False),
    ]
    assert [one.score for one in found.sentences] == pytest.approx([0.5, 0.5 / 3], abs=1e-3)


def test_each_token_is_judged_in_the_window_that_owns_it(manifest: Manifest, tokenizer: Tokenizer) -> None:
    text = "上" * 400
    prepared = PreparedEvidence(tokenizer, manifest, EvidenceFields(query="下"), Source(text, "`text`"), Settings())
    assert len(prepared.windows) == 3
    outputs = [
        keeping(np.full(len(window.input_ids), side, np.float32))
        for window, side in zip(prepared.windows, (-99, 99, -99), strict=True)
    ]
    (sentence,) = prepared.decode(outputs).sentences
    assert sentence.score == pytest.approx(sum(prepared.windows[1].owned) / 400)


def test_a_document_without_text_has_no_evidence() -> None:
    (found,) = EVIDENCE.documents_results([None], [Source("", "a")])
    assert (found.score, found.sentences) == (0.0, [])
