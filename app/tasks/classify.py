"""Classification: windows over a text or a pair of texts, and the probabilities of labels over all windows.

Knows nothing of queues, engines or HTTP.
"""

from collections.abc import Sequence

import numpy as np

from app.manifest import Manifest
from app.schemas import ClassifyRequest, ClassifyResponse, LabelResult
from app.settings import Settings
from app.tasks.base import Budget, TaskSpec, check_characters, documents_of, encode, softmax, stride_for
from app.text.tokenizer import Tokenizer
from app.text.windows import Window, context_room, text_windows
from app.types import FloatArray, Outputs


class PreparedLabels:
    """A text, or a pair of texts, for a sequence classifier."""

    def __init__(self, tokenizer: Tokenizer, manifest: Manifest, request: ClassifyRequest, settings: Settings) -> None:
        check_characters(request.texts, tokenizer, settings)
        self._request = request
        self._manifest = manifest
        tokens = encode(tokenizer, request.text, "text")
        pair = None if request.text_pair is None else encode(tokenizer, request.text_pair, "text_pair")
        self._windows: list[Window] = text_windows(
            tokens,
            pair,
            template=tokenizer.template,
            max_tokens=manifest.max_tokens,
            doc_stride=stride_for(manifest, context_room(pair, manifest.max_tokens, tokenizer.template)),
        )
        self.documents = documents_of(self._windows)
        Budget(manifest, settings).spend(self.documents)

    def decode(self, outputs: Sequence[Outputs]) -> list[LabelResult]:
        manifest = self._manifest
        labels = decode_labels(
            [output["logits"] for output in outputs],
            [window.context_length for window in self._windows],
            temperature=manifest.temperature,
            top_k=self._request.top_k,
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
    (Guo et al. 2017); for several it is still what the served probabilities say, so that it can be fitted on them.
    """
    probabilities = softmax(np.stack(logits).astype(np.float64))  # (windows, labels)
    mean = np.average(probabilities, axis=0, weights=np.maximum(np.asarray(weights), 1))
    if temperature != 1:
        mean = softmax(np.log(np.maximum(mean, np.finfo(np.float64).tiny)) / temperature)
    order = np.argsort(-mean, kind="stable")[:top_k]
    return [(int(index), float(mean[index])) for index in order]


CLASSIFY = TaskSpec("classify", ClassifyRequest, ClassifyResponse, PreparedLabels, lambda labels: {"labels": labels})
