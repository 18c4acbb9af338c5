"""Tiny random encoders of every architecture read every task of JGLUE, each through its own tokenizer."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from tests.training.jglue.tiny_encoders import ARCHITECTURES, TUNED, fine_tunes_luke, save_tiny_encoder
from training.config import ConfigError
from training.data import QuestionExample
from training.jglue.encoder import Encoder, load_encoder, predict
from training.jglue.features import score, training_features, windowed_questions
from training.jglue.tasks import TASK_NAMES, ChoiceExample, Example, TaskName, TextExample
from training.warm_start import warm_start

# DeBERTa-v2's module says so when it is imported.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script.* is deprecated:DeprecationWarning")

CONTEXT = "駅は1にある。寺は2にある。城は3に　ある。"
QUESTION = QuestionExample("q", "城はどこか", CONTEXT, (("3", CONTEXT.index("3")),))
EXAMPLES: dict[str, list[Example]] = {
    "marc-ja": [TextExample("犬が走る。", None, 0), TextExample("猫。", None, 1)],
    "jcola": [TextExample("犬が走る。", None, 0), TextExample("猫。", None, 1)],
    "jsts": [TextExample("犬が走る。", "犬。", 4.5), TextExample("猫。", "森に橋がある。", 0.0)],
    "jnli": [TextExample("犬が走る。", "犬。", 0), TextExample("猫。", "森に橋がある。", 2)],
    "jsquad": [QUESTION, QuestionExample("r", "駅は", CONTEXT, (("1", 2),))],
    "jcommonsenseqa": [ChoiceExample("だれ", ("犬", "猫が走る", "山", "川", "寺"), 1)],
}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("encoders")
    return {name: save_tiny_encoder(name, folder / name) for name in ARCHITECTURES}


def _load(checkpoint: Path, task: TaskName = "jsquad", max_tokens: int = 32, **how: Any) -> Encoder:
    return load_encoder(str(checkpoint), task, how.get("normaliser", "none"), how.get("segmenter", "none"), max_tokens)


@pytest.mark.parametrize("architecture", TUNED)
@pytest.mark.parametrize("task", TASK_NAMES)
def test_every_architecture_learns_and_reads_every_task(
    task: TaskName, architecture: str, checkpoints: dict[str, Path]
) -> None:
    encoder = _load(checkpoints[architecture], task)
    features = training_features(encoder, EXAMPLES[task], doc_stride=8)
    outputs = encoder.model(**encoder.collate(features))
    outputs.loss.backward()
    assert torch.isfinite(outputs.loss)
    scores = score(encoder, EXAMPLES[task], doc_stride=8)
    assert scores["n"] == len(EXAMPLES[task])
    assert all(-1 <= value <= 1 for name, value in scores.items() if name != "n")


@pytest.mark.parametrize(
    ("architecture", "special"),
    [("big_bird", ("[PAD]", "[CLS]", "[SEP]")), ("xlm-roberta", ("<pad>", "<s>", "</s>"))],
)
def test_a_tokenizer_made_here_keeps_the_special_tokens_of_its_vocabulary(
    architecture: str, special: tuple[str, ...], checkpoints: dict[str, Path], tmp_path: Path
) -> None:
    """A warm start keeps those of its source; a piece more than the model has would be an index error."""
    checkpoint = checkpoints[architecture]
    if architecture == "xlm-roberta":
        checkpoint = tmp_path / "base"
        warm_start(str(checkpoints[architecture]), checkpoint)
    encoder = _load(checkpoint, "jcola", normaliser="nfkc")
    assert (encoder.pieces.pad_token, encoder.pieces.cls_token, encoder.pieces.sep_token) == special
    assert len(encoder.pieces) == encoder.model.config.vocab_size


@pytest.mark.parametrize("architecture", TUNED)
def test_windows_are_what_the_tokenizer_itself_makes_of_a_pair(architecture: str, checkpoints: dict[str, Path]) -> None:
    if architecture == "deberta-v2" and transformers.__version__ >= "5":
        pytest.skip("DebertaV2Tokenizer of transformers 5 leaves out the rules that normalise text")
    encoder = _load(checkpoints[architecture], max_tokens=60)
    (question,) = windowed_questions(encoder, [QUESTION], doc_stride=60)
    (window,) = question.windows
    whole = encoder.pieces(QUESTION.question, CONTEXT, return_token_type_ids=True)  # by transformers
    assert window.input_ids.tolist() == whole["input_ids"]
    if "token_type_ids" in encoder.inputs:
        assert window.token_type_ids.tolist() == whole["token_type_ids"]
    assert encoder.encode([QUESTION.question], [CONTEXT]) == [{name: whole[name] for name in encoder.inputs}]


@pytest.mark.parametrize("architecture", TUNED)
def test_answers_are_found_where_they_stand(architecture: str, checkpoints: dict[str, Path]) -> None:
    """In every window that shows it, the answer's tokens cover the answer; other windows point at their first token."""
    encoder = _load(checkpoints[architecture], max_tokens=24)
    (question,) = windowed_questions(encoder, [QUESTION], doc_stride=4)
    features = training_features(encoder, [QUESTION], doc_stride=4)
    assert len(features) == len(question.windows) > 1
    seen = set()
    for feature, window in zip(features, question.windows, strict=True):
        first, last = feature["start_positions"], feature["end_positions"]
        if first == 0:
            assert last == 0
            continue
        token = window.first_token + first - window.context_start, window.first_token + last - window.context_start
        seen.add(CONTEXT[question.context.starts[token[0]] : question.context.ends[token[1]]])
    assert seen == {"3"}


