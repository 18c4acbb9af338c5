from pathlib import Path
from typing import Any

import pytest
from transformers import BertJapaneseTokenizer

from app.text.normalizer import normalise
from export.checkpoint import CheckpointError
from export.tokenizer_files import read_tokenizer
from tests.app.text.test_segmenter import EVERY_TWO_CHARACTERS, install_jumanpp
from tests.export.japanese_text import SENTENCES
from tests.export.sentencepiece_model import sentencepiece_file
from tests.export.test_tokenizer_files import served, write_json

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def vocabulary() -> list[str]:
    """Most characters of the sentences, alone and inside words, and some longer pieces; 議 and others are unknown."""
    normal = [normalise(sentence, "nfkc").text for sentence in SENTENCES]
    both = [*normal, *(sentence.lower() for sentence in normal)]
    characters = sorted(set("".join(both).replace(" ", "")) - set("議々鷗é"))
    longer = [
        "東京",
        "国際",
        "空港",
        "##国際",
        "もも",
        "##もも",
        "コンピュータ",
        "13",
        "##13",
        "夏目",
        "である",
    ]
    return [*SPECIAL, *characters, *(f"##{char}" for char in characters), *longer]


def save(folder: Path, **settings: Any) -> Path:
    """A directory with the files of a BertJapaneseTokenizer."""
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(vocabulary()) + "\n", encoding="utf-8")
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "BertJapaneseTokenizer"} | settings)
    return folder


MECAB = {"word_tokenizer_type": "mecab"}
KINDS: dict[str, dict[str, Any]] = {
    "unidic-lite": MECAB | {"mecab_kwargs": {"mecab_dic": "unidic_lite"}},
    "ipadic": MECAB | {"mecab_kwargs": {"mecab_dic": "ipadic"}},
    "lower case": MECAB | {"mecab_kwargs": {"mecab_dic": "unidic_lite"}, "do_lower_case": True},
    "not normalised": MECAB | {"mecab_kwargs": {"mecab_dic": "ipadic", "normalize_text": False}},
    "characters": MECAB | {"mecab_kwargs": {"mecab_dic": "ipadic"}, "subword_tokenizer_type": "character"},
    "characters in lower case": MECAB
    | {"mecab_kwargs": {"mecab_dic": "ipadic"}, "subword_tokenizer_type": "character", "do_lower_case": True},
    "basic": {},
    "basic in lower case": {"do_lower_case": True},
    "basic, characters": {"subword_tokenizer_type": "character", "do_lower_case": True},
    "no words": {"do_word_tokenize": False},
}


@pytest.mark.parametrize("settings", KINDS.values(), ids=KINDS.keys())
def test_ids_are_those_of_transformers(settings: dict[str, Any], tmp_path: Path) -> None:
    source = save(tmp_path / "source", **settings)
    theirs = BertJapaneseTokenizer.from_pretrained(source)

    ours = served(read_tokenizer(source), tmp_path)

    for sentence in SENTENCES:
        assert ours.encode(sentence).ids.tolist() == theirs.encode(sentence, add_special_tokens=False)


@pytest.mark.parametrize(
    ("kind", "segmenter", "normaliser"),
    [
        ("unidic-lite", "mecab-unidic-lite", "nfkc"),
        ("ipadic", "mecab-ipadic", "nfkc"),
        ("not normalised", "mecab-ipadic", "none"),
        ("characters", "none", "nfkc"),
        ("basic", "none", "none"),
    ],
)
def test_words_and_normaliser_are_what_the_settings_say(
    kind: str, segmenter: str, normaliser: str, tmp_path: Path
) -> None:
    files = read_tokenizer(save(tmp_path / "source", **KINDS[kind]))

    assert (files.segmenter, files.normaliser) == (segmenter, normaliser)


