"""A BigBird out of tiny encoders of other families: the same states, fewer pieces, and every refusal in words."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
import torch
from safetensors.torch import load_file, save_file
from tokenizers import models
from transformers import (
    BigBirdModel,
    PreTrainedModel,
)

from app.cli import main
from tests.training.conftest import write_json
from tests.training.tiny_encoders import (
    FAMILIES,
    POSITIONS,
    VOCABULARY,
    tiny_encoder,
    tiny_model,
    tiny_tokenizer,
)
from training.config import DataSet, FinetuneConfig
from training.finetune.loop import Run
from training.pruned_vocabulary import MINIMUM_COUNT, WarmStartError
from training.warm_start import repeated_positions, warm_start


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {family: tiny_encoder(tmp_path_factory.mktemp(family), family) for family in FAMILIES}


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
    source = tiny_model(family)
    for length in (1, 7, 64, POSITIONS):
        ids = torch.from_numpy(np.random.default_rng(length).integers(5, VOCABULARY, (1, length)))
        torch.testing.assert_close(_states(ours, ids), _states(source, ids), atol=1e-5, rtol=0)
    assert _states(ours, torch.full((1, 1000), 7)).isfinite().all()
    config = ours.config
    assert (config.max_position_embeddings, config.type_vocab_size, config.block_size) == (1000, 3, 64)
    assert config.layer_norm_eps == source.config.layer_norm_eps
    assert config.hidden_act == source.config.hidden_act
    assert config.pad_token_id == source.config.pad_token_id
    special = tiny_tokenizer(family)
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


def test_a_pruned_encoder_reads_a_text_as_its_source_does(encoders: dict[str, Path], tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("東京の都\n\n" * MINIMUM_COUNT, encoding="utf-8")
    sizes = warm_start(str(encoders["xlm-roberta"]), tmp_path / "out", corpus=[corpus])
    ours = BigBirdModel.from_pretrained(tmp_path / "out")
    pieces = tokenizers.Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    assert sizes["pieces"] == ours.config.vocab_size == pieces.get_vocab_size()
    before = tiny_tokenizer("xlm-roberta")
    texts = [torch.tensor([one.encode("東京の人の都", add_special_tokens=False).ids]) for one in (pieces, before)]
    assert texts[0].tolist() != texts[1].tolist()
    theirs = _states(tiny_model("xlm-roberta"), texts[1])
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
    assert "has no tokenizer: neither tokenizer.json nor one of " in fault(without)
    (without / "tokenizer.json").write_text("[]")
    assert "tokenizer.json cannot be read: " in fault(without)
    tokenizers.Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]")).save(str(without / "tokenizer.json"))
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
    assert fault(encoders["xlm-roberta"], segmenter="mecab-jumandic") == (
        "--segmenter mecab-jumandic needs --corpus, or an encoder with WordPiece: the files of this encoder say none, "
        "and its pieces would not fit the words."
    )
    for first in (-1, POSITIONS + 2):
        assert fault(encoders["roberta"], first_position=first) == (
            f"The first position is {first}; it must be from 0 to {POSITIONS + 1}."
        )


def _settings(folder: Path) -> dict[str, str]:
    settings: dict[str, str] = json.loads((folder / "config.json").read_text())["nagayomi"]
    return settings


PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "東", "##京", "東京", "##都", "京", "##庁", "都", "鬱", "한"]


@pytest.fixture
def japanese_bert(encoders: dict[str, Path], tmp_path: Path) -> Path:
    """The BERT with the files of a BertJapaneseTokenizer in the place of its tokenizer.json."""
    folder = _broken(encoders, tmp_path / "japanese")
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n", encoding="utf-8")
    kwargs = {"mecab_dic": "unidic_lite", "normalize_text": False}
    settings = {"tokenizer_class": "BertJapaneseTokenizer", "word_tokenizer_type": "mecab", "mecab_kwargs": kwargs}
    write_json(folder / "tokenizer_config.json", settings)
    return folder


def test_the_files_of_a_bert_japanese_tokenizer_name_pieces_and_words(japanese_bert: Path, tmp_path: Path) -> None:
    warm_start(str(japanese_bert), tmp_path / "out")
    pieces = tokenizers.Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json"))
    assert pieces.get_vocab() == {piece: number for number, piece in enumerate(PIECES)}
    assert pieces.encode("東京 都庁", add_special_tokens=False).tokens == ["東京", "都", "##庁"]
    assert _settings(tmp_path / "out") == {"segmenter": "mecab-unidic-lite", "normaliser": "none"}


def test_words_that_a_tokenizer_json_cannot_name_are_those_of_the_tokenizer_config(
    encoders: dict[str, Path], japanese_bert: Path, tmp_path: Path
) -> None:
    (japanese_bert / "tokenizer.json").write_bytes((encoders["bert"] / "tokenizer.json").read_bytes())
    warm_start(str(japanese_bert), tmp_path / "out")
    assert _settings(tmp_path / "out") == {"segmenter": "mecab-unidic-lite", "normaliser": "none"}


def test_a_segmenter_that_fits_the_pieces_needs_no_corpus(
    encoders: dict[str, Path], japanese_bert: Path, tmp_path: Path
) -> None:
    warm_start(str(japanese_bert), tmp_path / "same", segmenter="mecab-unidic-lite", normaliser="nfkc")
    assert _settings(tmp_path / "same") == {"segmenter": "mecab-unidic-lite", "normaliser": "nfkc"}
    warm_start(str(encoders["bert"]), tmp_path / "wordpiece", segmenter="mecab-jumandic")
    assert _settings(tmp_path / "wordpiece") == {"segmenter": "mecab-jumandic", "normaliser": "nfkc"}


def test_pieces_that_stand_for_words_need_the_names_of_segmenter_and_normaliser(
    encoders: dict[str, Path], tmp_path: Path
) -> None:
    folder = _broken(encoders, tmp_path / "a", "xlm-roberta")
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    words = ("京都", "都庁", "人")
    tokenizer["model"]["vocab"] = [
        [f"▁{piece}" if piece in words else piece, score] for piece, score in tokenizer["model"]["vocab"]
    ]
    write_json(folder / "tokenizer.json", tokenizer)
    too_little: tuple[dict[str, Any], ...] = ({}, {"segmenter": "jumanpp"}, {"normaliser": "nfkc"})
    for given in too_little:
        with pytest.raises(WarmStartError, match="give --segmenter and --normaliser as its card names them"):
            warm_start(str(folder), tmp_path / "out", **given)
    warm_start(str(folder), tmp_path / "out", segmenter="jumanpp", normaliser="zenkaku")
    assert _settings(tmp_path / "out") == {"segmenter": "jumanpp", "normaliser": "zenkaku"}


def test_positions_begin_where_the_encoder_was_trained_to_begin(encoders: dict[str, Path], tmp_path: Path) -> None:
    def rows(folder: Path, **options: Any) -> torch.Tensor:
        warm_start(str(folder), tmp_path / "out", positions=64, **options)
        return load_file(tmp_path / "out" / "model.safetensors")["bert.embeddings.position_embeddings.weight"]

    source = load_file(encoders["roberta"] / "model.safetensors")["roberta.embeddings.position_embeddings.weight"]
    assert torch.equal(rows(encoders["roberta"]), source[2:66])
    assert torch.equal(rows(encoders["roberta"], first_position=0), source[:64])
    noted = _broken(encoders, tmp_path / "noted", "roberta", nagayomi={"first_position": 0})
    assert torch.equal(rows(noted), source[:64])


def test_layer_norms_of_tensorflow_are_taken(encoders: dict[str, Path], tmp_path: Path) -> None:
    folder = _broken(encoders, tmp_path / "a")
    weights = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in load_file(folder / "model.safetensors").items()
    }
    save_file(weights, folder / "model.safetensors")
    for source, out in ((encoders["bert"], "today"), (folder, "before")):
        warm_start(str(source), tmp_path / out, positions=64)
    today, before = (load_file(tmp_path / out / "model.safetensors") for out in ("today", "before"))
    assert today.keys() == before.keys()
    assert all(torch.equal(today[name], before[name]) for name in today)


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
