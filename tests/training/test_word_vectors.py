import numpy as np

from training.word_vectors import co_occurrences, vectors_from


def test_near_pairs_count_more_than_far_ones() -> None:
    counts = co_occurrences(np.array([1, 2, 3]), vocabulary=4, window=2).toarray()
    assert counts.tolist() == [
        [0.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 1.0, 0.5],
        [0.0, 1.0, 0.0, 1.0],
        [0.0, 0.5, 1.0, 0.0],
    ]


def test_words_of_like_surroundings_come_out_alike() -> None:
    rng = np.random.default_rng(0)
    # 10 and 11 stand for each other beside 1 to 4; 12 stands beside 5 to 8.
    text: list[int] = []
    for _ in range(3000):
        if rng.random() < 0.5:
            text += [int(rng.integers(1, 5)), int(rng.choice([10, 11])), int(rng.integers(1, 5)), 0, 0, 0, 0, 0]
        else:
            text += [int(rng.integers(5, 9)), 12, int(rng.integers(5, 9)), 0, 0, 0, 0, 0]
    vectors = vectors_from(co_occurrences(np.array(text), vocabulary=14), dimensions=4)
    assert vectors.shape == (14, 4)
    unit = vectors[10:13] / np.linalg.norm(vectors[10:13], axis=1, keepdims=True)
    assert unit[0] @ unit[1] > 0.95
    assert unit[0] @ unit[2] < 0.5
    assert vectors[13].tolist() == [0.0] * 4  # never occurred
