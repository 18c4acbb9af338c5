from pathlib import Path

import pytest

from training.config import ConfigError, read_config, read_pretrain_config

MINIMAL = 'task = "qa"\nreader = "squad"\ndata = "d"\ntokenizer = "t.json"\n'
CONFIGS = sorted((Path(__file__).parents[2] / "training" / "configs").glob("*.toml"))


def _config(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "run.toml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.name)
def test_the_projects_own_configs_are_valid(file: Path) -> None:
    read = read_pretrain_config if file.name.startswith("pretrain") else read_config
    read(file, [])


def test_values_and_overrides(tmp_path: Path) -> None:
    file = _config(tmp_path, MINIMAL + "epochs = 2\n")
    config = read_config(file, ["layers=3", "learning_rate=1e-4", "context=article", 'data="x y"', "seed=7"])
    assert (config.epochs, config.layers, config.learning_rate) == (2.0, 3, 1e-4)
    assert (config.context, config.data, config.seed) == ("article", "x y", 7)
    assert isinstance(config.epochs, float)


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        ("task = ", [], "cannot be read"),
        ('task = "qa"\nreader = "squad"\n', [], "lacks data"),
        (MINIMAL + "layer = 3\n", [], "Unknown key 'layer'"),
        (MINIMAL, ["layer=3"], "Unknown key 'layer'"),
        (MINIMAL, ["layers"], "--set takes KEY=VALUE, not 'layers'"),
        (MINIMAL, ["layers=three"], "layers is 'three'; it takes a value of type int"),
        (MINIMAL, ["layers=true"], "layers is True; it takes a value of type int"),
        (MINIMAL, ["epochs=true"], "epochs is True; it takes a value of type float"),
        (MINIMAL, ["layers=0"], "layers is 0; it must be at least 1"),
        (MINIMAL, ["epochs=-1.0"], "epochs is -1.0; it must be a number above 0"),
        (MINIMAL, ["learning_rate=nan"], "learning_rate is nan; it must be a number above 0"),
        (MINIMAL, ["dropout=1.5"], "dropout is 1.5; it must be between 0 and 1"),
        (MINIMAL, ["held_out_percent=100"], "held_out_percent is 100; it must be between 0 and 99"),
        (MINIMAL, ["seed=-1"], "seed is -1; it must not be negative"),
        (MINIMAL, ["frequency_types=-1"], "frequency_types is -1; it must not be negative"),
        (MINIMAL, ["heads=3"], "hidden (256) must be an even multiple of heads (3)"),
        (MINIMAL, ["task=translate"], "task is 'translate'; allowed are qa, classify, summarize"),
        (MINIMAL, ["segmenter=chasen"], "segmenter is 'chasen'; allowed are none, mecab-jumandic, jumanpp"),
        (MINIMAL, ["autocast=fp16"], "autocast is 'fp16'; allowed are none, bf16"),
        (MINIMAL, ['tokenizer=""'], "tokenizer is missing"),
    ],
)
def test_what_is_wrong_is_said_in_words(text: str, overrides: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_config(_config(tmp_path, text), overrides)
    assert message in str(caught.value)


def test_a_missing_file_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_config(tmp_path / "nowhere.toml", [])
    file = tmp_path / "latin.toml"
    file.write_bytes(b'task = "\xe9"')
    with pytest.raises(ConfigError, match="cannot be read"):
        read_config(file, [])


PRETRAINING = 'corpus = true\ntokenizer = "t.json"\n'


def test_tables_and_their_overrides(tmp_path: Path) -> None:
    file = _config(tmp_path, PRETRAINING + '[texts]\n"a/b.txt" = 1\n[lengths]\n64 = 3\n')
    config = read_pretrain_config(file, ["lengths={128=0.5, 256=0.5}"])
    assert config.texts == {"a/b.txt": 1.0}
    assert config.lengths == {"128": 0.5, "256": 0.5}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("corpus=false", "There is nothing to read"),
        ("texts={a=0}", "the share of a is 0.0; it must be above 0 and at most 1"),
        ("texts={a=2}", "the share of a is 2.0"),
        ('texts={a="x"}', "texts is {'a': 'x'}; it takes a table of numbers"),
        ("texts=a.txt", "texts is 'a.txt'; it takes a table of numbers"),
        ("lengths={}", "lengths is empty"),
        ("lengths={a=1}", "lengths: 'a' is no length"),
        ("lengths={4=1}", "lengths: '4' is no length; it must be a number of tokens, at least 8"),
        ("lengths={128=0}", "lengths: the share of 128 is 0.0"),
        ("lengths={128=true}", "it takes a table of numbers"),
        ("batch_tokens=64", "batch_tokens is 64; it must hold one sequence of 4096 tokens"),
        ("micro_batch_tokens=0", "micro_batch_tokens is 0; it must be at least 1"),
        ("mask_rate=0", "mask_rate is 0; without a masked word there is nothing to learn"),
        ("steps=0", "steps is 0; it must be at least 1"),
        ("task=qa", "Unknown key 'task'"),
    ],
)
def test_what_is_wrong_with_pretraining_is_said_in_words(override: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_pretrain_config(_config(tmp_path, PRETRAINING), [override])
    assert message in str(caught.value)
