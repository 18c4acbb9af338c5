"""Fits the head of a classifier by logistic regression, before the first step.

[CLS] of an encoder that was trained on other tasks tells little of the topic, and the mean of all states tells much. So
the last layer is made to write that mean into [CLS], and a regression reads it. Training goes on from there. This
module knows models and sequences, and does not know files.
"""

import itertools
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import torch
from sklearn.linear_model import LogisticRegression
from tqdm import tqdm

from app.block_tables import AttentionLayout
from app.packing import pack
from app.types import FloatArray
from export.model import BigBird, ClassificationHead, Layer, packed_inputs, tables_from
from training.data import DataError
from training.finetune.examples import TrainingSequence

FITTED_TEXTS = 1500  # texts that the regression reads; the steps that follow read all
PENALTY = 0.03  # added to the mean loss of a text: half of this times the squared weights of standardised values
MEAN_SHARE = 4.0  # weight of the mean state next to the own state of a token in the residual sum
# The activation of the head keeps values above this number of standard deviations below the mean nearly as they are.
ACTIVATION_SHIFT = 2.0


@torch.no_grad()
def pool_in_last_layer(model: BigBird) -> None:
    """Make the last layer hand on the mean state of all tokens that a token attends to; [CLS] attends to all.

    Without queries all scores are equal. Values and the output keep the states as they are, and the feed-forward block
    adds nothing until training changes it.
    """
    layer: Layer = model.bert.encoder.layer[-1]  # type: ignore[assignment]  # of a ModuleList
    attention, identity = layer.attention, torch.eye(model.config.hidden_size)
    for linear, weight in (
        (attention.self.query, torch.zeros_like(identity)),
        (attention.self.value, identity),
        (attention.output.dense, MEAN_SHARE * identity),
        (layer.output.dense, torch.zeros_like(layer.output.dense.weight)),
    ):
        linear.weight.copy_(weight)
        if linear.bias is not None:
            linear.bias.zero_()
    for norm in (attention.output.LayerNorm, layer.output.LayerNorm):
        norm.weight.fill_(1.0)
        norm.bias.zero_()


@torch.no_grad()
def fit_classes(
    model: BigBird,
    sequences: Iterable[TrainingSequence],
    layout: AttentionLayout,
    label_weights: FloatArray | None,
    *,
    bf16: bool = False,
) -> None:
    """Set the last layer to the mean of all states, and the head to the regression over it.

    Args:
        label_weights: weight of each label in the loss; None: equal weights.

    Raises:
        DataError: all texts that the regression reads have one label.
    """
    pool_in_last_layer(model)
    device = next(model.parameters()).device
    model.eval()
    states: list[FloatArray] = []
    labels: list[int] = []
    for sequence in tqdm(itertools.islice(sequences, FITTED_TEXTS), desc="states of texts", total=FITTED_TEXTS):
        batch = pack([sequence.document], layout)
        inputs = {
            name: torch.from_numpy(batch.inputs[name]).to(device) for name in packed_inputs("classify", layout.pattern)
        }
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            hidden = model.bert(
                inputs["input_ids"], inputs["token_type_ids"], inputs["position_ids"], tables_from(inputs)
            )  # (1, T, hidden)
        states.append(hidden[0, inputs["cls_index"][0]].float().cpu().numpy())
        labels.append(sequence.target.label)
    x, y = np.stack(states), np.array(labels)  # (texts, hidden), (texts,)
    if len(set(labels)) == 1:
        raise DataError(f"The {len(labels)} texts for the regression all have one label; it needs two or more.")
    weights = None if label_weights is None else label_weights[y]
    _set_head(model.classifier, x, y, weights)  # type: ignore[arg-type]  # for this task


def _set_head(head: ClassificationHead, x: FloatArray, y: npt.NDArray[np.int64], weights: FloatArray | None) -> None:
    scale = x.std(0) + 1e-6
    head.dense.weight.copy_(torch.diag(torch.from_numpy(1 / scale)))
    head.dense.bias.copy_(torch.from_numpy(ACTIVATION_SHIFT - x.mean(0) / scale))
    features = head.activation(head.dense(torch.from_numpy(x).to(head.dense.weight.device))).cpu().numpy()
    regression = LogisticRegression(C=1 / (PENALTY * len(y)), max_iter=500).fit(features, y, sample_weight=weights)
    coefficients, intercepts = regression.coef_, regression.intercept_  # (labels, hidden), (labels,)
    if len(regression.classes_) == 2:  # scikit-learn then has one row, for the second label against the first
        coefficients, intercepts = (np.concatenate([-part / 2, part / 2]) for part in (coefficients, intercepts))
    # A label without a text among those read gets no weight, and the lowest intercept.
    head.out_proj.weight.zero_()
    head.out_proj.bias.fill_(float(intercepts.min()))
    head.out_proj.weight[regression.classes_] = torch.from_numpy(coefficients).to(head.out_proj.weight)
    head.out_proj.bias[regression.classes_] = torch.from_numpy(intercepts).to(head.out_proj.bias)
