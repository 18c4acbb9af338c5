"""The corpus of a pre-training run as one stream of tokens on disk, mapped into memory by every process.

A [SEP] follows each text. This module knows files and tokens, and does not know masks or models.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from filelock import FileLock
from tqdm import tqdm

from app.text.tokenizer import Tokenizer
from training.config import PretrainConfig
from training.corpus import corpus_paths, corpus_texts, read_texts, text_files
from training.data import DataError, files_under
from training.runs.folder import tokenizer_file

FORMAT = 1  # format of the files; a new number makes old files unused


@dataclass(frozen=True)
class TokenStream:
    """Arrays of shape (tokens,), mapped and not loaded. `digest` is the SHA-256 of their content."""

    ids: npt.NDArray[Any]  # uint16 or uint32
    word_starts: npt.NDArray[np.bool_]  # true at the first token of each word of the segmenter, and at every [SEP]
    digest: str

    def __len__(self) -> int:
        return len(self.ids)


def open_stream(config: PretrainConfig, data: Path, cache: Path, tokenizer: Tokenizer) -> TokenStream:
    """The tokenized texts of a run, from the folder `cache`; makes them first if the folder does not hold them.

    The key consists of the tokenizer's content and of name, size and time of the source files. Of several processes,
    one makes the stream and the others wait. A killed process leaves no stream that looks whole.

    Raises:
        DataError: a file cannot be read, or there are no tokens in it.
    """
    key = _key(config, data)
    folder = cache / key
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f"{key}.lock"):
        if not folder.exists():
            _write(cache / f"{key}.partial", _texts(config, data), tokenizer)
            os.replace(cache / f"{key}.partial", folder)
    about = json.loads((folder / "stream.json").read_text(encoding="utf-8"))
    ids = np.memmap(folder / "ids.bin", dtype=about["dtype"], mode="r")
    return TokenStream(ids, np.memmap(folder / "word_starts.bin", dtype=np.bool_, mode="r"), about["digest"])


def _texts(config: PretrainConfig, data: Path) -> Iterator[str]:
    """Every text of a run."""
    if config.corpus:
        yield from corpus_texts(data)
    for name, share in config.texts.items():
        for file in text_files(data / name):
            for text in read_texts(file):
                # The text's hash decides: the same texts on every machine and in every order.
                if int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") < share * 2**32:
                    yield text


def _write(folder: Path, texts: Iterator[str], tokenizer: Tokenizer) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    dtype = np.uint16 if tokenizer.vocab_size <= 2**16 else np.uint32
    digest = hashlib.sha256()
    tokens = 0
    with (folder / "ids.bin").open("wb") as ids, (folder / "word_starts.bin").open("wb") as word_starts:
        for text in tqdm(texts, desc=f"tokenizing into {folder.parent}", unit=" texts"):
            encoded = tokenizer.encode(text)
            if len(encoded):
                for array, end, file in (
                    (encoded.ids.astype(dtype), tokenizer.sep_id, ids),
                    (encoded.word_starts, True, word_starts),
                ):
                    content = np.append(array, array.dtype.type(end)).tobytes()
                    digest.update(content)
                    file.write(content)
                tokens += len(encoded) + 1
    if tokens == 0:
        raise DataError("The texts of the configuration do not contain a single word.")
    about = {"tokens": tokens, "dtype": np.dtype(dtype).name, "digest": digest.hexdigest()}
    (folder / "stream.json").write_text(json.dumps(about) + "\n", encoding="utf-8")


def _key(config: PretrainConfig, data: Path) -> str:
    """A name for the stream that changes with each of its sources."""
    paths = [path for root in corpus_paths(data) for path in files_under(root, "*")] if config.corpus else []
    paths += [path for name in config.texts for path in text_files(data / name)]
    files = [
        (os.path.relpath(path, data), path.stat().st_size, path.stat().st_mtime_ns) for path in paths if path.is_file()
    ]
    pieces = hashlib.sha256(tokenizer_file(config).read_bytes()).hexdigest()
    parts = [FORMAT, pieces, config.normaliser, config.segmenter, config.corpus, config.texts, files]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
