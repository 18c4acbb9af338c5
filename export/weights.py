"""The weights of a model: taken over from a checkpoint, or drawn at random. Knows nothing of files."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from export.encoder import EncoderModel

_NAMES_BEFORE = {"gamma": "weight", "beta": "bias"}


def load_weights(model: EncoderModel, weights: Mapping[str, Tensor]) -> None:
    """Load a transformers state dict in fp32. Heads of other tasks in it are ignored.

    Checkpoints from TensorFlow call the parameters of layer norms gamma and beta.

    Raises:
        ValueError: the checkpoint lacks a weight of the encoder or of this task's head.
    """
    own = model.state_dict()
    weights = {_of_today(name): tensor for name, tensor in weights.items()}
    missing = sorted(own.keys() - weights.keys())
    if missing:
        raise ValueError(
            f"The checkpoint lacks {len(missing)} weights that the task {model.task} needs, first {missing[0]}."
        )
    model.load_state_dict({name: weights[name].to(torch.float32) for name in own})


def _of_today(name: str) -> str:
    stem, _, last = name.rpartition(".")
    return f"{stem}.{_NAMES_BEFORE[last]}" if last in _NAMES_BEFORE else name


def initialise(model: EncoderModel, seed: int, std: float | None = None) -> None:
    """Random weights as transformers draws them: normal(0, initializer_range), zero biases."""
    generator = torch.Generator().manual_seed(seed)
    deviation = model.config.initializer_range if std is None else std
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            module.weight.data.normal_(0.0, deviation, generator=generator)
            if isinstance(module, nn.Embedding) and module.padding_idx is not None:
                module.weight.data[module.padding_idx].zero_()
            if isinstance(module, nn.Linear) and module.bias is not None:
                module.bias.data.zero_()
        elif isinstance(module, nn.LayerNorm):
            module.weight.data.fill_(1.0)
            if module.bias is not None:
                module.bias.data.zero_()
