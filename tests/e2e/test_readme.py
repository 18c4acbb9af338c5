import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import readme
from tests.e2e.conftest import wait_for_url

# transformers' ModernBERT uses parts of torch that say that they are deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script.* is deprecated:DeprecationWarning")

VOLATILE = re.compile(r'"timings": ?\{[^}]*\}|"request_id": ?"[^"]*"')
NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """All outputs, from a server with the models of model_store/."""
    log = tmp_path_factory.mktemp("readme") / "log.txt"
    with log.open("wb") as output, pytest.MonkeyPatch.context() as patch:
        # One window a batch, here and in the commands: each start tries the largest batch, which takes seconds.
        patch.setenv("NAGAYOMI_MAX_BATCH_TOKENS", "1")
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "serve", "--port", "0"],
            cwd=readme.ROOT, env={**os.environ, "PYTHONWARNINGS": "error"}, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            yield readme.outputs(wait_for_url(process, log))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


@pytest.mark.parametrize("name", readme.READMES)
def test_the_readme_shows_what_the_shipped_models_say(name: str, made: dict[str, str]) -> None:
    shown = readme.shown(name)
    assert shown
    for output, text in shown.items():
        wanted, got = (VOLATILE.sub("", version) for version in (made[output], text))
        assert NUMBER.split(got) == NUMBER.split(wanted), output
        # The last digits of a score depend on the processor.
        for number, other in zip(NUMBER.findall(got), NUMBER.findall(wanted), strict=True):
            assert float(number) == pytest.approx(float(other), abs=2e-3), output


def test_no_output_is_typed_by_hand() -> None:
    for name in readme.READMES:
        text = Path(readme.ROOT, name).read_text(encoding="utf-8")
        outside = readme.replaced(text, lambda _: "")
        assert "```json" not in outside
        assert "@@" not in text


def test_both_readmes_name_the_same_commands() -> None:
    def commands(name: str) -> list[str]:
        blocks = re.findall(r"```sh\n(.*?)```", Path(readme.ROOT, name).read_text(encoding="utf-8"), re.DOTALL)
        return [line.partition("    #")[0].rstrip() for block in blocks for line in block.splitlines()]

    assert commands("README.md") == commands("README.ja.md")
