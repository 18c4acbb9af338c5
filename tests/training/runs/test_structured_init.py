import numpy as np
import pytest
import torch
from transformers import BigBirdConfig

from app.types import Task
from export.model import BigBird
from export.weights import initialise
from training.runs.structured_init import POSITION_WIDTH, structured_start

LENGTH = 40


def model_of(hidden: int = 128, heads: int = 2, task: Task = "qa") -> BigBird:
    config = BigBirdConfig(
        vocab_size=50,
        hidden_size=hidden,
        num_hidden_layers=2,
        num_attention_heads=heads,
        intermediate_size=64,
        max_position_embeddings=4096,
        type_vocab_size=3,
    )
    model = BigBird(config, task)
    initialise(model, seed=0)
    return model.eval()


def attention_of_first_layer(model: BigBird, ids: list[int], first_position: int) -> list[torch.Tensor]:
    """Softmax of every head, (L, L) each, with full attention."""
    inputs = torch.tensor([ids])
    positions = torch.arange(first_position, first_position + len(ids)).unsqueeze(0)
    hidden = model.bert.embeddings(inputs, torch.zeros_like(inputs), positions)[0]
    attention = model.bert.encoder.get_submodule("layer.0.attention.self")
    query, key = (attention.get_submodule(name)(hidden).split(64, dim=-1) for name in ("query", "key"))
    return [torch.softmax(q @ k.T / 8, dim=-1) for q, k in zip(query, key, strict=True)]


@pytest.mark.parametrize("first_position", [0, 4000])
def test_the_first_heads_look_at_the_neighbours_wherever_they_stand(first_position: int) -> None:
    model = model_of()
    structured_start(model, None, seed=1)
    before, after = attention_of_first_layer(model, list(range(5, 5 + LENGTH)), first_position)
    places = torch.arange(LENGTH)
    assert (before.argmax(dim=1) == places - 1)[1:].float().mean() > 0.9
    assert (after.argmax(dim=1) == places + 1)[:-1].float().mean() > 0.9


def test_one_head_looks_at_the_same_word() -> None:
    model = model_of(hidden=256, heads=4)
    structured_start(model, None, seed=1)
    ids = [7, 8, 9, 10, 7, 11]
    like = attention_of_first_layer(model, ids, 0)[3]
    assert sorted(like[0].topk(2).indices.tolist()) == [0, 4]
    assert like[1].argmax() == 1


def test_word_vectors_keep_their_angles_and_padding_stays_zero() -> None:
    model = model_of()
    vectors = np.random.default_rng(0).normal(size=(50, 80)).astype(np.float32)
    vectors[9] = 0.0  # never seen
    structured_start(model, vectors, seed=1)
    weight = model.bert.embeddings.word_embeddings.weight.data
    words = torch.nn.functional.normalize(weight[:, : 128 - POSITION_WIDTH], dim=1)
    wanted = torch.nn.functional.normalize(torch.from_numpy(vectors[:, : 128 - POSITION_WIDTH]), dim=1)
    seen = [5, 6, 7, 8, 10]
    assert torch.allclose(words[seen] @ words[seen].T, wanted[seen] @ wanted[seen].T, atol=1e-5)
    assert weight[0].abs().sum() == 0
    assert words[9].norm().item() == pytest.approx(1.0)


def test_a_classifier_hands_on_the_average_of_its_words() -> None:
    """What the last head of the last layer adds to [CLS] points where the mean of the words' vectors does."""
    model = model_of(task="classify")
    vectors = np.random.default_rng(0).normal(size=(50, 64)).astype(np.float32)
    structured_start(model, vectors, seed=1)
    words = slice(0, 128 - POSITION_WIDTH)
    ids = torch.tensor([5, 6, 7, 8])
    hidden = model.get_parameter("bert.embeddings.word_embeddings.weight").data[ids]  # (4, 128), no positions
    attention = "bert.encoder.layer.1.attention"
    values = model.get_submodule(f"{attention}.self.value")(hidden)[:, 64:].mean(
        dim=0
    )  # the last head looks at all alike
    added = model.get_parameter(f"{attention}.output.dense.weight").data[:, 64:] @ values
    assert torch.cosine_similarity(added[words], hidden.mean(dim=0)[words], dim=0) > 0.99


@pytest.mark.parametrize(("hidden", "heads"), [(64, 1), (128, 4)])
def test_too_narrow_a_model_is_refused(hidden: int, heads: int) -> None:
    with pytest.raises(ValueError, match="heads of at least 64 dimensions"):
        structured_start(model_of(hidden, heads), None, seed=1)


def test_vectors_of_another_vocabulary_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit an embedding"):
        structured_start(model_of(), np.ones((51, 64), dtype=np.float32), seed=1)
