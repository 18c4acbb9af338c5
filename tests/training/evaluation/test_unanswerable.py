import math
import random

import pytest
from sklearn.metrics import roc_auc_score

from training.data import DataError, QuestionExample
from training.evaluation.unanswerable import NEAREST, auroc, unrelated


def _question(document: str, length: int, number: int = 0) -> QuestionExample:
    return QuestionExample(f"{document}-{number}", "何?", document + "あ" * (length - 1), (("あ", 1),), document)


def test_a_question_meets_another_document_of_about_its_length() -> None:
    own = _question("甲", 100)
    near = [_question(chr(0x4E00 + number), 90 + 2 * number) for number in range(NEAREST)]
    far = [_question(chr(0x5000 + number), length) for number, length in enumerate((10, 50, 300, 1000))]
    same = [_question("甲", 101, number=1)]
    (paired,) = unrelated([own], [own, *near, *far, *same])
    assert paired.context in {example.context for example in near}
    assert (paired.id, paired.question, paired.answers) == ("甲-0", "何?", ())
    assert paired.document == paired.context[0]


def test_the_pairing_does_not_depend_on_what_else_is_scored() -> None:
    pool = [_question(chr(0x4E00 + number), 100 + number % 7) for number in range(60)]
    paired = unrelated(pool, pool)
    assert unrelated(pool[20:30], random.Random(1).sample(pool, 60)) == paired[20:30]
    assert len({example.context for example in paired}) > 10


@pytest.mark.parametrize("length", [10, 1000])
def test_the_shortest_and_the_longest_document_find_one_too(length: int) -> None:
    pool = [_question(chr(0x4E00 + number), 100) for number in range(3)]
    (paired,) = unrelated([_question("甲", length)], [*pool, _question("甲", length)])
    assert len(paired.context) == 100


def test_one_document_is_not_enough() -> None:
    pool = [_question("甲", 10), _question("甲", 20, number=1)]
    with pytest.raises(DataError, match="the data holds only one"):
        unrelated(pool, pool)


def test_auroc() -> None:
    assert auroc([0.1, 0.2], [0.3, 0.4]) == 1.0
    assert auroc([0.3, 0.4], [0.1, 0.2]) == 0.0
    assert auroc([0.5, 0.5], [0.5, 0.5]) == 0.5
    assert auroc([0.1, 0.3], [0.2, 0.4]) == 0.75
    assert auroc([0.1, 0.3], [0.3]) == roc_auc_score([0, 0, 1], [0.1, 0.3, 0.3]) == 0.75
    rng = random.Random(3)
    own, other = ([round(rng.gauss(at, 1), 1) for _ in range(70)] for at in (0, 0.7))
    assert auroc(own, other) == pytest.approx(roc_auc_score([0] * 70 + [1] * 70, [*own, *other]))
    assert math.isnan(auroc([], [0.5]))
    assert math.isnan(auroc([0.5], []))
