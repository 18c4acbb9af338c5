"""The recipes in training/configs/jglue, and errors in a recipe."""

from pathlib import Path

import pytest

from training.config import ConfigError
from training.jglue.config import read_encoder_config
from training.jglue.tasks import TASKS

CONFIGS = sorted((Path(__file__).parents[3] / "training" / "configs" / "jglue").glob("*.toml"))


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.name)
def test_the_recipes_are_those_of_jglue(file: Path) -> None:
    config = read_encoder_config(file, [])
    lengths = {"marc-ja": 512, "jcola": 128, "jsts": 128, "jnli": 128, "jsquad": 384, "jcommonsenseqa": 64}
    assert (config.task, config.max_tokens) == (file.stem, lengths[file.stem])
    assert (config.learning_rates, config.epochs) == ([5e-5, 3e-5, 2e-5], [3, 4])
    assert (config.warmup_share, config.batch_size) == (0.1, 64 if config.task == "jcommonsenseqa" else 32)
    assert (config.normaliser, config.segmenter) == ("zenkaku", "jumanpp")


def test_all_tasks_have_a_recipe() -> None:
    assert {file.stem for file in CONFIGS} == set(TASKS)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("task=translate", "must be 'marc-ja'"),
        ("epoch=[3]", "epoch is no key; perhaps epochs is meant."),
        ("epochs=[]", "epochs must have at least 1 item"),
        ("epochs=[0]", "epochs.0 must be greater than or equal to 1"),
        ("epochs=3", "epochs must be a valid list"),
        ("learning_rates=[-1.0]", "learning_rates.0 must be greater than 0"),
        ("learning_rates=[nan]", "learning_rates.0 must be a finite number"),
        ("batch_size=true", "batch_size must be a valid integer"),
        (
            "segmenter=chasen",
            "segmenter must be 'none', 'mecab-jumandic', 'mecab-unidic-lite', 'mecab-ipadic' or 'jumanpp'",
        ),
        ("warmup_share=2", "warmup_share must be less than or equal to 1"),
    ],
)
def test_errors_in_a_recipe_are_sentences(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_encoder_config(CONFIGS[0], [override])
    assert message in str(caught.value)
