"""`nagayomi warm-start`: makes a BigBird checkpoint from a BERT, RoBERTa or XLM-R encoder, without training.

BigBird (Zaheer et al. 2020) and Longformer (Beltagy et al. 2020) both came from RoBERTa in this way: all weights stay,
and the learned positions repeat until there are enough. Up to the positions of the source, the states of the new
encoder equal those of the source; beyond them, it needs training.

With a corpus, the vocabulary loses the pieces that the corpus does not use (training/pruned_vocabulary.py). This module
knows weights, and trains nothing.
"""

import argparse
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import torch
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm
from transformers import BigBirdConfig

from app.types import NormaliserName, SegmenterName
from export.checkpoint import CheckpointError, locate, read_weights
from training.corpus import corpus_texts, read_texts, text_files
from training.pruned_vocabulary import WarmStartError, pruned

# Families with the encoder of BERT, and the prefix of their weights in a checkpoint with a head.
PREFIXES = {"bert": "bert.", "roberta": "roberta.", "xlm-roberta": "roberta."}
_NEEDED_KEYS = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "pad_token_id")
BLOCK_SIZE = 64


@dataclass(frozen=True)
class Source:
    """An encoder from its directory: configuration, weights without prefix, and tokenizer.json."""

    config: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    tokenizer: dict[str, Any]


def read_source(encoder: str) -> Source:
    """Read a transformers directory, or download a hub id.

    Raises:
        WarmStartError: the encoder is of another family, has relative positions, or lacks a file.
    """
    try:
        directory = locate(encoder)
        config = _json_object(directory / "config.json")
        weights = read_weights(directory)
        file = directory / "tokenizer.json"
        tokenizer = _json_object(file) if file.exists() else None
    except (CheckpointError, OSError, ValueError) as error:
        raise WarmStartError(f"The encoder {encoder} cannot be read: {error}") from error
    family = config.get("model_type")
    if family not in PREFIXES:
        raise WarmStartError(
            f"{encoder} belongs to the family {family!r}; a warm start supports {', '.join(PREFIXES)}."
        )
    if config.get("position_embedding_type", "absolute") != "absolute":
        raise WarmStartError(f"{encoder} has relative positions; a BigBird needs learned absolute ones.")
    if tokenizer is None:
        raise WarmStartError(
            f"{encoder} has no tokenizer.json. transformers writes one: save its fast tokenizer there."
        )
    if missing := [name for name in _NEEDED_KEYS if not isinstance(config.get(name), int)]:
        raise WarmStartError(f"The config.json of {encoder} lacks {', '.join(missing)}.")
    prefix = PREFIXES[family]
    bare = {name.removeprefix(prefix): tensor.float() for name, tensor in weights.items()}
    if "embeddings.word_embeddings.weight" not in bare:
        raise WarmStartError(f"{encoder} has no word embeddings of a {family} encoder among its weights.")
    return Source(config, bare, tokenizer)


def _json_object(file: Path) -> dict[str, Any]:
    content = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"{file.name} does not hold a JSON object")
    return content


def bigbird_config(source: Source, vocab_size: int, positions: int, token_types: int) -> BigBirdConfig:
    """The configuration of the BigBird for the weights of this source."""
    config = source.config
    separator = _special_id(source.tokenizer, "[SEP]", "</s>")
    first = _special_id(source.tokenizer, "[CLS]", "<s>")
    return BigBirdConfig(
        vocab_size=vocab_size,
        hidden_size=config["hidden_size"],
        num_hidden_layers=config["num_hidden_layers"],
        num_attention_heads=config["num_attention_heads"],
        intermediate_size=config["intermediate_size"],
        hidden_act=config.get("hidden_act", "gelu"),
        hidden_dropout_prob=config.get("hidden_dropout_prob", 0.1),
        attention_probs_dropout_prob=config.get("attention_probs_dropout_prob", 0.1),
        max_position_embeddings=positions,
        type_vocab_size=token_types,
        initializer_range=config.get("initializer_range", 0.02),
        layer_norm_eps=config.get("layer_norm_eps", 1e-12),
        rescale_embeddings=False,
        use_bias=True,
        attention_type="block_sparse",
        block_size=BLOCK_SIZE,
        num_random_blocks=3,
        pad_token_id=config["pad_token_id"],
        bos_token_id=first,
        cls_token_id=first,
        eos_token_id=separator,
        sep_token_id=separator,
    )


def _special_id(tokenizer: Mapping[str, Any], *names: str) -> int:
    for token in tokenizer.get("added_tokens", []):
        if token["content"] in names:
            return int(token["id"])
    raise WarmStartError(f"The tokenizer has none of the special tokens {', '.join(names)}.")


def repeated_positions(source: Tensor, first: int, count: int) -> Tensor:
    """`count` positions: the rows of the source from `first` on, repeated. (count, hidden)"""
    usable = source[first:]
    return usable[torch.arange(count) % len(usable)]


