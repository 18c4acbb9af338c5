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
from app.tasks.base import Budget, PreparedEach, TaskSpec, check_characters, documents_of, encode, usual_stride
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
        query = encode(tokenizer, fields.query, "`query`")
        self.tokens = encode(tokenizer, source.text, source.called, source.structure)
        room = context_room(query, manifest.max_tokens, tokenizer.template)
        stride = usual_stride(manifest, room, [len(self.tokens)], settings.max_request_tokens)
        budget = Budget(manifest, settings)
        budget.expect(1 + -(-(len(self.tokens) - room) // stride), room)
        self.windows = question_windows(
            query,
            self.tokens,
            template=tokenizer.template,
            max_tokens=manifest.max_tokens,
            doc_stride=stride,
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
    return float(1 / (1 + np.exp(-np.clip(logit, -500, 500))))


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
