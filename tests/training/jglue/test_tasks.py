"""The readers of JGLUE on made files in the form of the real ones, and its measures next to other counts."""

import math
import random
from pathlib import Path

import numpy as np
import pytest

from tests.training.conftest import squad, write_json, write_jsonl
from training.data import DataError, QuestionExample
from training.jglue.tasks import (
    ChoiceExample,
    Reader,
    TaskName,
    TextExample,
    check_apart,
    read_examples,
    score_answers,
    score_classes,
    score_similarities,
)

PAIR: dict[str, object] = {
    "sentence_pair_id": "0",
    "yjcaptions_id": "1-2-3",
    "sentence1": "犬が走る。",
    "sentence2": "犬。",
}
QUESTION: dict[str, object] = {"q_id": 0, "question": "鳴くのは?"} | {
    f"choice{i}": name for i, name in enumerate("犬山川寺橋")
}


@pytest.mark.parametrize(
    ("task", "record", "example"),
    [
        ("marc-ja", {"review_id": "R1", "sentence": "良い本。", "label": "positive"}, TextExample("良い本。", None, 1)),
        (
            "jcola",
            {"uid": 1, "sentence": "犬が走る。", "label": 1},
            TextExample("犬が走る。", None, 1),
        ),
        ("jsts", PAIR | {"label": 3.8}, TextExample("犬が走る。", "犬。", 3.8)),
        ("jnli", PAIR | {"label": "neutral"}, TextExample("犬が走る。", "犬。", 2)),
        ("jcommonsenseqa", QUESTION | {"label": 4}, ChoiceExample("鳴くのは?", tuple("犬山川寺橋"), 4)),
    ],
)
def test_a_record_is_an_example(task: TaskName, record: dict[str, object], example: object, tmp_path: Path) -> None:
    assert read_examples(task, write_jsonl(tmp_path / "d.json", [record])) == [example]


def test_jsquad_is_squad(tmp_path: Path) -> None:
    file = write_json(tmp_path / "d.json", squad({"寺": [("寺 [SEP] 寺は古い。", [("何が古い?", "寺")])]}))
    assert read_examples("jsquad", file) == [
        QuestionExample("寺-0-0", "何が古い?", "寺 [SEP] 寺は古い。", (("寺", 0),), "寺")
    ]


def test_jnli_neg_gives_pairs_of_jnli(tmp_path: Path) -> None:
    record = {
        "id": 1,
        "sentence1": {"sentence": "犬。"},
        "sentence2": {"sentence": "猫。"},
        "gold_label": "contradiction",
    }
    file = write_jsonl(tmp_path / "d.jsonl", [record])
    assert read_examples("jnli", file, "jnli-neg") == [TextExample("犬。", "猫。", 1)]


def test_jsick_gives_the_japanese_columns_of_its_training_rows(tmp_path: Path) -> None:
    file = tmp_path / "jsick.tsv"
    file.write_text(
        "pair_ID\tdata\tsentence_A_Ja\tsentence_B_Ja\tentailment_label_Ja\trelatedness_score_Ja\n"
        '1\ttrain\t"犬"が走る\t犬が走る\tentailment\t4.5\n2\ttest\t山\t川\tneutral\t1\n',
        encoding="utf-8",
    )
    assert read_examples("jnli", file, "jsick") == [TextExample('"犬"が走る', "犬が走る", 0)]
    assert read_examples("jsts", file, "jsick") == [TextExample('"犬"が走る', "犬が走る", 4.5)]


