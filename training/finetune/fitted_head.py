"""Fits the head of a summarizer by logistic regression, before the first step.

A random head learns nothing from a few hundred marks, although the states of the encoder already tell much about them.
The regression over the mean states of sentences, their lengths and their places finds that in seconds. This module
knows models and sequences, and does not know files.
"""

from collections.abc import Iterable

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn
from tqdm import tqdm

from app.block_tables import AttentionLayout
from app.packing import pack
from app.tasks.sentence_features import SENTENCE_FEATURES
from app.types import DoubleArray, FloatArray, SentenceFeature
from export.model import BigBird, packed_inputs, tables_from
from training.data import DataError
from training.finetune.examples import Target, TrainingSequence

# What is added to the mean loss of a sentence: half of this times the squared weights of standardised values. Chosen by
# cross-validation over the training documents (docs/training-log.md). The features are few, and are held less.
STATE_PENALTY = 3e-2
FEATURE_PENALTY = 1e-3


@torch.no_grad()
def fit_head(
    model: BigBird, sequences: Iterable[TrainingSequence], layout: AttentionLayout, *, bf16: bool = False
) -> dict[SentenceFeature, float]:
    """Set the classifier of a summarizer to the logistic regression of its training sequences.

    Returns:
        What each feature of a sentence adds to its logit.
    """
    device = next(model.parameters()).device
    means: list[FloatArray] = []
    targets: list[Target] = []
    model.eval()
    for sequence in tqdm(sequences, desc="states of sentences"):
        batch = pack([sequence.document], layout)
        inputs = {
            name: torch.from_numpy(batch.inputs[name]).to(device) for name in packed_inputs("summarize", layout.pattern)
        }
        (place,) = batch.documents
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            states = model.bert(
                inputs["input_ids"], inputs["token_type_ids"], inputs["position_ids"], tables_from(inputs)
            )  # (1, T, hidden)
        own = states[0, place].float().cpu().numpy()  # (n, hidden)
        lengths = np.diff(sequence.target.starts, append=len(own))
        mean = np.add.reduceat(own, sequence.target.starts) / lengths[:, None]  # (sentences, hidden)
        means.append(mean.astype(np.float32))
        targets.append(sequence.target)
    return fit_regression(model, means, targets)


@torch.no_grad()
def fit_regression(
    model: BigBird, means: Iterable[FloatArray], targets: Iterable[Target]
) -> dict[SentenceFeature, float]:
    """Set the classifier to the regression over the mean state of each sentence; see `fit_head`.

    Raises:
        DataError: all sentences are marked, or none is.
    """
    columns, kept = [], []
    for mean, target in zip(means, targets, strict=True):
        counted = target.weights > 0
        columns.append(np.concatenate([mean, target.features], axis=1)[counted])
        kept.append(target.kept[counted])
    x, y = np.concatenate(columns), np.concatenate(kept)  # (sentences, hidden + features)
    if len(np.unique(y)) < 2:
        raise DataError("A head cannot be fitted: all sentences of the documents are marked, or none is.")
    hidden = x.shape[1] - len(SENTENCE_FEATURES)
    scale = x.std(0) + 1e-6
    scale[hidden:] *= np.sqrt(FEATURE_PENALTY / STATE_PENALTY)  # one penalty for all then holds the features less
    centre = x.mean(0)
    regression = LogisticRegression(C=1 / (STATE_PENALTY * len(y)), max_iter=500).fit((x - centre) / scale, y)
    weights: DoubleArray = regression.coef_[0] / scale  # (hidden + features,)
    head: nn.Linear = model.classifier  # type: ignore[assignment]  # for this task
    head.weight.copy_(torch.from_numpy(weights[None, :hidden]))
    head.bias.fill_(float(regression.intercept_[0] - weights @ centre))
    return dict(zip(SENTENCE_FEATURES, weights[hidden:].tolist(), strict=True))
