"""`nagayomi warm-start`: makes a BigBird checkpoint from a BERT, RoBERTa or XLM-R encoder, without training.

BigBird (Zaheer et al. 2020) and Longformer (Beltagy et al. 2020) both came from RoBERTa in this way: all weights stay,
and the learned positions repeat until there are enough. Up to the positions of the source, the states of the new
encoder equal those of the source; beyond them, it needs training.

With a corpus, the vocabulary loses the pieces that the corpus does not use (training/pruned_vocabulary.py). This module
knows weights, and trains nothing.
"""

import argparse
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor
from tqdm import tqdm
from transformers import BigBirdConfig

from app.types import NormaliserName, SegmenterName
from export.checkpoint import CheckpointError, locate, read_config, read_weights
from export.tokenizer_files import read_tokenizer
from export.weights_file import write_weights
from training.corpus import texts_under
from training.pruned_vocabulary import WarmStartError, pruned

# Families with the encoder of BERT, and the prefix of their weights in a checkpoint with a head.
PREFIXES = {"bert": "bert.", "roberta": "roberta.", "xlm-roberta": "roberta."}
_NEEDED_KEYS = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "pad_token_id")
BLOCK_SIZE = 64


@dataclass(frozen=True)
class Source:
    """An encoder from its directory: configuration, weights without prefix, tokenizer.json, and how it cuts words."""

    config: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    tokenizer: dict[str, Any]
    segmenter: SegmenterName | None  # None: its pieces stand for words, and no file names the segmenter
    normaliser: NormaliserName | None  # None: no file says it
    first_position: int  # the row of the first token's position


