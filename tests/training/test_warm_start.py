"""A BigBird out of tiny encoders of other families: the same states, fewer pieces, and every refusal in words."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
import torch
from safetensors.torch import load_file, save_file
from tokenizers import models, normalizers, pre_tokenizers
from transformers import (
    BertConfig,
    BertModel,
    BigBirdModel,
    PreTrainedModel,
    RobertaConfig,
    RobertaForMaskedLM,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from app.cli import main
from app.text.tokenizer import Tokenizer
from training.config import DataSet, FinetuneConfig
from training.finetune.loop import Run
from training.pruned_vocabulary import MINIMUM_COUNT, WarmStartError, pruned, without_word_marks
from training.warm_start import repeated_positions, warm_start

VOCABULARY = 40
POSITIONS = 128  # of the sources

SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "initializer_range": 0.5,
}


def _model(family: str) -> PreTrainedModel:
    torch.manual_seed(3)
    if family == "bert":
        shape = BertConfig(**SHAPE, max_position_embeddings=POSITIONS, type_vocab_size=2, pad_token_id=0)
        return BertModel(shape)
    # RoBERTa counts positions from behind the padding id.
    own: dict[str, Any] = {"max_position_embeddings": POSITIONS + 2, "type_vocab_size": 1, "pad_token_id": 1}
    own["layer_norm_eps"] = 1e-5
    if family == "roberta":
        return RobertaForMaskedLM(RobertaConfig(**SHAPE, **own, hidden_act="relu"))  # with a head, so with a prefix
    return XLMRobertaModel(XLMRobertaConfig(**SHAPE, **own))


SPECIAL = {"bert": ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], "other": ["<s>", "<pad>", "</s>", "<unk>"]}
UNIGRAM = ["▁東京", "東京", "▁都", "京都", "▁", "の", "▁の", "都庁", "▁a", "ab", "人"]


def _tokenizer(family: str) -> tokenizers.Tokenizer:
    special = SPECIAL.get(family, SPECIAL["other"])
    if family == "bert":
        names = [*special, "東", "##京", "東京", "##都", "京", "##庁", "都", "鬱", "한"]
        pieces = tokenizers.Tokenizer(models.WordPiece({piece: n for n, piece in enumerate(names)}, unk_token="[UNK]"))
        pieces.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    elif family == "roberta":
        names = [*special, *"abc"]
        pieces = tokenizers.Tokenizer(models.BPE({piece: n for n, piece in enumerate(names)}, [], unk_token="<unk>"))
    else:
        scored = [(piece, 0.0) for piece in special] + [(piece, -float(n + 1)) for n, piece in enumerate(UNIGRAM)]
        pieces = tokenizers.Tokenizer(models.Unigram(scored, unk_id=3, byte_fallback=False))
        pieces.normalizer = normalizers.NFKC()
        pieces.pre_tokenizer = pre_tokenizers.Metaspace()
    pieces.add_special_tokens(special)
    return pieces


def _encoder(folder: Path, family: str) -> Path:
    _model(family).save_pretrained(folder)
    _tokenizer(family).save(str(folder / "tokenizer.json"))
    return folder


FAMILIES = ("bert", "roberta", "xlm-roberta")


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {family: _encoder(tmp_path_factory.mktemp(family), family) for family in FAMILIES}


def _states(model: PreTrainedModel, ids: torch.Tensor) -> torch.Tensor:
    encoder = model.base_model.eval()
    with torch.no_grad():
        states: torch.Tensor = encoder(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
    return states


@pytest.mark.parametrize("family", FAMILIES)
def test_states_equal_the_sources_up_to_its_positions(family: str, encoders: dict[str, Path], tmp_path: Path) -> None:
    warm_start(str(encoders[family]), tmp_path / "out", positions=1000)
    ours, info = BigBirdModel.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not info["unexpected_keys"]
    assert {name.partition(".")[0] for name in info["missing_keys"]} <= {"pooler"}
    source = _model(family)
    for length in (1, 7, 64, POSITIONS):
        ids = torch.from_numpy(np.random.default_rng(length).integers(5, VOCABULARY, (1, length)))
        torch.testing.assert_close(_states(ours, ids), _states(source, ids), atol=1e-5, rtol=0)
    assert _states(ours, torch.full((1, 1000), 7)).isfinite().all()
    config = ours.config
    assert (config.max_position_embeddings, config.type_vocab_size, config.block_size) == (1000, 3, 64)
    assert config.layer_norm_eps == source.config.layer_norm_eps
    assert config.hidden_act == source.config.hidden_act
    assert config.pad_token_id == source.config.pad_token_id
    special = _tokenizer(family)
    first, last = ("[CLS]", "[SEP]") if family == "bert" else ("<s>", "</s>")
    assert (config.cls_token_id, config.bos_token_id) == (special.token_to_id(first),) * 2
    assert (config.sep_token_id, config.eos_token_id) == (special.token_to_id(last),) * 2


def test_positions_repeat_those_of_the_source_from_its_offset_on() -> None:
    source = torch.arange(5.0).unsqueeze(1)
    assert repeated_positions(source, 2, 7)[:, 0].tolist() == [2, 3, 4, 2, 3, 4, 2]
    assert repeated_positions(source, 0, 3)[:, 0].tolist() == [0, 1, 2]


def test_token_types_past_the_sources_are_its_first(encoders: dict[str, Path], tmp_path: Path) -> None:
    name = "bert.embeddings.token_type_embeddings.weight"
    source = load_file(encoders["bert"] / "model.safetensors")[name.removeprefix("bert.")]
    for count, wanted in ((1, [0]), (2, [0, 1]), (4, [0, 1, 0, 0])):
        warm_start(str(encoders["bert"]), tmp_path / str(count), token_types=count)
        assert torch.equal(load_file(tmp_path / str(count) / "model.safetensors")[name], source[wanted])


def test_word_marks_are_removed_and_the_row_without_one_is_kept() -> None:
    vocabulary = [
        (piece, -float(n)) for n, piece in enumerate(["<s>", "▁東京", "東京", "▁都", "▁", "▁の", "の", "a▁b"])
    ]
    assert without_word_marks(vocabulary) == {
        "<s>": (0, 0.0),
        "東京": (2, -2.0),
        "都": (3, -3.0),
        "の": (6, -6.0),
    }


def _pruned(family: str, texts: list[str], segmenter: str = "none") -> tuple[tokenizers.Tokenizer, list[int]]:
    whole = json.loads(_tokenizer(family).to_str())
    written, rows = pruned(whole, texts, segmenter=segmenter, normaliser="nfkc")  # type: ignore[arg-type]
    return tokenizers.Tokenizer.from_str(json.dumps(written)), rows


def test_pieces_that_the_corpus_uses_and_all_characters_are_kept() -> None:
    before = _tokenizer("xlm-roberta")
    pieces, rows = _pruned("xlm-roberta", ["東京の都"] * MINIMUM_COUNT + ["京都の人"] * (MINIMUM_COUNT - 1))
    names = [before.id_to_token(row) for row in rows]
    # 東京 begins words here. 京都 and 都庁 are too rare, ab is in no text; の, 人 and the marked ones are characters.
    assert names == ["<s>", "<pad>", "</s>", "<unk>", "▁東京", "▁都", "▁", "の", "▁の", "▁a", "人"]
    assert [pieces.id_to_token(index) for index in range(len(rows))] == names
    assert pieces.encode("東京の人", add_special_tokens=False).tokens == ["▁東京", "の", "人"]
    # What is not there any more is unknown, not an error.
    assert "<unk>" in [pieces.id_to_token(index) for index in pieces.encode("都庁", add_special_tokens=False).ids]


def test_with_a_segmenter_pieces_never_cross_words_and_have_no_mark(tmp_path: Path) -> None:
    pieces, rows = _pruned("xlm-roberta", ["東京の都庁"] * MINIMUM_COUNT, "mecab-jumandic")
    before = _tokenizer("xlm-roberta")
    names = [before.id_to_token(row).removeprefix("▁") for row in rows]
    assert "▁" not in "".join(pieces.get_vocab())
    assert [pieces.id_to_token(index) for index in range(len(rows))] == names
    assert before.id_to_token(rows[names.index("東京")]) == "東京", "the row without the mark"
    file = tmp_path / "tokenizer.json"
    pieces.save(str(file))
    tokens = Tokenizer.load(file, normaliser="nfkc", segmenter="mecab-jumandic").encode("東京の人")
    assert [names[index] for index in tokens.ids] == ["東京", "の", "人"]


def test_wordpiece_keeps_its_special_tokens_and_the_rows_stay_those_of_the_source() -> None:
    before = _tokenizer("bert")
    pieces, rows = _pruned("bert", ["東京都 京"] * MINIMUM_COUNT)
    names = [before.id_to_token(row) for row in rows]
    # 東京 is used, 한 is no character of Japanese text, and 鬱 is one that the corpus does not have.
    assert names == [*SPECIAL["bert"], "東", "##京", "東京", "##都", "京", "##庁", "都", "鬱"]
    assert pieces.encode("東京都 京").tokens == before.encode("東京都 京").tokens
    assert pieces.encode("한").tokens == ["[UNK]"]


def test_a_tokenizer_that_truncates_is_counted_whole() -> None:
    whole = _tokenizer("xlm-roberta")
    whole.enable_truncation(2)
    texts = ["人人人京都"] * MINIMUM_COUNT
    _written, rows = pruned(json.loads(whole.to_str()), texts, segmenter="none", normaliser="nfkc")
    assert "京都" in [whole.id_to_token(row) for row in rows]


def test_tokens_that_were_added_to_a_vocabulary_follow_it() -> None:
    whole = _tokenizer("xlm-roberta")
    whole.add_special_tokens(["<mask>"])
    written, rows = pruned(json.loads(whole.to_str()), ["人"], segmenter="mecab-jumandic", normaliser="nfkc")
    pieces = tokenizers.Tokenizer.from_str(json.dumps(written))
    assert rows[-1] == whole.token_to_id("<mask>") == len(UNIGRAM) + 4
    assert pieces.token_to_id("<mask>") == len(rows) - 1


def test_a_pruned_encoder_reads_a_text_as_its_source_does(encoders: dict[str, Path], tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("東京の都\n\n" * MINIMUM_COUNT, encoding="utf-8")
    sizes = warm_start(str(encoders["xlm-roberta"]), tmp_path / "out", corpus=[corpus])
    ours = BigBirdModel.from_pretrained(tmp_path / "out")
    pieces = tokenizers.Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    assert sizes["pieces"] == ours.config.vocab_size == pieces.get_vocab_size()
    before = _tokenizer("xlm-roberta")
    texts = [torch.tensor([one.encode("東京の人の都", add_special_tokens=False).ids]) for one in (pieces, before)]
    assert texts[0].tolist() != texts[1].tolist()
    theirs = _states(_model("xlm-roberta"), texts[1])
    torch.testing.assert_close(_states(ours, texts[0]), theirs, atol=1e-5, rtol=0)
    assert pieces.id_to_token(ours.config.pad_token_id) == "<pad>"


def test_fine_tuning_goes_on_from_it(
    encoders: dict[str, Path], places_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text('{"text": "東京の都"}\n' * 3, encoding="utf-8")
    command = ["warm-start", "--encoder", str(encoders["xlm-roberta"]), "--out", str(tmp_path / "base")]
    assert main([*command, "--corpus", str(corpus), "--segmenter", "mecab-jumandic"]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (said["out"], said["positions"]) == (str(tmp_path / "base"), 4096)
    config = FinetuneConfig(
        task="qa",
        checkpoint=str(tmp_path / "base"),
        sets=(DataSet(reader="squad", data="places.json", max_tokens=64),),
        autocast="none",
    )
    run = Run(config, places_data, tmp_path / "run")
    assert run.model.config.max_position_embeddings == 4096
    weights = load_file(tmp_path / "base" / "model.safetensors")
    own = run.model.state_dict()
    assert all(torch.equal(own[name], tensor) for name, tensor in weights.items())
    settings = json.loads((tmp_path / "base" / "config.json").read_text())["nagayomi"]
    assert settings == {"segmenter": "mecab-jumandic", "normaliser": "nfkc"}


def _broken(encoders: dict[str, Path], folder: Path, family: str = "bert", **config: Any) -> Path:
    folder.mkdir()
    for file in encoders[family].iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    document = json.loads((folder / "config.json").read_text())
    kept = {key: value for key, value in (document | config).items() if value is not None}
    (folder / "config.json").write_text(json.dumps(kept))
    return folder


def test_an_encoder_that_cannot_become_a_bigbird(encoders: dict[str, Path], tmp_path: Path) -> None:
    def fault(folder: Path, **options: Any) -> str:
        with pytest.raises(WarmStartError) as caught:
            warm_start(str(folder), tmp_path / "out", **options)
        assert not (tmp_path / "out").exists()
        return str(caught.value)

    other = _broken(encoders, tmp_path / "a", model_type="deberta")
    assert fault(other) == f"{other} belongs to the family 'deberta'; a warm start supports bert, roberta, xlm-roberta."
    relative = _broken(encoders, tmp_path / "b", position_embedding_type="relative_key")
    assert "relative positions; a BigBird needs learned absolute ones" in fault(relative)
    narrow = _broken(encoders, tmp_path / "c", hidden_size=None, pad_token_id=None)
    assert fault(narrow) == f"The config.json of {narrow} lacks hidden_size, pad_token_id."
    without = _broken(encoders, tmp_path / "d")
    (without / "tokenizer.json").unlink()
    assert "has no tokenizer.json. transformers writes one" in fault(without)
    (without / "tokenizer.json").write_text("[]")
    assert "tokenizer.json does not hold a JSON object" in fault(without)
    (without / "tokenizer.json").write_text('{"model": {"type": "WordPiece"}, "added_tokens": []}')
    assert fault(without) == "The tokenizer has none of the special tokens [SEP], </s>."
    (without / "config.json").write_text("{")
    assert fault(without).startswith(f"The encoder {without} cannot be read: ")
    assert fault(tmp_path / "nowhere").startswith(f"The encoder {tmp_path / 'nowhere'} cannot be read: ")
    lacking = _broken(encoders, tmp_path / "e")
    weights = load_file(lacking / "model.safetensors")
    del weights["encoder.layer.1.output.dense.bias"]
    save_file(weights, lacking / "model.safetensors")
    assert fault(lacking) == "The encoder lacks the weight encoder.layer.1.output.dense.bias."
    assert fault(encoders["bert"], positions=63) == "63 positions are too few; at least 64 are needed."
    assert fault(encoders["bert"], token_types=0) == "0 token types are too few; at least 1 are needed."
    assert "--segmenter needs --corpus" in fault(encoders["bert"], segmenter="mecab-jumandic")


def test_a_vocabulary_that_cannot_be_cut_down(encoders: dict[str, Path], tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("東京", encoding="utf-8")

    def fault(folder: Path) -> str:
        with pytest.raises(WarmStartError) as caught:
            warm_start(str(folder), tmp_path / "out", corpus=[corpus])
        return str(caught.value)

    assert fault(encoders["roberta"]) == "A vocabulary of the type BPE cannot be reduced: leave out --corpus."
    folder = _broken(encoders, tmp_path / "a", "xlm-roberta")
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    whole = tokenizer["model"]["vocab"]

    def write(**model: Any) -> Path:
        changed = {**tokenizer, "model": {**tokenizer["model"], **model}}
        (folder / "tokenizer.json").write_text(json.dumps(changed))
        return folder

    assert "has no unknown token" in fault(write(unk_id=None))
    more = [[chr(0x4E00 + n), -9.0] for n in range(VOCABULARY)]
    assert fault(write(vocab=whole + more)) == (
        f"The tokenizer has {len(whole) + VOCABULARY} pieces, the encoder {VOCABULARY} embeddings."
    )
    hidden = [token for token in tokenizer["added_tokens"] if token["content"] != "<pad>"]
    (folder / "tokenizer.json").write_text(json.dumps({**tokenizer, "added_tokens": hidden}))
    assert "does not list it among its added tokens" in fault(folder)


def test_a_wrong_number_is_exit_code_2(
    encoders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["warm-start", "--encoder", str(encoders["bert"]), "--out", str(tmp_path / "out")]
    assert main([*command, "--positions", "0"]) == 2
    assert "nagayomi: 0 positions are too few" in capsys.readouterr().err
    assert main([*command, "--corpus", str(tmp_path / "nowhere.txt")]) == 2
    assert "nowhere.txt" in capsys.readouterr().err
