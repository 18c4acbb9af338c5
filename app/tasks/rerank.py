"""Reranking: windows over a text with the query in front, and the score of the window that fits it best.

This module does not know queues, engines or HTTP.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np

from app.manifest import Manifest
from app.schemas import (
    DocumentScore,
    EvidenceFields,
    RerankDocumentsRequest,
    RerankDocumentsResponse,
    RerankFields,
    RerankRequest,
    RerankResponse,
)
from app.settings import Settings
from app.tasks.base import (
    Budget,
    PreparedEach,
    Stretch,
    TaskSpec,
    check_characters,
    documents_of,
    encode,
    sigmoid,
    usual_stride,
)
from app.tasks.sources import Source
from app.text.tokenizer import Tokenizer
from app.text.windows import context_room, question_windows
from app.types import Outputs


class PreparedPair:
    """A text with a query in front of each of its windows."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        manifest: Manifest,
        fields: RerankFields | EvidenceFields,
        source: Source,
        settings: Settings,
    ) -> None:
        check_characters([source.text, fields.query], tokenizer, settings)
        self._template = tokenizer.template
        self._manifest, self._settings = manifest, settings
        self._query = encode(tokenizer, fields.query, "`query`")
        self.tokens = encode(tokenizer, source.text, source.called, source.structure)
        room = context_room(self._query, manifest.max_tokens, tokenizer.template)
        self.stretches = [Stretch(room, len(self.tokens))]
        self.cut(usual_stride(manifest, self.stretches, settings.max_request_tokens))

    def cut(self, stride: int) -> None:
        own = self.stretches[0].stride(stride)
        budget = Budget(self._manifest, self._settings)
        budget.expect(self.stretches[0], own)
        self.windows = question_windows(
            self._query,
            self.tokens,
            template=self._template,
            max_tokens=self._manifest.max_tokens,
            doc_stride=own,
            overlap_token_type=None,
        )
        self.documents = documents_of(self.windows)
        budget.spend(self.documents)


class PreparedScore(PreparedPair):
    def decode(self, outputs: Sequence[Outputs]) -> float:
        return best_score(outputs)


def best_score(outputs: Sequence[Outputs]) -> float:
    """The sigmoid of the best window's logit: a text fits a query if a part of it does."""
    logit = max(float(output["logits"][0]) for output in outputs)
    return float(sigmoid(np.asarray(logit)))


def _of_documents(results: Sequence[float | None], sources: Sequence[Source]) -> list[DocumentScore]:
    scores = [
        DocumentScore(document=source.name or "", index=index, score=score or 0.0)
        for index, (source, score) in enumerate(zip(sources, results, strict=True))
    ]
    return sorted(scores, key=lambda one: -one.score)  # the first of equal ones


RERANK = TaskSpec(
    name="rerank",
    text_field="text",
    fields=RerankFields,
    request=RerankRequest,
    response=RerankResponse,
    prepare=PreparedScore,
    result=lambda score: {"score": score},
    documents_request=RerankDocumentsRequest,
    documents_response=RerankDocumentsResponse,
    prepare_documents=partial(PreparedEach, PreparedScore),
    documents_results=_of_documents,
)
