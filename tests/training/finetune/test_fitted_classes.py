"""A classifier's head that is fitted before the first step."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from app.block_tables import AttentionLayout
from app.packing import Document, pack
from export.model import packed_inputs, tables_from
from tests.training.conftest import write_jsonl
from training.config import ConfigError, read_config
from training.data import DataError
from training.finetune.fitted_classes import pool_in_last_layer
from training.finetune.loop import Run

PLACES = {"water": "川海湖", "town": "駅寺城", "hill": "山森丘"}


def _run(config_file: Path, folder: Path, labels: list[str], *more: str) -> Run:
    rng = np.random.default_rng(0)
    texts: list[object] = [
        {"text": "".join(rng.choice(list(PLACES[label]), 8)), "label": label} for label in labels for _ in range(12)
    ]
    write_jsonl(folder / "texts.jsonl", texts)
    overrides = ["task=classify", "sets.0.data=texts.jsonl", "sets.0.reader=labelled", "head=fitted", "epochs=0"]
    overrides += ["sets.0.held_out_percent=0", *more]
    run = Run(read_config(config_file, overrides), folder, folder / "run")
    run.train()
    return run


def _inputs(run: Run, ids: list[list[int]]) -> tuple[dict[str, torch.Tensor], Any]:
    documents = [Document(np.array(one, np.int32), np.zeros(len(one), np.int32)) for one in ids]
    batch = pack(documents, AttentionLayout(run.model.config.block_size, run.model.config.num_random_blocks))
    names = packed_inputs("classify", "hf-eval")
    return {name: torch.from_numpy(batch.inputs[name]) for name in names}, batch.documents


@pytest.mark.parametrize("labels", [["water", "town", "hill"], ["water", "town"]])
def test_texts_of_labels_with_words_of_their_own_are_told_apart_without_a_step(
    config_file: Path, tmp_path: Path, labels: list[str]
) -> None:
    """The encoder has random weights; two labels have one row of coefficients in scikit-learn."""
    run = _run(config_file, tmp_path, labels)
    assert run.losses == []
    run.model.eval()
    for sequence in run.mixture.epoch(np.random.default_rng(1)):
        inputs, _ = _inputs(run, [sequence.document.input_ids.tolist()])
        with torch.no_grad():
            (logits,) = run.packed(**inputs)
        assert int(logits[0].argmax()) == sequence.target.label


def test_the_pooling_layer_writes_the_mean_of_its_input_into_cls(config_file: Path, tmp_path: Path) -> None:
    run = _run(config_file, tmp_path, ["water", "town"])
    model = run.model.eval()
    pool_in_last_layer(model)
    before: list[torch.Tensor] = []
    model.bert.encoder.layer[-1].register_forward_hook(lambda _, given, __: before.append(given[0]))
    inputs, places = _inputs(run, [[2, 5, 6, 7, 3], [2, *[5, 6, 7, 8, 9] * 6, 3]])
    with torch.no_grad():
        states = model.bert(inputs["input_ids"], inputs["token_type_ids"], inputs["position_ids"], tables_from(inputs))
    for place in places:
        own = before[0][0, place]
        summed = 4 * own.mean(0) + own[0]
        wanted = torch.nn.functional.layer_norm(summed, summed.shape, eps=0)
        assert torch.allclose(states[0, place.start], wanted, atol=1e-4)


def test_texts_of_one_label_are_refused(config_file: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"The 12 texts for the regression all have one label; it needs two or more\."):
        _run(config_file, tmp_path, ["water"])


def test_questions_have_no_fitted_head(config_file: Path, tmp_path: Path, places_data: Path) -> None:
    with pytest.raises(ConfigError, match='head = "fitted" is for the tasks summarize and classify'):
        Run(read_config(config_file, ["head=fitted"]), places_data, tmp_path / "run")