def bigbird_weights(source: Source, kept: list[int], positions: int, token_types: int) -> dict[str, Tensor]:
    """The weights under BigBird's names.

    Args:
        kept: the rows of the source's vocabulary in the order of the new one.

    Raises:
        WarmStartError: the checkpoint lacks a weight of the encoder.
    """
    weights = source.weights
    # RoBERTa's positions begin after the padding id: create_position_ids_from_input_ids of transformers.
    first = 0 if source.config["model_type"] == "bert" else int(source.config["pad_token_id"]) + 1
    try:
        types = weights["embeddings.token_type_embeddings.weight"]
        words = weights["embeddings.word_embeddings.weight"]
        if max(kept) >= len(words):
            raise WarmStartError(f"The tokenizer has {max(kept) + 1} pieces, the encoder {len(words)} embeddings.")
        changed = {
            "embeddings.word_embeddings.weight": words[kept],
            "embeddings.position_embeddings.weight": repeated_positions(
                weights["embeddings.position_embeddings.weight"], first, positions
            ),
            # Additional rows are copies of the source's first, so that all types behave alike at first.
            "embeddings.token_type_embeddings.weight": torch.cat(
                [types[:token_types], types[:1].expand(max(0, token_types - len(types)), -1)]
            ),
        }
        names = ["embeddings.LayerNorm.weight", "embeddings.LayerNorm.bias"]
        for layer in range(source.config["num_hidden_layers"]):
            for part in (
                *(f"attention.self.{name}" for name in ("query", "key", "value")),
                *("attention.output.dense", "attention.output.LayerNorm"),
                *("intermediate.dense", "output.dense", "output.LayerNorm"),
            ):
                names += [f"encoder.layer.{layer}.{part}.weight", f"encoder.layer.{layer}.{part}.bias"]
        unchanged = {name: weights[name] for name in names}
    except KeyError as error:
        raise WarmStartError(f"The encoder lacks the weight {error.args[0]}.") from error
    return {f"bert.{name}": tensor.contiguous() for name, tensor in (changed | unchanged).items()}


def _texts(files: Iterable[Path]) -> Iterator[str]:
    for path in files:
        if path.is_dir() and (path / "jaquad").is_dir():
            yield from corpus_texts(path)
            continue
        for file in text_files(path):
            yield from read_texts(file)


def warm_start(
    encoder: str,
    out: Path,
    *,
    corpus: Iterable[Path] = (),
    positions: int = 4096,
    token_types: int = 3,
    segmenter: SegmenterName = "none",
    normaliser: NormaliserName = "nfkc",
) -> dict[str, int]:
    """Write a BigBird checkpoint; see the module. Returns its sizes.

    Raises:
        WarmStartError: the encoder or a number cannot be used.
        DataError: the corpus cannot be read.
    """
    for name, number, least in (("positions", positions, BLOCK_SIZE), ("token types", token_types, 1)):
        if number < least:
            raise WarmStartError(f"{number} {name} are too few; at least {least} are needed.")
    source = read_source(encoder)
    tokenizer = source.tokenizer
    files = list(corpus)
    if files:
        texts = tqdm(_texts(files), desc="counting pieces", unit=" texts")
        tokenizer, kept = pruned(tokenizer, texts, segmenter=segmenter, normaliser=normaliser)
    elif segmenter != "none":
        raise WarmStartError("--segmenter needs --corpus: the pieces must fit the words of the segmenter.")
    else:
        kept = list(range(len(source.weights["embeddings.word_embeddings.weight"])))
    new = Source(source.config, source.weights, tokenizer)
    config = bigbird_config(new, len(kept), positions, token_types)
    if source.config["pad_token_id"] not in kept:
        raise WarmStartError(
            "The padding piece was removed, because the tokenizer does not list it among its added tokens."
        )
    config.pad_token_id = kept.index(source.config["pad_token_id"])
    weights = bigbird_weights(source, kept, positions, token_types)
    out.mkdir(parents=True, exist_ok=True)
    save_file(weights, out / "model.safetensors", metadata={"format": "pt"})
    document = config.to_dict() | {
        "architectures": ["BigBirdModel"],
        "nagayomi": {"segmenter": segmenter, "normaliser": normaliser},
    }
    (out / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False) + "\n", encoding="utf-8")
    (out / "config.json").write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return {"weights": sum(tensor.numel() for tensor in weights.values()), "pieces": len(kept), "positions": positions}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--encoder", required=True, metavar="DIR_OR_HUB_ID", help="a BERT, RoBERTa or XLM-R encoder")
    parser.add_argument("--out", type=Path, required=True, help="folder of the BigBird checkpoint to write")
    parser.add_argument(
        "--corpus",
        type=Path,
        nargs="+",
        default=[],
        metavar="PATH",
        help="texts (.txt or .jsonl files, folders of them, or a folder of data sets): keep only the pieces they use",
    )
    parser.add_argument(
        "--positions", type=int, default=4096, metavar="N", help="longest text in tokens (default: 4096)"
    )
    parser.add_argument(
        "--token-types",
        type=int,
        default=3,
        metavar="N",
        help="3 lets questions mark the words that they share with the text",
    )
    parser.add_argument(
        "--segmenter",
        choices=get_args(SegmenterName),
        default="none",
        help="with --corpus: cut pieces at the words of this segmenter (default: none)",
    )
    parser.add_argument("--normaliser", choices=get_args(NormaliserName), default="nfkc", help="(default: nfkc)")


def run(args: argparse.Namespace) -> int:
    sizes = warm_start(
        args.encoder,
        args.out,
        corpus=args.corpus,
        positions=args.positions,
        token_types=args.token_types,
        segmenter=args.segmenter,
        normaliser=args.normaliser,
    )
    print(json.dumps({"out": str(args.out), **sizes}))
    return 0
