"""Writes weights as model.safetensors. This module does not know models or formats of stored weights."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from app.errors import NagayomiError

WEIGHTS_FILE = "model.safetensors"


class NotWritten(NagayomiError):
    """A file cannot be written, most often because its disk is full."""

    def __init__(self, file: Path) -> None:
        free = shutil.disk_usage(file.parent).free
        super().__init__(f"{file} cannot be written; its disk has {free / 1e6:,.0f} MB left.")


def write_weights(weights: Mapping[str, Tensor], folder: Path) -> None:
    """Write model.safetensors into a folder, as transformers reads it.

    Raises:
        NotWritten: the disk is full, or the folder is not there.
    """
    file = folder / WEIGHTS_FILE
    try:
        save_file({name: tensor.contiguous() for name, tensor in weights.items()}, file, metadata={"format": "pt"})
    except SafetensorError as error:
        raise NotWritten(file) from error
    file.chmod(0o644)  # from safetensors only its owner can read it; a service may be another user