@pytest.mark.parametrize(
    ("task", "reader", "record", "message"),
    [
        (
            "marc-ja",
            None,
            {"sentence": "本", "label": "neutral"},
            "the label is 'neutral'; allowed are",
        ),
        ("jcola", None, {"sentence": "本", "label": 2}, "the label is 2; allowed are 0 and 1"),
        ("jcola", None, {"sentence": "本", "label": True}, '"label" is missing or has the wrong type'),
        ("jcola", None, ["本", 1], '"sentence" is missing or has the wrong type'),
        ("jsts", None, PAIR | {"label": 5.1}, "the similarity is 5.1; it is a number from 0 to 5"),
        ("jsts", None, PAIR | {"label": math.nan}, "the similarity is nan"),
        ("jsts", None, {"sentence1": "犬", "label": 1.0}, '"sentence2" is missing or has the wrong type'),
        ("jnli", None, PAIR | {"label": "maybe"}, "allowed are entailment, contradiction, neutral"),
        ("jnli", "jnli-neg", PAIR | {"gold_label": "neutral"}, '"sentence1" is missing or has the wrong type'),
        ("jnli", "jsick", PAIR, "expected the columns data, sentence_A_Ja, sentence_B_Ja and entailment_label_Ja"),
        ("jcommonsenseqa", None, QUESTION | {"label": 5}, "the label is 5; allowed are 0 to 4"),
        ("jsquad", None, {"version": 1}, 'SQuAD JSON has a list under "data"'),
        ("jcola", "jsick", {}, "The reader jsick has no examples for the task jcola"),
    ],
)
def test_errors_are_sentences(
    task: TaskName, reader: Reader | None, record: object, message: str, tmp_path: Path
) -> None:
    file = write_jsonl(tmp_path / "d.json", [record, record] if reader == "jsick" else [record])
    with pytest.raises(DataError) as caught:
        read_examples(task, file, reader)
    assert message in str(caught.value)


def test_an_empty_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no examples"):
        read_examples("jsts", write_jsonl(tmp_path / "d.json", []))


def test_scored_items_must_not_be_learned() -> None:
    train = [TextExample("犬", "猫", 0), TextExample("山", "川", 1)]
    check_apart(train, [TextExample("犬", "山", 0)], "train.json")
    with pytest.raises(DataError, match=r"^1 examples of train.json are in the validation file too"):
        check_apart(train, [TextExample("川", "山", 2)], "train.json")


def test_the_correlations_are_those_of_their_definitions() -> None:
    rng = np.random.default_rng(1)
    wanted = rng.integers(0, 26, 200) / 5  # ties, as in JSTS
    predicted = wanted + rng.normal(size=200)

    def ranks(values: np.ndarray) -> np.ndarray:
        return np.array([(values < value).sum() + ((values == value).sum() + 1) / 2 for value in values])

    scores = score_similarities(predicted, wanted)
    assert scores["pearson"] == pytest.approx(np.corrcoef(predicted, wanted)[0, 1])
    assert scores["spearman"] == pytest.approx(np.corrcoef(ranks(predicted), ranks(wanted))[0, 1])


def test_the_correlation_with_a_constant_is_zero() -> None:
    assert score_similarities(np.ones(3), np.array([1.0, 2.0, 3.0])) == {"pearson": 0.0, "spearman": 0.0}


def test_matthews_correlation_is_that_of_its_definition() -> None:
    rng = random.Random(1)
    wanted = [rng.randint(0, 1) for _ in range(100)]
    predicted = [label if rng.random() < 0.7 else 1 - label for label in wanted]
    counts = {
        (p, w): sum(pair == (p, w) for pair in zip(predicted, wanted, strict=True)) for p in (0, 1) for w in (0, 1)
    }
    tp, tn, fp, fn = counts[1, 1], counts[0, 0], counts[1, 0], counts[0, 1]
    expected = (tp * tn - fp * fn) / math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    assert score_classes(predicted, wanted) == pytest.approx({"accuracy": (tp + tn) / 100, "mcc": expected})
    assert score_classes([1, 1], [1, 1]) == {"accuracy": 1.0, "mcc": 0.0}
    assert score_classes([1, 1], [0, 1]) == {"accuracy": 0.5, "mcc": 0.0}


def test_answers_are_scored_against_the_best_reference() -> None:
    examples = [
        QuestionExample("1", "", "", (("京都", 0), ("京都府", 0))),
        QuestionExample("2", "", "", (("JR西日本", 0),)),
        QuestionExample("3", "", "", (("大阪", 0),)),
    ]
    assert score_answers(["京都府。", "jr西日本", "京都"], examples) == pytest.approx({"em": 2 / 3, "f1": 2 / 3})
