"""The families that can be exported, by the `model_type` of config.json, and models read from their checkpoints."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError

from app.types import Task
from export.checkpoint import CheckpointError, read_config, read_weights, refuse_full_attention
from export.encoder import EncoderModel
from export.families.bert import Bert
from export.families.deberta import DebertaV2
from export.families.luke import Luke
from export.families.modernbert import ModernBert
from export.families.open_provence import OpenProvence
from export.families.roberta import Roberta, XlmRoberta
from export.model import BigBird
from export.weights import load_weights

FAMILIES: Mapping[str, type[EncoderModel]] = {
    "big_bird": BigBird,
    "bert": Bert,
    "roberta": Roberta,
    "xlm-roberta": XlmRoberta,
    "luke": Luke,
    "modernbert": ModernBert,
    "deberta-v2": DebertaV2,
    "open_provence": OpenProvence,
}


_WRITERS = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")  # how classes with a decoder are named


def family_of(document: Mapping[str, Any]) -> type[EncoderModel]:
    """The family that a config.json names.

    Raises:
        CheckpointError: the family is not one of `FAMILIES`, or needs code of its own; the message names all families.
    """
    name = str(document.get("model_type"))
    families = f"Supported are {', '.join(sorted(FAMILIES))}."
    if name in FAMILIES and not document.get("is_decoder"):
        return FAMILIES[name]
    if document.get("auto_map"):
        raise CheckpointError(f"The checkpoint ({name!r}) comes with code of its own, which is never run. {families}")
    if name in ("longformer", "led"):
        raise CheckpointError(
            f"The checkpoint ({name!r}) attends within windows around every token, not within blocks. {families}"
        )
    architectures = document.get("architectures") or ()
    if document.get("is_decoder") or any(str(one).endswith(_WRITERS) for one in architectures):
        raise CheckpointError(f"The checkpoint ({name!r}) has a decoder; only encoders are supported. {families}")
    raise CheckpointError(f"The checkpoint is of the family {name!r}. {families}")


def build_model(document: Mapping[str, Any], task: Task, first_position: int | None = None) -> EncoderModel:
    """A model of the family and configuration of a config.json, its weights not yet loaded.

    Raises:
        CheckpointError: the family is not supported or has no head for the task, the first position is wrong, or the
            configuration asks for something that is not supported.
    """
    family = family_of(document)
    if task not in family.architectures:
        heads = ", ".join(family.architectures)
        raise CheckpointError(f"{document['model_type']} has no head for {task}; it has those for {heads}.")
    if family is BigBird:
        refuse_full_attention(document)
    with _naming_config(document):
        config = family.config_class(**document)
    if task == "rerank" and config.num_labels != 1:
        raise CheckpointError(f"A reranker has one label; this checkpoint has {config.num_labels}.")
    if task == "summarize" and config.num_labels != 1:
        raise CheckpointError(
            "A summarizer has one label, whose logit says how well a token's sentence fits a summary; this checkpoint "
            f"has {config.num_labels}. --task token-classification --layout padded exports it for other programs."
        )
    if family is OpenProvence:
        return OpenProvence(config, task, build_model(reranker_of(config.base_model_config), "rerank"))
    if first_position is None:
        with _naming_config(document):
            return family(config, task)
    if not issubclass(family, Bert):
        raise CheckpointError(
            f"The positions of {document['model_type']} always begin at 0; leave out --first-position."
        )
    if not 0 <= first_position < config.max_position_embeddings:
        raise CheckpointError(f"The first position must be from 0 to {config.max_position_embeddings - 1}.")
    with _naming_config(document):
        return family(config, task, first_position)


@contextmanager
def _naming_config(document: Mapping[str, Any]) -> Iterator[None]:
    """Report every error inside as an error of the configuration."""
    try:
        yield
    except CheckpointError:
        raise
    # The last one is what transformers 5 raises for a value of a wrong type.
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        MemoryError,
        RuntimeError,
        TypeError,
        ValueError,
        StrictDataclassError,
    ) as error:
        raise CheckpointError(f"config.json is not one of a {document['model_type']}: {error}") from error


def reranker_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration inside an OpenProvence's, with one label, whatever number it names."""
    return {**document, "num_labels": 1, "id2label": {0: "LABEL_0"}, "label2id": {"LABEL_0": 0}}


def read_model(directory: Path, task: Task, first_position: int | None = None) -> EncoderModel:
    """The model of a checkpoint with the head of a task, in eval mode.

    Args:
        first_position: None: the one with which this program exported the checkpoint, or else the family's.

    Raises:
        CheckpointError: there are no weights, or weights of the task are missing; see also `build_model`.
    """
    document = read_config(directory)
    if first_position is None:
        first_position = document.get("nagayomi", {}).get("first_position")
    model = build_model(document, task, first_position)
    load_weights(model, read_weights(directory))
    return model.eval()