def test_the_special_tokens_of_a_pair(tmp_path: Path) -> None:
    source = save(tmp_path / "source", **KINDS["unidic-lite"])
    theirs = BertJapaneseTokenizer.from_pretrained(source)("東京", "国際", return_token_type_ids=True)

    ours = read_tokenizer(source).pieces.encode("東京", "国際")

    assert (ours.ids, ours.type_ids) == (theirs["input_ids"], theirs["token_type_ids"])


def test_added_tokens_keep_their_numbers(tmp_path: Path) -> None:
    size = len(vocabulary())
    added = {str(size): {"content": "[Q]", "special": True}, str(size + 1): {"content": "[A]", "special": False}}
    source = save(tmp_path / "source", **KINDS["unidic-lite"], added_tokens_decoder=added)

    pieces = read_tokenizer(source).pieces

    assert [pieces.token_to_id(token) for token in ("[Q]", "[A]")] == [size, size + 1]
    assert [token.special for token in pieces.get_added_tokens_decoder().values()][-2:] == [True, False]


def test_added_tokens_with_a_gap_are_refused(tmp_path: Path) -> None:
    added = {str(len(vocabulary()) + 1): {"content": "[Q]"}}
    source = save(tmp_path / "source", **KINDS["unidic-lite"], added_tokens_decoder=added)

    with pytest.raises(CheckpointError, match="there is a gap before it"):
        read_tokenizer(source)


@pytest.mark.parametrize("kwargs", [{}, {"mecab_kwargs": {"mecab_dic": None, "mecab_option": "-d /opt/jumandic"}}])
def test_a_dictionary_that_is_not_named_is_left_open(kwargs: dict[str, Any], tmp_path: Path) -> None:
    files = read_tokenizer(save(tmp_path / "source", **MECAB, **kwargs))

    assert (files.segmenter, files.normaliser) == (None, "nfkc")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"word_tokenizer_type": "sudachi"}, "cut by sudachi; known are mecab, jumanpp and basic"),
        (MECAB | {"mecab_kwargs": {"mecab_dic": "unidic"}}, "dictionary unidic; known are unidic_lite, ipadic"),
        (MECAB | {"mecab_kwargs": {"mecab_dic": "ipadic", "mecab_option": "-N 2"}}, "options of its own"),
        ({"subword_tokenizer_type": "bpe"}, "'bpe'; wordpiece, character and sentencepiece are known"),
        ({"subword_tokenizer_type": "sentencepiece"}, "spiece.model cannot be read"),
        ({"never_split": ["東京"]}, "never_split"),
        ({"sep_token": "<sep>"}, "lacks <sep>"),
    ],
)
def test_what_the_service_cannot_do_is_refused(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=message):
        read_tokenizer(save(tmp_path / "source", **settings))


def test_pieces_of_sentencepiece_after_words_of_jumanpp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Waseda's RoBERTa: here with a stand-in for the binary that cuts after every two characters."""
    source = tmp_path / "source"
    source.mkdir()
    special = {"unk_piece": "[UNK]", "bos_piece": "[CLS]", "eos_piece": "[SEP]", "pad_piece": "[PAD]", "pad_id": 3}
    sentencepiece_file(source / "spiece.model", **special)
    settings = {"word_tokenizer_type": "jumanpp", "subword_tokenizer_type": "sentencepiece"}
    write_json(source / "tokenizer_config.json", settings | {"do_lower_case": False})
    install_jumanpp(tmp_path, monkeypatch, EVERY_TWO_CHARACTERS)
    theirs = BertJapaneseTokenizer(str(source / "vocab.txt"), spm_file=str(source / "spiece.model"), **settings)

    files = read_tokenizer(source)

    assert (files.segmenter, files.normaliser) == ("jumanpp", "nfkc")
    ours = served(files, tmp_path)
    for sentence in filter(str.strip, SENTENCES):
        assert ours.encode(sentence).ids.tolist() == theirs.encode(sentence, add_special_tokens=False), sentence
    assert [ids.tolist() for ids in ours.template.pair.ids] == [[1], [2], [2]]
