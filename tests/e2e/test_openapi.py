"""schemathesis against the running server: what its OpenAPI schema promises holds, with every check on.

tests/e2e/schemathesis.toml names the exceptions, and why. By hand, against any server:
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
def test_schemathesis(server: Server, tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("st")
    command = [program, "--config-file", CONFIG, "run", f"{server.url}/openapi.json"]
    result = subprocess.run(
        [*command, "--max-examples=10", "--seed=1", "--continue-on-failure", "--no-color"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_PROXY": "*"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )
    assert result.returncode == 0, result.stdout
