from typing import Any

import numpy as np
import pytest
import torch
from transformers import BigBirdConfig

from app.block_tables import AttentionLayout
from app.packing import pack
from app.types import AttentionPattern
from export.check_parity import cut, difference, document, reference_logits, reference_of
from export.encoder import TASKS, PackedModel, activation
from export.model import BigBird, packed_inputs
from export.padded import PaddedBigBird
from export.random_plan import random_plan
from export.sharp import SEP
from export.weights import initialise, load_weights
from tests.export.tiny import tiny_model

BOUND = 1e-4


@pytest.fixture(scope="module", params=TASKS)
def pair(request: pytest.FixtureRequest) -> tuple[BigBird, Any]:
    """Our model and that of transformers, for every head."""
    model = tiny_model(request.param)
    return model, reference_of(model)


def logits_of(model: BigBird, lengths: tuple[int, ...], pattern: AttentionPattern) -> list[list[Any]]:
    plan = random_plan(model.config, 1024) if pattern == "random" else None
    docs = [document(length, model.task) for length in lengths]
    batch = pack(docs, AttentionLayout(64, 3, pattern, plan))
    names = packed_inputs(model.task, pattern)
    with torch.no_grad():
        outputs = PackedModel(model)(**{name: torch.from_numpy(batch.inputs[name]) for name in names})
    return [cut([out.numpy() for out in outputs], batch, index, model.task) for index in range(len(docs))]


@pytest.mark.parametrize("pattern", ["hf-eval", "random"])
def test_every_head_gives_the_logits_of_transformers(pair: tuple[BigBird, Any], pattern: AttentionPattern) -> None:
    model, reference = pair
    lengths = (1, 64, 65, 705)
    packed_together = logits_of(model, lengths, pattern)
    for length, together in zip(lengths, packed_together, strict=True):
        (alone,) = logits_of(model, (length,), pattern)
        wanted = reference_logits(reference, model.task, pattern, document(length, model.task))
        assert difference(alone, wanted) <= BOUND
        assert difference(together, wanted) <= BOUND
        assert difference(together, alone) <= 1e-5


def test_the_patterns_are_told_apart(pair: tuple[BigBird, Any]) -> None:
    """The bound would notice the wrong pattern."""
    model, reference = pair
    (ours,) = logits_of(model, (900,), "hf-eval")
    wanted = reference_logits(reference, model.task, "random", document(900, model.task))
    assert difference(ours, wanted) > 10 * BOUND


@pytest.mark.parametrize("lengths", [(1, 1), (40, 100), (704, 650), (900, 705), (1024, 70)])
def test_the_padded_layout_gives_the_logits_of_transformers(
    pair: tuple[BigBird, Any], lengths: tuple[int, int]
) -> None:
    model, reference = pair
    longest = max(lengths)
    ids = torch.zeros(2, longest, dtype=torch.int64)
    types, mask = torch.zeros_like(ids), torch.zeros_like(ids)
    for row, length in enumerate(lengths):
        doc = document(length, model.task)
        ids[row, :length] = torch.from_numpy(doc.input_ids.astype(np.int64))
        types[row, :length] = torch.from_numpy(doc.token_type_ids.astype(np.int64))
        mask[row, :length] = 1
    reference.eval()
    reference.bert.set_attention_type("block_sparse")
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
    with torch.no_grad():
        ours = PaddedBigBird(model, SEP)(**inputs)
        # Two documents of the batch are two choices of one example.
        choices = {name: tensor[None] for name, tensor in inputs.items()}
        wanted = reference(**(choices if model.task == "multiple-choice" else inputs))
    if model.task in ("classify", "multiple-choice"):
        assert difference([ours[0].reshape(wanted.logits.shape).numpy()], [wanted.logits.numpy()]) <= BOUND
        return
    theirs = [wanted.start_logits, wanted.end_logits] if model.task == "qa" else [wanted.logits]
    for row, length in enumerate(lengths):
        assert all(a.shape == b.shape for a, b in zip(ours, theirs, strict=True))
        real = [[x[row, :length].numpy() for x in outputs] for outputs in (ours, theirs)]
        assert difference(*real) <= BOUND


def test_weights_of_other_tasks_are_ignored_and_missing_ones_named() -> None:
    qa, classifier = tiny_model("qa"), tiny_model("classify")
    weights = {**qa.state_dict(), "classifier.something": torch.zeros(1)}
    loaded = BigBird(qa.config, "qa")
    load_weights(loaded, {name: tensor.to(torch.bfloat16) for name, tensor in weights.items()})
    assert loaded.bert.embeddings.word_embeddings.weight.dtype == torch.float32
    with pytest.raises(ValueError, match=r"lacks 4 weights that the task classify needs, first classifier\."):
        load_weights(classifier, {**weights, **_pooler(classifier)})


def _pooler(model: BigBird) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in model.state_dict().items() if "pooler" in name}


def test_initial_weights_depend_on_the_seed_only() -> None:
    first, again, other = (tiny_model("qa") for _ in range(3))
    for model, seed in ((first, 1), (again, 1), (other, 2)):
        initialise(model, seed)
    weight = first.bert.embeddings.word_embeddings.weight
    torch.testing.assert_close(weight, again.bert.embeddings.word_embeddings.weight, atol=0, rtol=0)
    assert not torch.equal(weight, other.bert.embeddings.word_embeddings.weight)
    assert not weight[first.config.pad_token_id].any()


@pytest.mark.parametrize("name", ["gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "relu"])
def test_activations_are_those_of_transformers(name: str) -> None:
    from transformers.activations import ACT2FN

    x = torch.linspace(-6, 6, 1001)
    torch.testing.assert_close(activation(name)(x), ACT2FN[name](x), atol=1e-5, rtol=0)


def test_an_unknown_activation_is_named() -> None:
    with pytest.raises(ValueError, match="activation 'swish'"):
        activation("swish")


def test_the_configuration_names_the_class_of_transformers() -> None:
    saved = tiny_model("summarize").saved_config()
    assert saved["architectures"] == ["BigBirdForTokenClassification"]
    assert BigBirdConfig(**saved).num_labels == 1
