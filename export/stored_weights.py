"""The stored form of weights: fp32, fp16, or int8 with one scale for each output channel.

int8: a weight of two dimensions W (out, in) becomes round(W / s) in [-127, 127] with s = max |W| / 127 of each row
(out, 1), in fp32: a small scale in fp16 would be off by much more than half a step. Vectors (biases, layer norms) stay
fp32. No weight is off by more than s / 2, which is 0.4 % of the largest weight of its row. This module knows tensors
and their names, and does not know graphs or files.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

WeightType = Literal["fp32", "fp16", "int8"]
SCALE = ".scale"  # after the name of a tensor: the name of its scales


def to_stored(weights: Mapping[str, Tensor], kind: WeightType) -> dict[str, Tensor]:
    """The tensors as a file holds them."""
    if kind != "int8":
        dtype = torch.float16 if kind == "fp16" else torch.float32
        return {name: tensor.detach().to(dtype).contiguous() for name, tensor in weights.items()}
    stored: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        if tensor.dim() != 2:
            stored[name] = tensor.detach().to(torch.float32).contiguous()
            continue
        weight = tensor.detach().to(torch.float32)
        largest = weight.abs().amax(1, keepdim=True)  # (out, 1)
        scale = (largest / 127).clamp(min=torch.finfo(torch.float32).tiny)
        stored[name] = (weight / scale).round().clamp(-127, 127).to(torch.int8).contiguous()
        stored[name + SCALE] = scale.contiguous()
    return stored


def from_stored(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a file in floating point, from any stored form.

    Raises:
        ValueError: an int8 tensor has no scales.
    """
    weights: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if tensor.dtype == torch.int8:
            scale = tensors.get(name + SCALE)
            if scale is None:
                raise ValueError(f"{name} is stored as int8, and its scales are missing")
            weights[name] = tensor.float() * scale.float()
        elif not _is_scale(name, tensors):
            weights[name] = tensor
    return weights


def _is_scale(name: str, tensors: Mapping[str, Tensor]) -> bool:
    scaled = tensors.get(name.removesuffix(SCALE)) if name.endswith(SCALE) else None
    return scaled is not None and scaled.dtype == torch.int8
