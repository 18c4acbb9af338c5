import re
from pathlib import Path

import pytest

from training.config import ConfigError, DataSet, read_config, read_pretrain_config

SET = '[[sets]]\nreader = "squad"\ndata = "d"\n'
MINIMAL = 'task = "qa"\ntokenizer = "t.json"\n' + SET
CONFIGS = sorted((Path(__file__).parents[2] / "training" / "configs").glob("*.toml"))


def _config(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "run.toml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.name)
def test_the_projects_own_configs_are_valid(file: Path) -> None:
    read = read_pretrain_config if file.name.startswith("pretrain") else read_config
    read(file, [])


def test_the_example_of_the_documentation_is_valid(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    config = read_config(_config(tmp_path, example), ["sets.0.max_tokens=1024"])
    assert (config.task, config.sets) == (
        "classify",
        (DataSet(reader="labelled", data="topics.csv", max_tokens=1024),),
    )


def test_values_and_overrides(tmp_path: Path) -> None:
    file = _config(tmp_path, "epochs = 2\n" + MINIMAL + SET)
    overrides = ["layers=3", "learning_rate=1e-4", "seed=7", "sets.1.share=2", "sets.1.context=article"]
    config = read_config(file, [*overrides, 'sets.1.data="x y"', "sets.0.max_tokens=512"])
    assert (config.epochs, config.layers, config.learning_rate, config.seed) == (2.0, 3, 1e-4, 7)
    assert config.sets == (
        DataSet(reader="squad", data="d", max_tokens=512),
        DataSet(reader="squad", data="x y", share=2.0, context="article"),
    )
    assert isinstance(config.epochs, float)


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        ("task = ", [], "cannot be read"),
        ('task = "qa"\ntokenizer = "t"\n', [], "run.toml: sets is missing."),
        (MINIMAL, ["sets=[]"], "sets must have at least 1 item"),
        (MINIMAL, ["sets=[{reader='squad'}]"], "run.toml: sets.0.data is missing."),
        ("layer = 3\n" + MINIMAL, [], "layer is no key; perhaps layers is meant."),
        (MINIMAL + "share_ = 3\n", [], "sets.0.share_ is no key; perhaps share is meant."),
        (MINIMAL, ["chekpoint=a"], "chekpoint is no key; perhaps checkpoint is meant."),
        (MINIMAL, ["sets.0.zzz=1"], "sets.0.zzz is no key; allowed are reader, data, texts_share, share, max_tokens,"),
        (MINIMAL, ["layers"], "--set takes KEY=VALUE, not 'layers'"),
        (MINIMAL, ["sets.1.share=1"], "--set sets.1.share: run.toml has no such key."),
        (MINIMAL, ["sets.a.share=1"], "--set sets.a.share: run.toml has no such key."),
        (MINIMAL, ["task.a=1"], "--set task.a: run.toml has no such key."),
        (MINIMAL, ["layers=three"], "layers must be a valid integer"),
        (MINIMAL, ["layers=true"], "layers must be a valid integer"),
        (MINIMAL, ["epochs=true"], "epochs must be a valid number"),
        (MINIMAL, ["layers=0"], "layers must be greater than or equal to 1"),
        (MINIMAL, ["epochs=-1.0"], "epochs must be greater than or equal to 0"),
        (MINIMAL, ["learning_rate=nan"], "learning_rate must be a finite number"),
        (MINIMAL, ["dropout=1.5"], "dropout must be less than or equal to 1"),
        (MINIMAL, ["sets.0.share=0"], "sets.0.share must be greater than 0"),
        (MINIMAL, ["sets.0.removed_share=2"], "sets.0.removed_share must be less than or equal to 1"),
        (
            MINIMAL,
            ["sets.0.unrelated_share=0.8", "sets.0.removed_share=0.7"],
            "sets.0: unrelated_share (0.8) and removed_share (0.7) are shares of the same questions; their sum must be "
            "at most 1",
        ),
        (MINIMAL, ["sets.0.held_out_percent=100"], "sets.0.held_out_percent must be less than or equal to 99"),
        (MINIMAL, ["sets.0.max_tokens=7"], "sets.0.max_tokens must be greater than or equal to 8"),
        (MINIMAL, ["seed=-1"], "seed must be greater than or equal to 0"),
        (MINIMAL, ["heads=3"], "hidden (256) must be an even multiple of heads (3)"),
        (MINIMAL, ["task=translate"], "task must be 'qa', 'classify' or 'summarize'"),
        (
            MINIMAL,
            ["segmenter=chasen"],
            "segmenter must be 'none', 'mecab-jumandic', 'mecab-unidic-lite', 'mecab-ipadic' or 'jumanpp'",
        ),
        (MINIMAL, ["autocast=fp16"], "autocast must be 'auto', 'none' or 'bf16'"),
        (MINIMAL, ['tokenizer=""'], "tokenizer is missing"),
    ],
)
def test_errors_are_sentences(text: str, overrides: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_config(_config(tmp_path, text), overrides)
    assert message in str(caught.value)


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"^run\.toml: layers must be greater than or equal to 1; sets\.0\.data must be "
    ):
        read_config(_config(tmp_path, MINIMAL), ["layers=0", "sets.0.data=3"])


