"""Shared by all tests: settings, and a store of tiny models with random weights, exported in seconds."""

import os
import warnings
from pathlib import Path

import pytest
from hypothesis import settings

# Matrices of tiny models are too small for two threads, which only wait for each other. Set before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No test asserts wall-clock time, and an example may run while the machine is busy.
settings.register_profile("nagayomi", deadline=None)
settings.load_profile("nagayomi")

VOCABULARY_TEXT = (
    "東京は日本の首都である。東京都は関東地方に位置し、人口は約千四百万人である。京都は千年以上のあいだ都であった。"
    "夏目漱石は明治時代の小説家で、「吾輩は猫である」を書いた。富士山の高さは3776メートルである。"
    "大阪城は豊臣秀吉が1583年に築いた城である。日本語の長い文書を読むためのソフトウェアです。"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """End-to-end tests last: a broken part is named by its own test first."""
    items.sort(key=lambda item: "tests/e2e/" in item.nodeid)


@pytest.fixture(scope="session")
def tiny_tokenizer_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from training.vocabulary import train_unigram, word_counts

    counts = word_counts([VOCABULARY_TEXT] * 4, "nfkc", "mecab-jumandic")
    file = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    train_unigram(counts, vocab_size=300, character_coverage=1.0).save(str(file))
    return file


@pytest.fixture(scope="session")
def tiny_store(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer_file: Path) -> Path:
    """A model store with tiny-qa, tiny-classify and tiny-summarize: 2 layers x 32, 4,096 positions, random weights."""
    import shutil

    from transformers import BigBirdConfig

    from app.text.tokenizer import Tokenizer
    from export.model import BigBird
    from export.to_onnx import ExportOptions, export
    from export.weights import initialise
    from training.config import DataSet, FinetuneConfig, TrainingTask
    from training.finetune.checkpoint import save_checkpoint

    tokenizer = Tokenizer.load(tiny_tokenizer_file, normaliser="nfkc", segmenter="mecab-jumandic")
    store = tmp_path_factory.mktemp("model_store")
    labels = {"classify": ("BLD", "HST", "PNM")}
    tasks: tuple[TrainingTask, ...] = ("qa", "classify", "summarize")
    for task in tasks:
        config = FinetuneConfig(
            task=task,
            tokenizer="tokenizer.json",
            normaliser="nfkc",
            segmenter="mecab-jumandic",
            sets=(DataSet(reader="", data=""),),
        )
        shape = BigBirdConfig(
            vocab_size=tokenizer.vocab_size,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=4096,
            type_vocab_size=2 if task == "classify" else 3,
            num_labels={"qa": 2, "classify": 3, "summarize": 1}[task],
            initializer_range=0.3,
            pad_token_id=0,
            cls_token_id=tokenizer.cls_id,
            sep_token_id=tokenizer.sep_id,
        )
        model = BigBird(shape, task)
        initialise(model, seed=7)
        checkpoint = tmp_path_factory.mktemp(f"checkpoint-{task}")
        save_checkpoint(checkpoint, model, config, labels.get(task, ()), {})
        shutil.copyfile(tiny_tokenizer_file, checkpoint / "tokenizer.json")
        metadata = {"licence": "Apache-2.0", "label_names": {"HST": "歴史"} if task == "classify" else {}}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch.onnx warns of its own insides
            export(
                str(checkpoint),
                store / f"tiny-{task}",
                ExportOptions(task=task, name=f"tiny-{task}", metadata=metadata),
            )
    return store
