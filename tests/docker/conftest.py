"""Tests marked `docker` run when they are asked for (`make docker-test`), and where an engine answers."""

import shutil
import subprocess

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    reason = "takes minutes; run by make docker-test" if "docker" not in config.option.markexpr else _missing()
    if reason is not None:
        for item in items:
            if item.get_closest_marker("docker"):
                item.add_marker(pytest.mark.skip(reason=reason))


def _missing() -> str | None:
    """The reason why containers cannot run here, or nothing."""
    if shutil.which("docker") is None:
        return "there is no docker command"
    for command in (["docker", "version"], ["docker", "compose", "version"]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return f"{' '.join(command)}: {done.stderr.strip()}"
    return None
