"""Classification: windows over a text or a pair of texts, and the probabilities of labels over all windows.

This module does not know queues, engines or HTTP.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np

from app.manifest import Manifest
from app.schemas import (
    ClassifyDocumentsRequest,
    ClassifyDocumentsResponse,
    ClassifyFields,
    ClassifyRequest,
    ClassifyResponse,
    DocumentLabels,
    LabelResult,
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
    softmax,
    usual_stride,
)
from app.tasks.sources import Source
from app.text.tokenizer import Tokenizer
from app.text.windows import Window, context_room, text_windows
from app.types import FloatArray, Outputs


class PreparedLabels:
    """A text, or a pair of texts, for a sequence classifier."""

    def __init__(
        self, tokenizer: Tokenizer, manifest: Manifest, fields: ClassifyFields, source: Source, settings: Settings
    ) -> None:
        check_characters([source.text, *fields.other_texts], tokenizer, settings)
        self._fields = fields
        self._manifest, self._settings = manifest, settings
        self._template = tokenizer.template
        self._tokens = encode(tokenizer, source.text, source.called, source.structure)
        self._pair = None if fields.text_pair is None else encode(tokenizer, fields.text_pair, "`text_pair`")
        room = context_room(self._pair, manifest.max_tokens, tokenizer.template)
        self.stretches = [Stretch(room, len(self._tokens))]
        self.cut(usual_stride(manifest, self.stretches, settings.max_request_tokens))

    def cut(self, stride: int) -> None:
        own = self.stretches[0].stride(stride)
        budget = Budget(self._manifest, self._settings)
        budget.expect(self.stretches[0], own)
        self._windows: list[Window] = text_windows(
            self._tokens,
            self._pair,
            template=self._template,
            max_tokens=self._manifest.max_tokens,
            doc_stride=own,
        )
        self.documents = documents_of(self._windows)
        budget.spend(self.documents)

    def decode(self, outputs: Sequence[Outputs]) -> list[LabelResult]:
        manifest = self._manifest
        labels = decode_labels(
            [output["logits"] for output in outputs],
            [window.context_length for window in self._windows],
            temperature=manifest.temperature,
            top_k=self._fields.top_k,
        )
        return [
            LabelResult(label=label, name=manifest.label_names.get(label), score=score)
            for label, score in ((manifest.labels[index], score) for index, score in labels)
        ]


def decode_labels(
    logits: Sequence[FloatArray], weights: Sequence[int], *, temperature: float, top_k: int | None
) -> list[tuple[int, float]]:
    """Label indices and probabilities, most probable first: the mean over windows, each weighted by its tokens.

    The temperature acts on that mean, p^(1/T) scaled to a sum of 1. For one window that is the softmax of logits / T
    (Guo et al. 2017). For several windows it acts on the served probabilities, so that it can be fitted on them.
    """
    probabilities = softmax(np.stack(logits).astype(np.float64))  # (windows, labels)
    mean = np.average(probabilities, axis=0, weights=np.maximum(np.asarray(weights), 1))
    if temperature != 1:
        mean = softmax(np.log(np.maximum(mean, np.finfo(np.float64).tiny)) / temperature)
    order = np.argsort(-mean, kind="stable")[:top_k]
    return [(int(index), float(mean[index])) for index in order]


def _of_documents(results: Sequence[list[LabelResult] | None], sources: Sequence[Source]) -> list[DocumentLabels]:
    return [
        DocumentLabels(document=source.name or "", labels=labels or [])
        for source, labels in zip(sources, results, strict=True)
    ]


CLASSIFY = TaskSpec(
    name="classify",
    text_field="text",
    fields=ClassifyFields,
    request=ClassifyRequest,
    response=ClassifyResponse,
    prepare=PreparedLabels,
    result=lambda labels: {"labels": labels},
    documents_request=ClassifyDocumentsRequest,
    documents_response=ClassifyDocumentsResponse,
    prepare_documents=partial(PreparedEach, PreparedLabels),
    documents_results=_of_documents,
)
