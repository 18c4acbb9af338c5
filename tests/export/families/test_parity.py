"""Every family and head gives the logits of transformers, alone and packed, with sharp random weights."""

from typing import Any

import pytest
import torch
from transformers import ModernBertConfig

from app.packing import pack
from app.types import Task
from export.check_parity import cut, difference, document, reference_logits, reference_of
from export.encoder import EncoderModel, PackedModel
from export.families.deberta import DebertaV2
from export.families.modernbert import ModernBert, layer_kinds, rope_thetas, window_bias
from export.families.open_provence import OpenProvence
from export.families.registry import FAMILIES
from export.sharp import sharp_model
from export.trace import attention_layout

# transformers' ModernBERT and DeBERTa use parts of torch that say that they are deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script.* is deprecated:DeprecationWarning")

BOUND = 1e-4
LENGTHS = (1, 63, 64, 65, 300, 512)
LONG = (1, 64, 65, 513, 1500)  # of families that read more: spans of four blocks, whole and not
CASES = [
    (family, task)
    for family in FAMILIES
    if family not in ("big_bird", "open_provence")
    for task in FAMILIES[family].architectures
]


def logits_of(model: EncoderModel, lengths: tuple[int, ...]) -> list[list[Any]]:
    layout = attention_layout(model, "hf-eval")
    batch = pack([document(length, model.task) for length in lengths], layout)
    with torch.no_grad():
        outputs = PackedModel(model)(**{name: torch.from_numpy(batch.inputs[name]) for name in model.packed_inputs()})
    return [cut([out.numpy() for out in outputs], batch, index, model.task) for index in range(len(lengths))]


@pytest.mark.parametrize(("family", "task"), CASES)
def test_every_head_gives_the_logits_of_transformers(family: str, task: Task) -> None:
    check(sharp_model(family, task))


@pytest.mark.parametrize("task", ["classify", "multiple-choice"])
def test_a_modernbert_that_reads_the_mean_of_a_document(task: Task) -> None:
    check(sharp_model("modernbert", task, classifier_pooling="mean"))


def test_a_modernbert_with_other_windows_and_fewer_full_layers() -> None:
    check(sharp_model("modernbert", "qa", layers=3, local_attention=40, global_attn_every_n_layers=2))


def test_without_spans_keys_are_gathered_head_by_head() -> None:
    """What graphs for GPUs do."""
    model = sharp_model("modernbert", "token-classification")
    wanted = logits_of(model, LONG)
    model.for_gpus = True
    assert "full_table" in model.packed_inputs()
    for ours, theirs in zip(logits_of(model, LONG), wanted, strict=True):
        assert difference(ours, theirs) <= 1e-5


def check(model: EncoderModel) -> None:
    reference, task = reference_of(model), model.task
    lengths = LONG if model.max_tokens > 512 else LENGTHS
    for length, together in zip(lengths, logits_of(model, lengths), strict=True):
        (alone,) = logits_of(model, (length,))
        wanted = reference_logits(reference, task, "hf-eval", document(length, task))
        assert difference(alone, wanted) <= BOUND, length
        assert difference(together, wanted) <= BOUND, length
        assert difference(together, alone) <= 1e-5, length


def test_the_bound_would_notice_a_wrong_first_position() -> None:
    model = sharp_model("roberta", "qa")
    wanted = reference_logits(reference_of(model), "qa", "hf-eval", document(65, "qa"))
    shifted = FAMILIES["roberta"](model.config, "qa", 0)
    shifted.load_state_dict(model.state_dict())
    (ours,) = logits_of(shifted.eval(), (65,))
    assert difference(ours, wanted) > 100 * BOUND


def test_the_bound_would_notice_a_window_that_is_one_token_wider() -> None:
    model = sharp_model("modernbert", "qa")
    (before,) = logits_of(model, (300,))
    model.window_bias = window_bias(63, 64)
    (after,) = logits_of(model, (300,))
    assert difference(before, after) > BOUND


def test_both_forms_of_a_modernbert_configuration() -> None:
    """That of transformers 4 and that of 5."""
    old = sharp_model("modernbert", "qa", layers=4).config
    new = ModernBertConfig(
        num_hidden_layers=4,
        layer_types=["full_attention", "sliding_attention", "sliding_attention", "full_attention"],
        rope_parameters={
            "full_attention": {"rope_type": "default", "rope_theta": 160_000.0},
            "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
        },
    )
    assert layer_kinds(old) == layer_kinds(new) == ("full", "local", "local", "full")
    assert rope_thetas(old) == rope_thetas(new) == {"full": 160_000.0, "local": 10_000.0}
    new.rope_parameters["full_attention"]["rope_type"] = "yarn"
    with pytest.raises(ValueError, match="Rotary positions of the type 'yarn'"):
        rope_thetas(new)


def test_a_window_wider_than_a_block_is_refused() -> None:
    with pytest.raises(ValueError, match="attend 128 tokens to each side; at most 64"):
        sharp_model("modernbert", "qa", local_attention=256)


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_evidence_reads_the_states_before_the_final_norm(pooling: str) -> None:
    check(sharp_model("open_provence", "evidence", classifier_pooling=pooling))


def test_the_bound_would_notice_evidence_from_the_states_after_the_final_norm() -> None:
    model = sharp_model("open_provence", "evidence")
    assert isinstance(model, OpenProvence)
    (before,) = logits_of(model, (65,))
    assert isinstance(model.ranking_model, ModernBert)
    norm = model.ranking_model.model.final_norm
    model.pruning_head.register_forward_pre_hook(lambda _, inputs: (norm(inputs[0]),))
    (after,) = logits_of(model, (65,))
    assert difference(before, after) > 100 * BOUND


@pytest.mark.parametrize(
    "changes",
    [
        {"conv_kernel_size": 3, "conv_act": "gelu"},  # of v2: lengths of whole blocks stand next to each other
        {"share_att_key": False, "norm_rel_ebd": "none", "type_vocab_size": 2, "position_biased_input": True},
        {"pos_att_type": ["c2p"], "position_buckets": -1, "max_relative_positions": 128},
    ],
)
def test_forms_of_deberta(changes: dict[str, Any]) -> None:
    check(sharp_model("deberta-v2", "token-classification", **changes))


def test_the_bound_would_notice_distances_of_the_wrong_sign() -> None:
    model = sharp_model("deberta-v2", "qa")
    assert isinstance(model, DebertaV2)
    (before,) = logits_of(model, (130,))
    model.distances.for_keys = model.distances.for_queries
    (after,) = logits_of(model, (130,))
    assert difference(before, after) > 10 * BOUND


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"relative_attention": False}, "Only a DeBERTa with relative attention"),
        ({"max_position_embeddings": 2048}, "more than 1024 positions"),
        ({"conv_kernel_size": 5}, "Only a convolution over three tokens"),
    ],
)
def test_what_no_deberta_here_has(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        sharp_model("deberta-v2", "qa", **changes)
