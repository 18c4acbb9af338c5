"""Word vectors that know the classes of a data set: the structured start of a classifier.

A logistic regression on the mean of a text's pieces, each weighted by its inverse document frequency squared, gives
every piece a weight for every class. These weights go before the dimensions of ordinary word vectors, so that an
attention head that averages the words of a text (training/runs/structured_init.py) holds what the regression knows,
before the first step of training. Only the training split is read. Knows nothing of models.

    python -m training.topic_vectors --config training/configs/classify-1-topics.toml --data ../shared/data \
        --word-vectors runs/word-vectors.npy --out runs/topic-vectors.npy
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression
from tqdm import tqdm

from app.text.tokenizer import Tokenizer
from app.types import FloatArray
from training.config import read_config
from training.finetune.examples import labelled_split

REGULARISATION = 100.0  # C of the regression: of 10, 30 and 100 the best on held-out articles
SHARE = 0.5  # root mean square of the class weights over the words of a text, where the other dimensions have length 1
LONGEST = 3.0  # times that: rarer and stronger words count no more


def mean_of_pieces(texts: Sequence[npt.NDArray[np.int32]], vocabulary: int) -> sp.csr_matrix:
    """How large a share of each text each piece is. (texts, vocabulary)"""
    starts = np.cumsum([0, *map(len, texts)])
    ones = np.ones(starts[-1], dtype=np.float32)
    counts = sp.csr_matrix((ones, np.concatenate(texts), starts), shape=(len(texts), vocabulary))
    counts.sum_duplicates()
    return sp.diags_array(1 / np.maximum(np.diff(starts), 1)) @ counts


def class_weights(shares: sp.csr_matrix, labels: Sequence[str]) -> FloatArray:
    """What one occurrence of each piece says for each class, classes in order of their names. (vocabulary, classes)"""
    frequency = np.bincount(shares.indices, minlength=shares.shape[1])
    weights = (np.log((1 + shares.shape[0]) / (1 + frequency)) + 1) ** 2
    features = shares @ sp.diags_array(weights)
    scale = 1 / np.sqrt(features.multiply(features).sum() / shares.shape[0])
    regression = LogisticRegression(C=REGULARISATION, max_iter=300, class_weight="balanced")
    regression.fit(features * scale, labels)
    per_piece = regression.coef_ * weights * scale  # (classes, vocabulary)
    return np.asarray((per_piece - per_piece.mean(axis=0)).T, dtype=np.float32)


def joined(of_classes: FloatArray, words: FloatArray, frequency: FloatArray) -> FloatArray:
    """Class weights before word vectors of length 1, in the proportion `SHARE`. (vocabulary, classes + dimensions)

    Args:
        frequency: how often each piece occurs; only proportions matter. (vocabulary,)
    """
    length = np.linalg.norm(of_classes, axis=1)
    typical = np.sqrt(np.average(length**2, weights=frequency))
    of_classes = of_classes * (SHARE / typical) * np.minimum(1, LONGEST * typical / np.maximum(length, 1e-12))[:, None]
    known = np.linalg.norm(words, axis=1, keepdims=True)
    return np.concatenate([of_classes, words / np.where(known > 0, known, 1)], axis=1).astype(np.float32)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m training.topic_vectors", description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, required=True, help="configuration of the classifier's fine-tuning")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key of the config")
    parser.add_argument("--data", type=Path, required=True, help="folder of data sets")
    parser.add_argument("--word-vectors", type=Path, required=True, help=".npy of `python -m training.word_vectors`")
    parser.add_argument("--out", type=Path, required=True, help=".npy to write")
    args = parser.parse_args()
    config = read_config(args.config, args.set)
    tokenizer = Tokenizer.load(Path(config.tokenizer), normaliser=config.normaliser, segmenter=config.segmenter)
    examples, _ = labelled_split(config.reader, args.data / config.data, config.held_out_percent)
    texts = [tokenizer.encode(example.text).ids for example in tqdm(examples, desc="tokenising", file=sys.stderr)]
    shares = mean_of_pieces(texts, tokenizer.vocab_size)
    weights = class_weights(shares, [example.label for example in examples])
    frequency = np.bincount(np.concatenate(texts), minlength=tokenizer.vocab_size).astype(np.float32)
    vectors = joined(weights, np.load(args.word_vectors, allow_pickle=False)[: tokenizer.vocab_size], frequency)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    np.save(args.out, vectors)
    print(json.dumps({"texts": len(texts), "classes": weights.shape[1], "shape": vectors.shape, "file": str(args.out)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