def read_source(encoder: str) -> Source:
    """Read a transformers directory, or download a hub id.

    Raises:
        WarmStartError: the encoder is of another family, has relative positions, or lacks a file.
    """
    try:
        directory = locate(encoder)
        config = read_config(directory)
    except CheckpointError as error:
        raise WarmStartError(f"The encoder {encoder} cannot be read: {error}") from error
    family = config.get("model_type")
    if family not in PREFIXES:
        raise WarmStartError(
            f"{encoder} belongs to the family {family!r}; a warm start supports {', '.join(PREFIXES)}."
        )
    if config.get("position_embedding_type", "absolute") != "absolute":
        raise WarmStartError(f"{encoder} has relative positions; a BigBird needs learned absolute ones.")
    if missing := [name for name in _NEEDED_KEYS if not isinstance(config.get(name), int)]:
        raise WarmStartError(f"The config.json of {encoder} lacks {', '.join(missing)}.")
    try:
        weights, files = read_weights(directory), read_tokenizer(directory)
    except CheckpointError as error:
        raise WarmStartError(f"The encoder {encoder} cannot be read: {error}") from error
    prefix = PREFIXES[family]
    bare = {name.removeprefix(prefix): tensor.float() for name, tensor in weights.items()}
    if "embeddings.word_embeddings.weight" not in bare:
        raise WarmStartError(f"{encoder} has no word embeddings of a {family} encoder among its weights.")
    noted = config.get("nagayomi")
    notes: dict[str, Any] = noted if isinstance(noted, dict) else {}  # of an encoder that this program exported
    # RoBERTa's positions begin after the padding id: create_position_ids_from_input_ids of transformers.
    first = 0 if family == "bert" else config["pad_token_id"] + 1
    return Source(
        config,
        bare,
        json.loads(files.pieces.to_str()),
        notes.get("segmenter", files.segmenter),
        notes.get("normaliser", files.normaliser),
        notes.get("first_position", first),
    )


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
        WarmStartError: the checkpoint lacks a weight of the encoder, or the row of the first position.
    """
    weights = source.weights
    try:
        types = weights["embeddings.token_type_embeddings.weight"]
        words = weights["embeddings.word_embeddings.weight"]
        if max(kept) >= len(words):
            raise WarmStartError(f"The tokenizer has {max(kept) + 1} pieces, the encoder {len(words)} embeddings.")
        places, first = weights["embeddings.position_embeddings.weight"], source.first_position
        if not 0 <= first < len(places):
            raise WarmStartError(f"The first position is {first}; it must be from 0 to {len(places) - 1}.")
        changed = {
            "embeddings.word_embeddings.weight": words[kept],
            "embeddings.position_embeddings.weight": repeated_positions(places, first, positions),
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


def words_of(
    source: Source, segmenter: SegmenterName | None, normaliser: NormaliserName | None, *, prunes: bool
) -> tuple[SegmenterName, NormaliserName]:
    """The segmenter and the normaliser of the new checkpoint: those given, or else those of the source's files.

    Raises:
        WarmStartError: neither names both, or the pieces do not fit the words of the segmenter given.
    """
    said = source.segmenter
    if said is None and (segmenter is None or (normaliser or source.normaliser) is None):
        raise WarmStartError(
            "The pieces of the encoder stand for words, and its files do not say how a text is cut into them: give "
            "--segmenter and --normaliser as its card names them."
        )
    fits = segmenter in (None, said) or said is None or source.tokenizer["model"]["type"] == "WordPiece"
    if not fits and not prunes:
        raise WarmStartError(
            f"--segmenter {segmenter} needs --corpus, or an encoder with WordPiece: the files of this encoder say "
            f"{said}, and its pieces would not fit the words."
        )
    # Files that name no segmenter leave the normaliser to the pieces; this program's own step before them is NFKC.
    known = None if said == "none" else source.normaliser
    return segmenter or said or "none", normaliser or known or "nfkc"


def warm_start(
    encoder: str,
    out: Path,
    *,
    corpus: Iterable[Path] = (),
    positions: int = 4096,
    token_types: int = 3,
    segmenter: SegmenterName | None = None,
    normaliser: NormaliserName | None = None,
    first_position: int | None = None,
) -> dict[str, int]:
    """Write a BigBird checkpoint; see the module. Returns its sizes.

    Args:
        segmenter, normaliser, first_position: as the encoder was trained; None: what its files say.

    Raises:
        WarmStartError: the encoder or a number cannot be used.
        DataError: the corpus cannot be read.
    """
    for name, number, least in (("positions", positions, BLOCK_SIZE), ("token types", token_types, 1)):
        if number < least:
            raise WarmStartError(f"{number} {name} are too few; at least {least} are needed.")
    source = read_source(encoder)
    if first_position is not None:
        source = replace(source, first_position=first_position)
    tokenizer = source.tokenizer
    files = list(corpus)
    segmenter, normaliser = words_of(source, segmenter, normaliser, prunes=bool(files))
    if files:
        texts = tqdm(texts_under(files), desc="counting pieces", unit=" texts")
        tokenizer, kept = pruned(tokenizer, texts, segmenter=segmenter, normaliser=normaliser)
    else:
        kept = list(range(len(source.weights["embeddings.word_embeddings.weight"])))
    config = bigbird_config(replace(source, tokenizer=tokenizer), len(kept), positions, token_types)
    if source.config["pad_token_id"] not in kept:
        raise WarmStartError(
            "The padding piece was removed, because the tokenizer does not list it among its added tokens."
        )
    config.pad_token_id = kept.index(source.config["pad_token_id"])
    weights = bigbird_weights(source, kept, positions, token_types)
    out.mkdir(parents=True, exist_ok=True)
    write_weights(weights, out)
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
        help="cut the text into the words of this segmenter; another than the encoder's needs --corpus, which fits the "
        "pieces to its words, or WordPiece (default: what the encoder's files say)",
    )
    parser.add_argument(
        "--normaliser",
        choices=get_args(NormaliserName),
        help="(default: what the encoder's files say of a segmenter's text, else nfkc)",
    )
    parser.add_argument(
        "--first-position",
        type=int,
        metavar="ROW",
        help="of RoBERTa and its kin: the row of the first token's position, if the encoder was trained with another "
        "than transformers gives it: rinna/japanese-roberta-base needs 0",
    )


def run(args: argparse.Namespace) -> int:
    sizes = warm_start(
        args.encoder,
        args.out,
        corpus=args.corpus,
        positions=args.positions,
        token_types=args.token_types,
        segmenter=args.segmenter,
        normaliser=args.normaliser,
        first_position=args.first_position,
    )
    print(json.dumps({"out": str(args.out), **sizes}))
    return 0