def test_a_perfect_reader_scores_one(checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = _load(checkpoints["bert"], max_tokens=24)
    marks = {(window.input_ids.tobytes()): feature for window, feature in _windows_and_features(encoder)}

    def perfect(encoder: Encoder, features: list[dict[str, Any]], what: str) -> list[np.ndarray]:
        results = []
        for feature in features:
            wanted = marks[np.array(feature["input_ids"], dtype=np.int32).tobytes()]
            logits = np.zeros((2, 40), dtype=np.float32)  # longer than any sequence, as in a padded batch
            logits[0, wanted["start_positions"]] = logits[1, wanted["end_positions"]] = 9
            results.append(logits)
        return results

    monkeypatch.setattr("training.jglue.features.predict", perfect)
    assert score(encoder, EXAMPLES["jsquad"], doc_stride=4) == {"n": 2, "em": 1.0, "f1": 1.0}


def _windows_and_features(encoder: Encoder) -> list[tuple[Any, dict[str, Any]]]:
    questions = windowed_questions(encoder, EXAMPLES["jsquad"], doc_stride=4)
    windows = [window for question in questions for window in question.windows]
    return list(zip(windows, training_features(encoder, EXAMPLES["jsquad"], doc_stride=4), strict=True))


@pytest.mark.parametrize("architecture", TUNED)
def test_a_batch_does_not_change_a_result(architecture: str, checkpoints: dict[str, Path]) -> None:
    encoder = _load(checkpoints[architecture], "jnli")
    features = training_features(encoder, EXAMPLES["jnli"], doc_stride=8)
    together = predict(encoder, features, "together")
    alone = [predict(encoder, [feature], "alone")[0] for feature in features]
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_texts_are_cut_off_at_max_tokens(checkpoints: dict[str, Path]) -> None:
    (feature,) = _load(checkpoints["big_bird"], "jnli", max_tokens=12).encode(["犬" * 30], ["猫が走る"])
    assert len(feature["input_ids"]) == 12


def test_the_longer_text_of_a_pair_is_cut_off(checkpoints: dict[str, Path]) -> None:
    encoder = _load(checkpoints["big_bird"], "jnli", max_tokens=9)  # three of them special
    long, short = encoder.encode(["犬" * 5, "犬" * 9], ["猫" * 6, "猫" * 2])
    dog, cat = (encoder.tokenizer.encode(text).ids.tolist()[0] for text in ("犬", "猫"))
    assert long["input_ids"] == [2, dog, dog, dog, 3, cat, cat, cat, 3]
    assert short["input_ids"] == [2, dog, dog, dog, dog, 3, cat, cat, 3]


def test_words_are_cut_as_the_files_of_the_tokenizer_say(tmp_path: Path) -> None:
    checkpoint = save_tiny_encoder("bert-mecab", tmp_path / "m")
    encoder = _load(checkpoint, segmenter="mecab-unidic-lite", normaliser="nfkc")
    pieces = [encoder.tokenizer.piece(token) for token in encoder.tokenizer.encode("駅はどこにあるか").ids.tolist()]
    assert pieces == encoder.pieces.tokenize("駅はどこにあるか") == ["駅", "は", "ど", "##こ", "に", "あ", "##る", "か"]
    with pytest.raises(ConfigError, match="segmenter = mecab-unidic-lite, not none: --set segmenter=mecab-unidic-lite"):
        _load(checkpoint, normaliser="nfkc")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"segmenter": "jumanpp"}, "was trained with segmenter = none, not jumanpp: --set segmenter=none"),
        ({"normaliser": "nfkc"}, "was trained with normaliser = none, not nfkc: --set normaliser=none"),
    ],
)
@pytest.mark.parametrize("architecture", ["bert", "xlm-roberta", "modernbert", "deberta-v2"])
def test_text_that_the_tokenizer_read_whole_is_neither_cut_nor_changed(
    architecture: str, how: dict[str, Any], message: str, checkpoints: dict[str, Path]
) -> None:
    with pytest.raises(ConfigError, match=message):
        _load(checkpoints[architecture], **how)


