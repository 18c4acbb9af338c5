"""Word vectors from co-occurrence counts: what `word_vectors` of a structured start reads.

Positive pointwise mutual information of pieces within five of each other, with smoothed contexts, cut to its first
singular vectors (Levy, Goldberg and Dagan 2015). Half a minute for 20 million pieces, where a language model would take
days. Knows nothing of models.

    python -m training.word_vectors --data ../shared/data --tokenizer tokenizer.json --out runs/word-vectors.npy
"""

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.sparse.linalg import svds
from tqdm import tqdm

from app.text.tokenizer import Tokenizer
from training.data import corpus_texts

WINDOW = 5
CONTEXT_POWER = 0.75
_CHUNK = 2_000_000  # pieces counted at once: bounds the memory


def co_occurrences(ids: npt.NDArray[np.int64], vocabulary: int, window: int = WINDOW) -> sp.csr_matrix:
    """How often two pieces stand within `window` of each other, weighted by 1 / distance. (vocabulary, vocabulary)"""
    counts = sp.csr_matrix((vocabulary, vocabulary), dtype=np.float32)
    for distance in range(1, window + 1):
        left, right = ids[:-distance], ids[distance:]
        for at in range(0, len(left), _CHUNK):
            pair = (left[at : at + _CHUNK], right[at : at + _CHUNK])
            weight = np.full(len(pair[0]), 1.0 / distance, dtype=np.float32)
            counts = counts + sp.csr_matrix((weight, pair), shape=counts.shape)
    return counts + counts.T


def vectors_from(counts: sp.csr_matrix, dimensions: int) -> npt.NDArray[np.float32]:
    """(vocabulary, dimensions), the strongest dimension first; zeros for pieces that never occurred."""
    pairs = counts.tocoo()
    row = np.asarray(counts.sum(axis=1)).ravel()
    context = row**CONTEXT_POWER
    context /= context.sum()
    information = np.log(pairs.data / (row[pairs.row] * context[pairs.col]))
    kept = information > 0
    matrix = sp.csr_matrix((information[kept], (pairs.row[kept], pairs.col[kept])), shape=counts.shape)
    left, singular, _ = svds(matrix.astype(np.float32), k=dimensions, random_state=0)
    order = np.argsort(-singular)
    vectors: npt.NDArray[np.float32] = (left[:, order] * np.sqrt(singular[order])).astype(np.float32)
    vectors[row == 0] = 0.0
    return vectors


def encode_texts(texts: Iterable[str], tokenizer: Tokenizer) -> npt.NDArray[np.int64]:
    """The pieces of all texts on end, [SEP] after each."""
    parts = []
    for text in texts:
        parts.append(np.asarray(tokenizer.encode(text).ids, dtype=np.int64))
        parts.append(np.array([tokenizer.sep_id], dtype=np.int64))
    return np.concatenate(parts)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m training.word_vectors", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of data sets")
    parser.add_argument("--tokenizer", type=Path, required=True, help="tokenizer.json")
    parser.add_argument("--out", type=Path, required=True, help=".npy to write")
    parser.add_argument("--dimensions", type=int, default=256, help="at least those of the model")
    args = parser.parse_args()
    tokenizer = Tokenizer.load(args.tokenizer, normaliser="nfkc", segmenter="mecab-jumandic")
    ids = encode_texts(tqdm(corpus_texts(args.data), desc="tokenising", unit=" texts", file=sys.stderr), tokenizer)
    vectors = vectors_from(co_occurrences(ids, tokenizer.vocab_size), args.dimensions)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    np.save(args.out, vectors)
    print(json.dumps({"pieces": len(ids), "shape": vectors.shape, "file": str(args.out)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
