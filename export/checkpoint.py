"""Read a checkpoint: a transformers directory or a hub id, never a file that can run code.

This module knows file formats, and does not know graphs or tasks.
"""

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from transformers import BigBirdConfig

from app.errors import InvalidInput
from export.stored_weights import from_stored

_NAMES_BEFORE = {"gamma": "weight", "beta": "bias"}
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"


class CheckpointError(InvalidInput, ValueError):
    """The checkpoint cannot be used; the message says why and what is allowed."""


def locate(checkpoint: str) -> Path:
    """The directory, or the download of a hub id: its config, tokenizer and weights."""
    if Path(checkpoint).is_dir():
        return Path(checkpoint)
    if Path(checkpoint).exists() or checkpoint.startswith(("/", "./", "../", "~")) or checkpoint.endswith("/"):
        what = "is a file" if Path(checkpoint).exists() else "does not exist"
        raise CheckpointError(f"{checkpoint} {what}; a checkpoint is a directory of transformers, or a hub id.")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(checkpoint, allow_patterns=["*.json", "*.model", "*.txt", "*.safetensors", "*.bin"])
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise CheckpointError(
            f"{checkpoint!r} is neither a directory nor a model that can be downloaded from the hub."
        ) from error


def read_config(directory: Path) -> dict[str, Any]:
    """The contents of config.json.

    Raises:
        CheckpointError: the file is missing, or not a JSON object.
    """
    refuse_lfs_pointer(directory / "config.json")
    return json_object(directory / "config.json")


def json_object(file: Path) -> dict[str, Any]:
    """The object in a JSON file of a checkpoint.

    Raises:
        CheckpointError: the file is missing, or holds no JSON object.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(f"{file} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{file} cannot be read as JSON: {error}.") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{file} does not hold a JSON object.")
    return content


def refuse_lfs_pointer(path: Path) -> None:
    """Refuse the pointer that Git leaves in place of a large file that it has not fetched.

    Raises:
        CheckpointError: the file is such a pointer.
    """
    if not path.is_file():
        return
    with path.open("rb") as file:
        if file.read(len(_LFS_POINTER)) == _LFS_POINTER:
            raise CheckpointError(f"{path} is a pointer of Git LFS, not the file itself; `git lfs pull` fetches it.")


def read_checkpoint(directory: Path) -> tuple[BigBirdConfig, Mapping[str, Tensor]]:
    """Configuration and weights of a BigBird.

    Raises:
        CheckpointError: there are no weights, the family is another one, or a .bin holds more than tensors.
    """
    document = read_config(directory)
    refuse_other_families(document, str(directory))
    refuse_full_attention(document)
    weights = read_weights(directory)
    if not any(name.startswith("bert.") for name in weights):  # transformers saves an encoder alone without the prefix
        weights = {f"bert.{name}": tensor for name, tensor in weights.items()}
    return BigBirdConfig(**document), weights


def refuse_other_families(document: Mapping[str, Any], checkpoint: str) -> None:
    """Refuse to train another encoder than a BigBird.

    Raises:
        CheckpointError: its config.json names another family.
    """
    if document.get("model_type") != "big_bird":
        raise CheckpointError(
            f"{checkpoint} holds a {document.get('model_type')!r} model, and only a big_bird can be trained; `nagayomi "
            "warm-start` turns a BERT, RoBERTa or XLM-R into one."
        )


def refuse_full_attention(document: Mapping[str, Any]) -> None:
    """Refuse a BigBird that was trained with full attention, because its layers here are block-sparse.

    Raises:
        CheckpointError: its config.json names another attention.
    """
    attention = document.get("attention_type", "block_sparse")
    if attention != "block_sparse":
        raise CheckpointError(
            f"config.json names the attention_type {attention!r}, and only 'block_sparse' is supported: longer texts "
            "would get other results. Texts of up to (5 + 2 * num_random_blocks) * block_size tokens get the same: if "
            "no text is longer, write 'block_sparse' there."
        )


def read_weights(directory: Path) -> Mapping[str, Tensor]:
    """The named tensors of model.safetensors or, weights only, of pytorch_model.bin (sharded or not).

    Checkpoints from TensorFlow call the parameters of layer norms gamma and beta; they get the names of today.

    Raises:
        CheckpointError: there are no weights, or a .bin holds more than tensors.
    """
    for name, read in (("model.safetensors", _read_safetensors), ("pytorch_model.bin", _read_bin)):
        index = directory / f"{name}.index.json"
        if index.exists():
            weights: dict[str, Tensor] = {}
            for shard in _shards(index):
                weights |= read(directory / shard)
            return _of_today(weights)
        if (directory / name).exists():
            return _of_today(read(directory / name))
    raise CheckpointError(f"{directory} has neither model.safetensors nor pytorch_model.bin.")


def _of_today(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    named = ((*name.rpartition("."), tensor) for name, tensor in weights.items())
    return {f"{stem}{dot}{_NAMES_BEFORE.get(last, last)}": tensor for stem, dot, last, tensor in named}


def _shards(index: Path) -> list[str]:
    """Names of the files that the index of a sharded checkpoint lists."""
    try:
        shards = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{index.name} is not the index of a sharded checkpoint.") from error
    for shard in shards:
        if not isinstance(shard, str) or Path(shard).name != shard:
            raise CheckpointError(f"{index.name} names a file outside its directory: {shard}")
        if not (index.parent / shard).is_file():
            raise CheckpointError(f"{index.name} names {shard}, which is missing.")
    return shards


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    refuse_lfs_pointer(path)
    try:
        return from_stored(load_file(path))
    except (OSError, SafetensorError, ValueError) as error:
        raise CheckpointError(f"{path.name} cannot be read: {error}.") from error


def _read_bin(path: Path) -> dict[str, Tensor]:
    refuse_lfs_pointer(path)
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{path.name} holds more than tensors and is not loaded: it could run code.") from error
    except (OSError, EOFError, RuntimeError) as error:
        raise CheckpointError(f"{path.name} cannot be read: {error}") from error
    if not isinstance(weights, dict):
        raise CheckpointError(f"{path.name} holds a {type(weights).__name__}, not named tensors.")
    return {name: tensor for name, tensor in weights.items() if isinstance(tensor, Tensor)}
