import random

import pytest

from training.metrics import (
    best_over_references,
    character_f1,
    exact_match,
    greedy_oracle,
    normalise_answer,
    rouge_l,
    rouge_n,
)


@pytest.mark.parametrize(
    ("text", "normalised"),
    [
        ("京都。", "京都"),
        ("京都。。", "京都"),
        (" 京都\n", "京都"),
        ("JR西日本", "jr西日本"),
        ("京。都", "京。都"),
        ("京都．", "京都．"),
        ("。", ""),
        ("", ""),
    ],
)
def test_answers_are_normalised_as_jsquad_does(text: str, normalised: str) -> None:
    assert normalise_answer(text) == normalised


def test_exact_match_is_after_normalisation() -> None:
    assert exact_match("JR。", "jr") == 1.0
    assert exact_match("京都", "京都府") == 0.0


@pytest.mark.parametrize(
    ("prediction", "reference", "f1"),
    [
        ("京都", "京都", 1.0),
        ("京都府", "京都", 0.8),  # precision 2/3, recall 1
        ("東京", "京都", 0.5),  # one character in common of two and two
        ("都京", "京都", 1.0),  # characters are a bag
        ("ああ", "あ", 2 / 3),  # each counts once
        ("大阪", "京都", 0.0),
        ("", "京都", 0.0),
        ("京都", "", 0.0),
        ("", "", 1.0),
        ("。", "", 1.0),
    ],
)
def test_character_f1(prediction: str, reference: str, f1: float) -> None:
    assert character_f1(prediction, reference) == pytest.approx(f1)


def test_the_best_reference_counts() -> None:
    assert best_over_references("京都府", ["大阪", "京都", "京都府。"]) == (1.0, 1.0)
    assert best_over_references("京都府", ["大阪", "京都"]) == pytest.approx((0.0, 0.8))
    assert best_over_references("", []) == (1.0, 1.0)
    assert best_over_references("京都", []) == (0.0, 0.0)


def test_rouge_n() -> None:
    # Bigrams: あい いう うえ against あい いう: two in common of three and two.
    assert rouge_n("あいうえ", "あいう", 2) == pytest.approx(0.8)
    assert rouge_n("あい うえ\n", "あいう", 2) == pytest.approx(0.8)
    assert rouge_n("あいうえ", "あいう", 1) == pytest.approx(6 / 7)
    assert rouge_n("あ", "あ", 2) == 0.0
    assert rouge_n("", "あい", 1) == 0.0


def _plain_rouge_l(a: str, b: str) -> float:
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            table[i + 1][j + 1] = table[i][j] + 1 if x == y else max(table[i][j + 1], table[i + 1][j])
    common = table[-1][-1]
    return 2 * common / (len(a) + len(b)) if common else 0.0


def test_rouge_l_is_the_longest_common_subsequence() -> None:
    assert rouge_l("いろはに", "いはに") == pytest.approx(6 / 7)
    assert rouge_l("", "い") == rouge_l("い", "") == rouge_l("い", "ろ") == 0.0
    rng = random.Random(1)
    for _ in range(300):
        a, b = ("".join(rng.choices("いろはに𠮷", k=rng.randint(1, 90))) for _ in range(2))
        assert rouge_l(a, b) == pytest.approx(_plain_rouge_l(a, b))


def test_the_oracle_takes_what_raises_the_score_most_and_stops() -> None:
    sentences = ["無関係な文。", "京都は都であった。", "寺が多い。", "京都は都"]
    # "京都は都であった" gives 7 of 11 bigrams at once; "寺が多い" gives 3 more; nothing else helps.
    assert greedy_oracle(sentences, "京都は都であった寺が多い", 3) == [1, 2]
    assert greedy_oracle(sentences, "京都は都であった寺が多い", 1) == [1]
    assert greedy_oracle(sentences, "犬と猫", 3) == []
    assert greedy_oracle([], "京都", 3) == []


def test_the_oracle_takes_the_first_of_equal_sentences() -> None:
    assert greedy_oracle(["同じ文", "同じ文"], "同じ文", 3) == [0]
