"""The Dockerfile, without an engine: its version and its variables are those of the project.

Contents, user and end of the images are tested on the images (test_containers.py).
"""

import re

from app import __version__
from tests.docker.compose_files import ROOT, SETTINGS, text


def test_version_and_variables_are_those_of_the_project() -> None:
    dockerfile = text("docker/Dockerfile")
    assert f"ARG VERSION={__version__}\n" in dockerfile
    assert set(re.findall(r"NAGAYOMI_[A-Z_]+", dockerfile)) <= SETTINGS


def test_nothing_leaves_the_working_tree_that_is_not_named() -> None:
    _, everything, *lines = text(".dockerignore").splitlines()
    assert everything == "*"
    assert all((ROOT / line[1:]).exists() for line in lines if line.startswith("!"))
