"""A tokenizer that needs no training, and a data set small enough to learn by heart."""

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from tokenizers import models, pre_tokenizers

from app.text.tokenizer import Tokenizer
from training.config import DataSet

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
CHARACTERS = "0123456789はどこにあるか。駅寺城川山町村島森橋"
PLACES = "駅寺城川山町村島森橋"


@pytest.fixture(scope="session")
def character_tokenizer_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every character is a token, so that every span of text is a span of tokens."""
    vocabulary = {piece: index for index, piece in enumerate((*SPECIAL_TOKENS, *dict.fromkeys(CHARACTERS)))}
    pieces = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    pieces.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(tokenizers.Regex("."), "isolated")]
    )
    pieces.add_special_tokens(list(SPECIAL_TOKENS))
    file = tmp_path_factory.mktemp("characters") / "tokenizer.json"
    pieces.save(str(file))
    return file


@pytest.fixture(scope="session")
def character_tokenizer(character_tokenizer_file: Path) -> Tokenizer:
    return Tokenizer.load(character_tokenizer_file, normaliser="none", segmenter="none")


def squad(articles: dict[str, list[tuple[str, list[tuple[str, str]]]]]) -> dict[str, object]:
    """SQuAD JSON from {title: [(context, [(question, answer), ...]), ...]}; an answer stands where it first occurs."""
    data = []
    for title, paragraphs in articles.items():
        entries = []
        for number, (context, questions) in enumerate(paragraphs):
            qas = [
                {
                    "id": f"{title}-{number}-{index}",
                    "question": question,
                    "answers": [{"text": answer, "answer_start": context.index(answer)}] if answer else [],
                }
                for index, (question, answer) in enumerate(questions)
            ]
            entries.append({"context": context, "qas": qas})
        data.append({"title": title, "paragraphs": entries})
    return {"data": data}


def write_json(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


def write_jsonl(path: Path, records: Sequence[object]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    path.write_text(lines, encoding="utf-8")
    return path


def reading_file(path: Path, text: str, notes: list[str], style: str = "") -> Path:
    """A document of a reading set: `notes` are its Q, A and S lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    head = "kind: 試験" + (f"\nstyle: {style}" if style else "")
    path.write_text("\n=====\n".join([head, text, "\n".join(notes)]) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def places_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with places.json: 24 contexts of four places with a number each, and a question about one."""
    rng = np.random.default_rng(5)
    paragraphs = []
    for _ in range(24):
        places = rng.permutation(list(PLACES))[:4].tolist()
        numbers = rng.permutation(10)[:4].tolist()
        context = "".join(f"{place}は{number}にある。" for place, number in zip(places, numbers, strict=True))
        paragraphs.append((context, [(f"{places[0]}はどこにあるか", str(numbers[0]))]))
    folder = tmp_path_factory.mktemp("data")
    write_json(folder / "places.json", squad({"places": paragraphs}))
    return folder


def places_config(tokenizer: Path, **changes: object) -> str:
    """The TOML of a run that takes a second: one layer, 16 wide. `changes` of keys of a data set are the only set's."""
    values: dict[str, object] = {
        "task": "qa",
        "tokenizer": str(tokenizer),
        "normaliser": "none",
        "segmenter": "none",
        "layers": 1,
        "hidden": 16,
        "heads": 2,
        "intermediate": 32,
        "max_positions": 64,
        "shifted_share": 0.3,
        "epochs": 3.0,
        "batch_tokens": 256,
        "learning_rate": 0.02,
        "autocast": "none",
        "checkpoint_every": 4,
    }
    data: dict[str, object] = {"reader": "squad", "data": "places.json", "max_tokens": 24}
    own = {key: value for key, value in changes.items() if key in DataSet.model_fields}
    lines = [f"{key} = {json.dumps(value)}" for key, value in (values | changes).items() if key not in own]
    return "\n".join([*lines, "[[sets]]", *(f"{key} = {json.dumps(value)}" for key, value in (data | own).items()), ""])


def livedoor_archive(path: Path, files: dict[str, bytes]) -> Path:
    """An archive in the form of the livedoor news corpus, of the contents by name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path
