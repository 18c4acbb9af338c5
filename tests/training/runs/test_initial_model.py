"""The model that a run starts from: the row of the padding token, and the layer on top of those of a checkpoint."""

from pathlib import Path

import numpy as np
import pytest
import tokenizers
import torch
from safetensors.torch import save_file
from tokenizers import models
from transformers import BigBirdConfig

from app.block_tables import AttentionLayout
from app.packing import Document, pack
from app.text.tokenizer import Tokenizer
from export.model import BigBird, packed_inputs, tables_from
from export.weights import initialise
from tests.training.conftest import write_json
from training.config import ConfigError, FinetuneConfig
from training.runs.initial_model import start_model


@pytest.fixture
def tokenizer(character_tokenizer_file: Path) -> Tokenizer:
    return Tokenizer.load(character_tokenizer_file, normaliser="none", segmenter="none")


@pytest.fixture
def checkpoint(tmp_path: Path, tokenizer: Tokenizer) -> Path:
    shape = BigBirdConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
    )
    model = BigBird(shape, "qa")
    initialise(model, 1)
    save_file(
        {name: tensor.contiguous() for name, tensor in model.state_dict().items()}, tmp_path / "model.safetensors"
    )
    write_json(tmp_path / "config.json", model.saved_config())
    return tmp_path


def _config(checkpoint: str) -> FinetuneConfig:
    return FinetuneConfig.model_validate(
        {
            "task": "classify",
            "checkpoint": checkpoint,
            "tokenizer": "tokenizer.json",
            "dropout": 0.0,
            "pooling_layer": True,
            "sets": [{"reader": "labelled", "data": "texts.jsonl"}],
        }
    )


@pytest.mark.parametrize(("lowest", "layers"), [(0, 3), (1, 2)])
def test_the_pooling_layer_adds_the_mean_of_all_states_to_cls(
    checkpoint: Path, tokenizer: Tokenizer, lowest: int, layers: int
) -> None:
    model = start_model(
        _config(str(checkpoint)), "classify", tokenizer, 3, token_types=2, layers=lowest, pooling_layer=True
    ).eval()
    assert len(model.bert.encoder.layer) == layers
    given: list[torch.Tensor] = []
    model.bert.encoder.layer[-1].register_forward_hook(lambda _, inputs, __: given.append(inputs[0]))
    layout = AttentionLayout(model.config.block_size, model.config.num_random_blocks)
    texts = ([2, 5, 6, 7, 3], [2, *[5, 6, 7] * 300, 3])  # five tokens, and more than fit full rows
    batch = pack([Document(np.array(ids, np.int32), np.zeros(len(ids), np.int32)) for ids in texts], layout)
    inputs = {name: torch.from_numpy(batch.inputs[name]) for name in packed_inputs("classify", layout.pattern)}
    with torch.no_grad():
        states = model.bert(inputs["input_ids"], inputs["token_type_ids"], inputs["position_ids"], tables_from(inputs))
    for place in batch.documents:
        own = given[0][0, place]  # (n, hidden)
        pooled = own[0] + own.mean(0)
        wanted = torch.nn.functional.layer_norm(pooled, pooled.shape, eps=model.config.layer_norm_eps)
        assert torch.allclose(states[0, place.start], wanted, atol=1e-4)


def test_queries_of_the_pooling_layer_can_learn(checkpoint: Path, tokenizer: Tokenizer) -> None:
    """Queries of 0 get no gradient from keys of 0."""
    top = start_model(_config(str(checkpoint)), "classify", tokenizer, 3, token_types=2, pooling_layer=True)
    weights = top.bert.encoder.layer[-1].state_dict()
    assert torch.count_nonzero(weights["attention.self.query.weight"]) == 0
    assert torch.count_nonzero(weights["attention.self.key.weight"]) == 16 * 16


@pytest.mark.parametrize(
    ("special", "row_of_zeros"),
    [
        (("[PAD]", "[UNK]", "[CLS]", "[SEP]"), 0),
        (("<s>", "<pad>", "</s>", "<unk>"), 1),
        (("[CLS]", "[SEP]", "[UNK]"), None),
    ],
)
def test_only_the_row_of_the_padding_token_is_never_learned(special: tuple[str, ...], row_of_zeros: int | None) -> None:
    pieces = tokenizers.Tokenizer(
        models.WordLevel({piece: row for row, piece in enumerate((*special, "駅"))}, unk_token=special[-1])
    )
    tokenizer = Tokenizer(pieces, normaliser="none", segmenter="none")
    config = FinetuneConfig.model_validate(
        {"task": "qa", "tokenizer": "t", "hidden": 16, "heads": 2, "sets": [{"reader": "squad", "data": "d.json"}]}
    )
    model = start_model(config, "qa", tokenizer, 2, token_types=2)
    words = model.bert.embeddings.word_embeddings
    words(torch.arange(tokenizer.vocab_size)).sum().backward()
    assert words.weight.grad is not None
    untrained = [row for row, gradient in enumerate(words.weight.grad) if not gradient.any()]
    assert untrained == ([] if row_of_zeros is None else [row_of_zeros])
    assert model.saved_config()["pad_token_id"] == row_of_zeros


def test_a_pooling_layer_without_a_checkpoint_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(ConfigError, match=r"pooling_layer goes on top of the layers of a checkpoint; this run has no"):
        start_model(_config(""), "classify", tokenizer, 3, token_types=2, pooling_layer=True)
