"""Random models of every family whose attention is far from uniform: a wrong key then changes the logits.

The comparison with transformers (export/check_parity.py) and the tests use them. This module does not know
files.
"""

from typing import Any

import torch

from app.types import Task
from export.encoder import EncoderModel
from export.families.open_provence import OpenProvence, OpenProvenceConfig
from export.families.registry import FAMILIES
from export.weights import initialise

VOCABULARY, CLS, SEP = 1000, 2, 3
LABELS: dict[Task, int] = {"qa": 2, "summarize": 1, "rerank": 1}  # the other tasks have 3

_OWN: dict[str, dict[str, Any]] = {
    "big_bird": {"max_position_embeddings": 4096, "type_vocab_size": 3},
    "bert": {"max_position_embeddings": 512, "type_vocab_size": 2},
    "roberta": {"max_position_embeddings": 514, "type_vocab_size": 1, "pad_token_id": 1, "layer_norm_eps": 1e-12},
    "xlm-roberta": {"max_position_embeddings": 514, "type_vocab_size": 1, "pad_token_id": 1, "layer_norm_eps": 1e-5},
    "luke": {
        "max_position_embeddings": 514,
        "type_vocab_size": 1,
        "pad_token_id": 1,
        "layer_norm_eps": 1e-5,
        "entity_vocab_size": 5,
    },
}
_OWN["modernbert"] = {
    "max_position_embeddings": 8192,
    "norm_eps": 1e-5,
    "attention_dropout": 0.0,
    "attn_implementation": "eager",
    "reference_compile": False,
}
_OWN["deberta-v2"] = {
    "max_position_embeddings": 512,
    "relative_attention": True,
    "position_buckets": 256,
    "position_biased_input": False,
    "pos_att_type": ["c2p", "p2c"],
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "type_vocab_size": 0,
}
_QUERIES_AND_KEYS = ("query.weight", "key.weight", "query_proj.weight", "key_proj.weight")


def sharp_model(
    family: str, task: Task, hidden: int = 64, layers: int = 2, heads: int = 2, std: float = 0.1, **changes: Any
) -> EncoderModel:
    """A model with the head of a task, in eval mode. The same arguments give the same weights.

    An `open_provence` is one over a ModernBERT, to which `changes` belong.
    """
    if family == "open_provence":
        ranking = sharp_model("modernbert", "rerank", hidden, layers, heads, std, **changes)
        evidence = OpenProvence(OpenProvenceConfig(base_model_config=ranking.config.to_dict()), task, ranking)
        classifier = evidence.pruning_head.classifier
        with torch.no_grad():
            # The states before the final norm are larger than those after it: with the whole `std` the logits would be
            # above 10, and rounding alone would move them by 1e-4.
            classifier.weight.normal_(0.0, std / 2, generator=torch.Generator().manual_seed(11))
            classifier.bias.zero_()
        return evidence.eval()
    config = FAMILIES[family].config_class(
        **{
            "vocab_size": VOCABULARY,
            "hidden_size": hidden,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "intermediate_size": 4 * hidden,
            "num_labels": LABELS.get(task, 3),
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
            "pad_token_id": 0,
            "bos_token_id": CLS,
            "eos_token_id": SEP,
            "cls_token_id": CLS,
            "sep_token_id": SEP,
            **_OWN[family],
            **changes,
        }
    )
    model = FAMILIES[family](config, task)
    initialise(model, seed=11, std=std)
    sharpen(model)
    return model.eval()


@torch.no_grad()
def sharpen(model: EncoderModel) -> None:
    """Scale queries and keys, so that a wrong key changes the logits.

    Scores get a deviation of 11 at base width. With sharper attention rounding dominates: at 20, the logits of
    transformers in fp32 are 6e-5 away from its own in fp64.
    """
    for name, parameter in model.named_parameters():
        if name.endswith(_QUERIES_AND_KEYS):
            parameter.mul_(3.0)
        elif name.endswith("Wqkv.weight"):
            parameter[: 2 * parameter.shape[1]].mul_(3.0)
