"""Evidence: how well a text fits a query, and which of its sentences bear on it (OpenProvence).

A sentence is kept when the mean probability of its tokens is above the threshold. This module does not know queues,
engines or HTTP.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from app.manifest import Manifest
from app.schemas import (
    DocumentEvidence,
    EvidenceDocumentsRequest,
    EvidenceDocumentsResponse,
    EvidenceFields,
    EvidenceRequest,
    EvidenceResponse,
    EvidenceSentence,
)
from app.settings import Settings
from app.tasks.base import PreparedEach, TaskSpec, offsets_of, softmax
from app.tasks.rerank import PreparedPair, best_score
from app.tasks.sources import Source
from app.text.sentences import sentences_of
from app.text.tokenizer import Tokenizer
from app.types import DoubleArray, Outputs


@dataclass(frozen=True)
class Evidence:
    """The sentences of one text that bear on a query."""

    score: float
    sentences: list[EvidenceSentence]


class PreparedEvidence(PreparedPair):
    """A text with a query in front of each of its windows, and its sentences."""

    def __init__(
        self, tokenizer: Tokenizer, manifest: Manifest, fields: EvidenceFields, source: Source, settings: Settings
    ) -> None:
        super().__init__(tokenizer, manifest, fields, source, settings)
        self._fields = fields
        self._source = source

    def decode(self, outputs: Sequence[Outputs]) -> Evidence:
        text, tokens = self._source.text, self.tokens
        probabilities = self._of_tokens(outputs)
        offsets = offsets_of(text, self._fields.offset_unit)
        sentences = []
        for index, sentence in enumerate(sentences_of(self._source.structure)):
            first, last = np.searchsorted(tokens.starts, [sentence.start, sentence.end]).tolist()
            score = float(probabilities[first:last].mean()) if first < last else 0.0
            sentences.append(
                EvidenceSentence(
                    text=text[sentence.start : sentence.end],
                    start=offsets[sentence.start],
                    end=offsets[sentence.end],
                    index=index,
                    score=score,
                    kept=score > self._fields.threshold,
                )
            )
        return Evidence(best_score(outputs), sentences)

    def _of_tokens(self, outputs: Sequence[Outputs]) -> DoubleArray:
        """The probability of each token of the text, from the window that shows it with the most context."""
        found = np.zeros(len(self.tokens))
        for window, output in zip(self.windows, outputs, strict=True):
            shown = slice(window.context_start, window.context_start + window.context_length)
            keep = softmax(output["token_logits"][shown].astype(np.float64))[:, 1]
            own = slice(window.first_token, window.first_token + window.context_length)
            found[own][window.owned] = keep[window.owned]
        return found


def _of_documents(results: Sequence[Evidence | None], sources: Sequence[Source]) -> list[DocumentEvidence]:
    return [
        DocumentEvidence(
            document=source.name or "",
            score=0.0 if found is None else found.score,
            sentences=[] if found is None else found.sentences,
        )
        for source, found in zip(sources, results, strict=True)
    ]


EVIDENCE = TaskSpec(
    name="evidence",
    text_field="text",
    fields=EvidenceFields,
    request=EvidenceRequest,
    response=EvidenceResponse,
    prepare=PreparedEvidence,
    result=lambda found: {"score": found.score, "sentences": found.sentences},
    documents_request=EvidenceDocumentsRequest,
    documents_response=EvidenceDocumentsResponse,
    prepare_documents=partial(PreparedEach, PreparedEvidence),
    documents_results=_of_documents,
)
