"""Supported checkpoints, and the errors for others."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.cli import main
from app.types import Task
from export.checkpoint import CheckpointError
from export.families.registry import FAMILIES, build_model, family_of


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_found_by_its_model_type(name: str) -> None:
    assert family_of({"model_type": name}) is FAMILIES[name]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}, "'llama'\\) has a decoder; only encoders"),
        ({"model_type": "bert", "is_decoder": True}, "'bert'\\) has a decoder"),
        ({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}, "'gpt2'\\) has a decoder"),
        ({"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]}, "'t5'\\) has a decoder"),
        ({"model_type": "led", "architectures": ["LEDForConditionalGeneration"]}, "attends within windows"),
        (
            {"model_type": "nomic_bert", "auto_map": {"AutoModel": "x.y"}},
            "code of its own, which is never run",
        ),
        ({"model_type": "longformer"}, "attends within windows around every token, not within blocks"),
        ({"model_type": "t5"}, "of the family 't5'"),
        ({}, "of the family 'None'"),
    ],
)
def test_an_unsupported_family_is_named_with_the_supported_ones(document: dict[str, Any], words: str) -> None:
    with pytest.raises(CheckpointError, match=words) as raised:
        family_of(document)
    assert str(raised.value).endswith(f"Supported are {', '.join(sorted(FAMILIES))}.")


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}, "('gpt2') has a decoder; only encoders"),
        ({"model_type": "llama", "architectures": ["LlamaForCausalLM"]}, "('llama') has a decoder; only encoders"),
        ({"model_type": "longformer", "architectures": ["LongformerModel"]}, "('longformer') attends within windows"),
        ({"model_type": "jina", "auto_map": {"AutoModel": "m.M"}}, "('jina') comes with code of its own"),
        ({"model_type": "distilbert"}, "of the family 'distilbert'"),
    ],
)
def test_the_command_says_it_before_anything_is_written(
    document: dict[str, Any], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(document))
    assert main(["export", "--checkpoint", str(tmp_path), "--task", "qa", "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
    assert line.endswith(f"Supported are {', '.join(sorted(FAMILIES))}.")
    assert not (tmp_path / "out").exists()


def test_relative_positions_of_bert_are_refused() -> None:
    document = {"model_type": "bert", "position_embedding_type": "relative_key"}
    with pytest.raises(ValueError, match="'relative_key' positions; only absolute ones"):
        build_model(document, "qa")


@pytest.mark.parametrize(
    ("task", "words"), [("rerank", "A reranker has one label"), ("summarize", "A summarizer has one label")]
)
def test_a_head_of_several_labels_is_refused_where_the_service_reads_one(task: Task, words: str) -> None:
    with pytest.raises(CheckpointError, match=f"{words}.*; this checkpoint has 2"):
        build_model({"model_type": "bert", "id2label": {0: "O", 1: "KEEP"}}, task)


@pytest.mark.parametrize(("first", "longest"), [(None, 512), (0, 514), (2, 512)])
def test_the_first_position_of_a_roberta(first: int | None, longest: int) -> None:
    document = {"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1, "hidden_size": 8}
    assert build_model(document | {"num_attention_heads": 1}, "qa", first).max_tokens == longest


def test_a_first_position_must_be_one() -> None:
    with pytest.raises(CheckpointError, match="must be from 0 to 513"):
        build_model({"model_type": "roberta", "max_position_embeddings": 514}, "qa", 514)
    with pytest.raises(CheckpointError, match="The positions of big_bird always begin at 0"):
        build_model({"model_type": "big_bird"}, "qa", 1)


def test_a_bigbird_with_full_attention_is_refused() -> None:
    with pytest.raises(CheckpointError, match="names the attention_type 'original_full', and only 'block_sparse' is"):
        build_model({"model_type": "big_bird", "attention_type": "original_full"}, "qa")
