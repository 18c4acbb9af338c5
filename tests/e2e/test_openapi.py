"""Runs schemathesis against the server, with every check on: the server keeps the promises of its OpenAPI schema.

tests/e2e/schemathesis.toml lists the exceptions and their reasons. By hand, against any server:
`st --config-file tests/e2e/schemathesis.toml run http://127.0.0.1:8080/openapi.json`
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT, Server

CONFIG = Path(__file__).with_name("schemathesis.toml")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("examples", [3, pytest.param(30, marks=pytest.mark.slow)])
def test_schemathesis(server: Server, tmp_path: Path, examples: int) -> None:
    program = Path(sys.executable).with_name("st")
    command = [str(program), "--config-file", str(CONFIG), "run", f"{server.url}/openapi.json"]
    result = subprocess.run(
        [*command, f"--max-examples={examples}", "--seed=1", "--continue-on-failure", "--no-color"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_PROXY": "*"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )
    assert result.returncode == 0, result.stdout
