"""Fits the head of a summarizer by logistic regression over the mean states of sentences, before the first step.

A random head learns nothing from a few hundred marks, although the states of the encoder already tell much about them.
The regression finds that in seconds. This module knows models and sequences, and does not know files.
"""

from collections.abc import Iterable

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from tqdm import tqdm

from app.block_tables import AttentionLayout
from app.packing import pack
from export.model import BigBird, packed_inputs, tables_from
from training.finetune.examples import TrainingSequence

REGULARISATION = 1e-2  # scikit-learn's C, over standardised features


@torch.no_grad()
def fit_head(
    model: BigBird, sequences: Iterable[TrainingSequence], layout: AttentionLayout, *, bf16: bool = False
) -> None:
    """Set the classifier of a summarizer to the logistic regression of its training sequences."""
    device = next(model.parameters()).device
    features, kept = [], []
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
        target = sequence.target
        lengths = np.diff(target.starts, append=len(own))
        means = np.add.reduceat(own, target.starts) / lengths[:, None]  # (sentences, hidden)
        counted = target.weights > 0
        features.append(means[counted])
        kept.append(target.kept[counted])
    x, y = np.concatenate(features), np.concatenate(kept)
    centre, scale = x.mean(0), x.std(0) + 1e-6
    regression = LogisticRegression(C=REGULARISATION, max_iter=500).fit((x - centre) / scale, y)
    weight = regression.coef_ / scale  # (1, hidden)
    bias = regression.intercept_ - weight @ centre  # (1,)
    model.classifier.weight.copy_(torch.from_numpy(weight))  # type: ignore[operator]  # a Linear, for this task
    model.classifier.bias.copy_(torch.from_numpy(bias))  # type: ignore[operator]
