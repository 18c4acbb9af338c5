"""The weights of a model: read from a checkpoint, or drawn at random. This module does not know files."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from export.checkpoint import CheckpointError
from export.encoder import EncoderModel


def load_weights(model: EncoderModel, weights: Mapping[str, Tensor]) -> None:
    """Load a transformers state dict in fp32. Heads of other tasks in it are ignored.

    Raises:
        CheckpointError: the checkpoint lacks a weight of the encoder or of this task's head, or a weight has another
            shape or values that are no numbers.
    """
    own = model.state_dict()
    missing = sorted(own.keys() - weights.keys())
    if missing:
        raise CheckpointError(
            f"The checkpoint lacks {len(missing)} weights that the task {model.task} needs, first {missing[0]}."
        )
    for name, parameter in own.items():
        if weights[name].shape != parameter.shape:
            shapes = f"{tuple(weights[name].shape)}, and its config.json says {tuple(parameter.shape)}"
            raise CheckpointError(f"The weight {name} of the checkpoint has the shape {shapes}.")
        if not torch.isfinite(weights[name]).all():
            raise CheckpointError(f"The weight {name} of the checkpoint holds NaN or infinity.")
    model.load_state_dict({name: weights[name].to(torch.float32) for name in own})


def initialise(model: EncoderModel, seed: int, std: float | None = None) -> None:
    """Random weights as transformers draws them: normal(0, initializer_range), zero biases."""
    generator = torch.Generator().manual_seed(seed)
    deviation = model.config.initializer_range if std is None else std
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Embedding | nn.Conv1d):
            module.weight.data.normal_(0.0, deviation, generator=generator)
            if isinstance(module, nn.Embedding) and module.padding_idx is not None:
                module.weight.data[module.padding_idx].zero_()
            if isinstance(module, nn.Linear | nn.Conv1d) and module.bias is not None:
                module.bias.data.zero_()
        elif isinstance(module, nn.LayerNorm):
            module.weight.data.fill_(1.0)
            if module.bias is not None:
                module.bias.data.zero_()
