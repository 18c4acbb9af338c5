"""Every family and head gives the logits of transformers, alone and packed, with sharp random weights."""

from typing import Any

import pytest
import torch

from app.packing import AttentionLayout, pack
from export.check_parity import cut, difference, document, reference_logits, reference_of
from export.encoder import EncoderModel, PackedModel, Task
from export.families.registry import FAMILIES
from export.sharp import sharp_model

BOUND = 1e-4
LENGTHS = (1, 63, 64, 65, 300, 512)
CASES = [(family, task) for family in FAMILIES if family != "big_bird" for task in FAMILIES[family].architectures]


def logits_of(model: EncoderModel, lengths: tuple[int, ...]) -> list[list[Any]]:
    layout = AttentionLayout(model.block_size, kinds=model.kinds)
    batch = pack([document(length, model.task) for length in lengths], layout)
    with torch.no_grad():
        outputs = PackedModel(model)(**{name: torch.from_numpy(batch.inputs[name]) for name in model.packed_inputs()})
    return [cut([out.numpy() for out in outputs], batch, index, model.task) for index in range(len(lengths))]


@pytest.mark.parametrize(("family", "task"), CASES)
def test_every_head_gives_the_logits_of_transformers(family: str, task: Task) -> None:
    model = sharp_model(family, task)
    reference = reference_of(model)
    for length, together in zip(LENGTHS, logits_of(model, LENGTHS), strict=True):
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
