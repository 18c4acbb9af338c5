"""How weights are stored: fp32, fp16, or int8 with one scale for each output channel.

int8: a weight of two dimensions W (out, in) becomes round(W / s) in [-127, 127] with s = max |W| / 127 of each row
(out, 1), in fp16. Vectors (biases, layer norms) stay as they are. Half the error of a row is below 0.4 % of its largest
weight. Knows tensors and their names; nothing of graphs or files.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

WeightType = Literal["fp32", "fp16", "int8"]
SCALE = ".scale"  # of the name of a tensor, where its scales stand


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
        # The scale is rounded first, so that the integers are the nearest for the scale that is stored.
        scale = (tensor.detach().abs().amax(1, keepdim=True) / 127).clamp(min=2.0**-24).to(torch.float16)  # (out, 1)
        stored[name] = (tensor.detach() / scale.float()).round().clamp(-127, 127).to(torch.int8).contiguous()
        stored[name + SCALE] = scale
    return stored


def from_stored(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a file in floating point, whatever they are stored as.

    Raises:
        ValueError: an int8 tensor comes without its scales.
    """
    weights: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if tensor.dtype == torch.int8:
            scale = tensors.get(name + SCALE)
            if scale is None:
                raise ValueError(f"{name} is stored as int8, and its scales are missing")
            weights[name] = tensor.float() * scale.float()
        elif not (name.endswith(SCALE) and name.removesuffix(SCALE) in tensors):
            weights[name] = tensor
    return weights
