"""Names that several rooms share: kinds of arrays and the choices that manifests and settings offer.

This module knows nothing but types; every other module may import it.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int32]
LongArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
Outputs = dict[str, FloatArray]  # the outputs of a graph for one document, by name

Task = Literal["qa", "classify", "summarize", "rerank", "evidence", "multiple-choice", "token-classification"]
AnsweredTask = Literal["qa", "classify", "summarize", "rerank", "evidence"]  # those that the service answers
ServedTask = Literal["qa", "classify", "summarize"]  # those with an endpoint
ServiceState = Literal["loading", "ready", "recovering", "failed", "draining", "closed"]
Layout = Literal["packed", "padded"]
LayerKind = Literal["full", "local", "bigbird"]  # how a layer attends, see app/block_tables.py
AttentionPattern = Literal["hf-eval", "random"]  # of layers of the kind "bigbird"
NormaliserName = Literal["none", "nfkc", "zenkaku"]
SentenceFeature = (
    Literal[  # what a summarizer knows of a sentence next to its tokens, see app/tasks/sentence_features.py
        "log_characters",
        "hundreds_of_characters",
        "log_characters_less_mean",  # of the sentences of the document
        "share_before",  # of the prose sentences of the document
        "log_sentences_before",  # of one more than the prose sentences before it
        "first",
        "starts_line",
        "second_of_line",
        "ends_line",
        "after_heading",
        "log_sentences",  # of the prose sentences of the document
        "list_item",
        "clause",
        "table_row",
        "note",
    ]
)
SegmenterName = Literal["none", "mecab-jumandic", "mecab-unidic-lite", "mecab-ipadic", "jumanpp"]

Provider = Literal["cpu", "openvino", "cuda", "tensorrt"]
GpuTarget = Literal["cuda", "tensorrt"]
LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["text", "json"]