@pytest.mark.parametrize("architecture", ["bert", pytest.param("luke", marks=fine_tunes_luke), "deberta-v2"])
def test_tokens_keep_their_place_in_the_text(architecture: str, tmp_path: Path) -> None:
    text = "①駅は 2に  ある"
    notes: dict[str, Any] = {"segmenter": "mecab-jumandic", "normaliser": "nfkc"}
    tokenizer = _load(save_tiny_encoder(architecture, tmp_path / "m", nagayomi=notes), **notes).tokenizer
    tokens = tokenizer.encode(text)
    pieces = [text[start:end] for start, end in zip(tokens.starts, tokens.ends, strict=True)]
    assert "".join(dict.fromkeys(piece for piece in pieces if piece.strip())) == "①駅は2にある"
    assert len(tokenizer.encode("　\n")) == 0


@pytest.mark.parametrize(
    ("architecture", "changes", "message"),
    [
        ("bert", {"max_position_embeddings": 16}, "max_tokens is 32; .* has 16 positions"),
        ("roberta", {"max_position_embeddings": 33}, "max_tokens is 32; .* has 31 positions"),
        ("big_bird", {"vocab_size": 20}, "has 43 pieces, the model 20"),
        (
            "big_bird",
            {"nagayomi": {"segmenter": "mecab-jumandic"}},
            "was trained with segmenter = mecab-jumandic",
        ),
    ],
)
def test_what_does_not_fit_is_refused(architecture: str, changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    checkpoint = save_tiny_encoder(architecture, tmp_path / "m", **changes)
    with pytest.raises(ConfigError, match=message):
        _load(checkpoint)


def test_other_numbers_in_transformers_than_in_the_files_are_refused(
    checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLukeTokenizer of transformers 5 gives <pad> the number after the last piece. It is put on here."""
    monkeypatch.setattr("transformers.MLukeTokenizer.pad_token_id", 161, raising=False)
    monkeypatch.setattr("training.jglue.encoder.transformers.__version__", "5.24.0")
    with pytest.raises(ConfigError) as refused:
        _load(checkpoints["luke"])
    assert str(refused.value) == (
        f"transformers 5.24.0 gives <pad> of {checkpoints['luke']} the number 161, but its files say 1; LUKE needs "
        "transformers 4.57."
    )


@pytest.mark.skipif(transformers.__version__ < "5", reason="transformers 4 gives LUKE the numbers of its files")
def test_transformers_5_cannot_fine_tune_luke(checkpoints: dict[str, Path]) -> None:
    with pytest.raises(ConfigError, match="LUKE needs transformers 4"):
        _load(checkpoints["luke"])


def test_a_missing_checkpoint_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be loaded for jsquad"):
        _load(tmp_path)


def test_a_missing_segmenter_is_said_in_words(checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigError, match="--set segmenter=mecab-jumandic cuts nearly the same words"):
        _load(checkpoints["big_bird"], segmenter="jumanpp")


def test_another_segmenter_is_not_advised_where_the_checkpoint_names_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    checkpoint = save_tiny_encoder("bert", tmp_path / "m", nagayomi={"segmenter": "jumanpp"})
    with pytest.raises(ConfigError) as refused:
        _load(checkpoint, segmenter="jumanpp")
    assert "--set segmenter=mecab-jumandic" not in str(refused.value)


def test_a_question_that_leaves_no_room_is_said_in_words(checkpoints: dict[str, Path]) -> None:
    with pytest.raises(ConfigError, match="the question q has 5 tokens and leaves no room"):
        windowed_questions(_load(checkpoints["big_bird"], max_tokens=8), [QUESTION], doc_stride=4)
