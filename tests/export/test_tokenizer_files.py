import json
import types
from pathlib import Path
from typing import Any

import pytest
import tokenizers
import transformers
from tokenizers import models, normalizers
from transformers import AutoTokenizer, MLukeTokenizer

from app.text.tokenizer import Tokenizer
from export.checkpoint import CheckpointError
from export.sentencepiece_files import read_sentencepiece
from export.tokenizer_files import TokenizerFiles, read_tokenizer
from tests.export.sentencepiece_model import check_ids, sentencepiece_file


def write_json(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def served(files: TokenizerFiles, folder: Path) -> Tokenizer:
    """The tokenizer of the service, from the files that an export writes."""
    assert files.segmenter is not None
    assert files.normaliser is not None
    files.write(folder)
    return Tokenizer.load(folder / "tokenizer.json", normaliser=files.normaliser, segmenter=files.segmenter)


def test_a_tokenizer_json_is_used_as_it_is(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    text = tokenizers.Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]")).to_str() + "\n\n"
    (source / "tokenizer.json").write_text(text, encoding="utf-8")

    files = read_tokenizer(source)
    files.write(tmp_path)

    assert (files.segmenter, files.normaliser) == ("none", "none")
    assert (tmp_path / "tokenizer.json").read_text(encoding="utf-8") == text


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "config.json"])
@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_broken_file_is_named(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")

    with pytest.raises(CheckpointError, match=name):
        read_tokenizer(tmp_path)


def test_a_directory_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"has no tokenizer: neither tokenizer\.json nor one of spm\.model, "):
        read_tokenizer(tmp_path)


@pytest.mark.skipif(
    transformers.__version__ >= "5", reason="MLukeTokenizer of transformers 5 leaves out the numbers of fairseq"
)
def test_luke_has_the_numbers_of_fairseq_and_its_entities_last(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    write_json(source / "entity_vocab.json", {"[MASK]": 0, "[UNK]": 1, "[PAD]": 2, "[MASK2]": 0})
    sentencepiece_file(source / "sentencepiece.bpe.model")
    write_json(source / "tokenizer_config.json", {"tokenizer_class": "MLukeTokenizer"})
    theirs = MLukeTokenizer.from_pretrained(source)
    theirs.save_pretrained(source)

    files = read_tokenizer(source)
    ours = served(files, tmp_path)

    check_ids(ours, lambda text: list(theirs.encode(text, add_special_tokens=False)))
    assert (files.segmenter, files.normaliser) == ("none", "none")
    assert files.pieces.encode("東京", "国際").ids == theirs("東京", "国際")["input_ids"]
    assert [files.pieces.token_to_id(token) for token in ("<mask>", "<ent>", "<ent2>")] == [
        theirs.convert_tokens_to_ids(token) for token in ("<mask>", "<ent>", "<ent2>")
    ]


def test_a_luke_that_transformers_5_saved_is_refused(tmp_path: Path) -> None:
    """Its tokenizer.json has SentencePiece's own numbers: <unk> 0, <s> 1, </s> 2; LUKE has <s> 0, <pad> 1, </s> 2."""
    read_sentencepiece(sentencepiece_file(tmp_path / "sentencepiece.bpe.model")).save(str(tmp_path / "tokenizer.json"))
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": "MLukeTokenizer"})
    with pytest.raises(CheckpointError) as refused:
        read_tokenizer(tmp_path)
    assert str(refused.value) == (
        f"In {tmp_path / 'tokenizer.json'}, which transformers 5 wrote, <s> has the number 1, but LUKE was trained "
        "with 0: put the sentencepiece.bpe.model and the tokenizer_config.json of the original LUKE in its place, and "
        "if transformers 5 also read the texts for fine-tuning, fine-tune again with transformers 4.57."
    )

    (tmp_path / "tokenizer.json").unlink()
    assert read_tokenizer(tmp_path).pieces.token_to_id("<s>") == 0


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("XLMRobertaTokenizer", "sentencepiece.bpe.model"),
        ("DebertaV2Tokenizer", "spm.model"),
        ("T5Tokenizer", "spiece.model"),
    ],
)
def test_tokenizers_of_transformers_keep_their_ids(name: str, file: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    # Under T5's own numbers: T5Tokenizer of transformers 5 has them whatever the file says.
    numbers = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": 3} if name == "T5Tokenizer" else {"pad_id": 3}
    sentencepiece_file(source / file, **numbers)
    write_json(source / "tokenizer_config.json", {"tokenizer_class": name})
    if name == "DebertaV2Tokenizer" and transformers.__version__.startswith("5."):
        with pytest.raises(CheckpointError, match=r"leaves out the rules of .*spm\.model that normalise a text"):
            read_tokenizer(source)
        return
    theirs = AutoTokenizer.from_pretrained(source)

    files = read_tokenizer(source)

    special = ("<s>", "</s>") if name == "T5Tokenizer" else None
    ours = served(files.with_template(special, is_own=False), tmp_path)
    check_ids(ours, lambda text: list(theirs.encode(text, add_special_tokens=False)))


def test_a_conversion_that_loses_the_rules_of_the_text_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As transformers 5 converts DeBERTa's: an ideographic space then is unknown, and NFKC makes it a space."""
    file = sentencepiece_file(tmp_path / "spm.model")
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": "DebertaV2Tokenizer"})
    converted = read_sentencepiece(file)
    converted.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Strip()])
    fast = types.SimpleNamespace(backend_tokenizer=converted)
    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", lambda *_, **__: fast)
    with pytest.raises(CheckpointError) as refused:
        read_tokenizer(tmp_path)
    assert str(refused.value) == (
        f"transformers {transformers.__version__} leaves out the rules of {file} that normalise a text, so some texts "
        "would get other pieces than in training. transformers 4.57 keeps them."
    )


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [(["▁東京", "▁は", "首都"], None), (["東京", "▁は", "首都", "です"], "none"), (["▁to", "##ku"], "none")],
)
def test_pieces_that_begin_words_want_words(pieces: list[str], expected: str | None, tmp_path: Path) -> None:
    """Nothing else in a tokenizer.json says that its text was cut into words."""
    vocabulary = [("<unk>", 0.0), *((piece, -1.0) for piece in pieces)]
    tokenizers.Tokenizer(models.Unigram(vocabulary, unk_id=0)).save(str(tmp_path / "tokenizer.json"))

    assert read_tokenizer(tmp_path).segmenter == expected