def test_a_wrong_key_of_a_data_set_is_all_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_config(_config(tmp_path, MINIMAL + "share_ = 3\n"), [])
    assert str(caught.value) == "run.toml: sets.0.share_ is no key; perhaps share is meant."


def test_a_missing_file_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_config(tmp_path / "nowhere.toml", [])
    file = tmp_path / "latin.toml"
    file.write_bytes(b'task = "\xe9"')
    with pytest.raises(ConfigError, match="cannot be read"):
        read_config(file, [])


def test_a_byte_order_mark_is_no_part_of_a_configuration(tmp_path: Path) -> None:
    assert read_config(_config(tmp_path, "\ufeff" + MINIMAL), []) == read_config(_config(tmp_path, MINIMAL), [])


PRETRAINING = 'corpus = true\ntokenizer = "t.json"\n'


def test_tables_and_their_overrides(tmp_path: Path) -> None:
    file = _config(tmp_path, PRETRAINING + '[texts]\n"a/b.txt" = 1\n[lengths]\n64 = 3\n')
    config = read_pretrain_config(file, ["lengths={128=0.5, 256=0.5}"])
    assert config.texts == {"a/b.txt": 1.0}
    assert config.lengths == {"128": 0.5, "256": 0.5}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("corpus=false", "there is nothing to read"),
        ("texts={a=0}", "texts.a must be greater than 0"),
        ("texts={a=2}", "texts.a must be less than or equal to 1"),
        ('texts={a="x"}', "texts.a must be a valid number"),
        ("texts=a.txt", "texts must be an object of names and values"),
        ("lengths={}", "lengths must have at least 1 item"),
        ("lengths={a=1}", "lengths: 'a' is not a length"),
        ("lengths={4=1}", "lengths: '4' is not a length; it must be a number of tokens, at least 8"),
        ("lengths={128=0}", "lengths.128 must be greater than 0"),
        ("lengths={128=true}", "lengths.128 must be a valid number"),
        ("batch_tokens=64", "batch_tokens is 64; it must hold one sequence of 4096 tokens"),
        ("micro_batch_tokens=0", "micro_batch_tokens must be greater than or equal to 1"),
        ("mask_rate=0", "mask_rate must be greater than 0"),
        ("steps=0", "steps must be greater than or equal to 1"),
        ("task=qa", "task is no key; "),
    ],
)
def test_errors_in_a_pre_training_configuration_are_sentences(override: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_pretrain_config(_config(tmp_path, PRETRAINING), [override])
    assert message in str(caught.value)
