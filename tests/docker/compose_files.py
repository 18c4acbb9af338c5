"""Reads Dockerfile, compose files and .env.example, as far as the tests ask."""

import re
from pathlib import Path
from typing import Any

import yaml

from app.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE_FILES = ("compose.yaml", "docker/compose.cpu.yaml", "docker/compose.keys.yaml")
SETTINGS = {f"NAGAYOMI_{name.upper()}" for name in Settings.model_fields}
_VARIABLE = re.compile(r"\$\{([A-Z_]+)[^}]*\}")
_ASSIGNMENT = re.compile(r"^#?([A-Z_]+)=(.*)$", re.MULTILINE)


class _Loader(yaml.SafeLoader):
    """YAML with the two tags of Compose."""


def _override(loader: _Loader, node: yaml.SequenceNode) -> list[Any]:
    return loader.construct_sequence(node)


_Loader.add_constructor("!reset", lambda loader, node: None)
_Loader.add_constructor("!override", _override)


def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def compose(path: str) -> dict[str, Any]:
    """One compose file, by itself."""
    content: dict[str, Any] = yaml.load(text(path), _Loader)
    return content


def interpolated() -> set[str]:
    """The variables that the compose files ask for."""
    return {name for path in COMPOSE_FILES for name in _VARIABLE.findall(text(path))}


def examples() -> dict[str, str]:
    """What .env.example sets or shows commented out, by name."""
    return dict(_ASSIGNMENT.findall(text(".env.example")))


def default_of(variable: str) -> str:
    """The value that compose.yaml takes for a variable that is not set."""
    match = re.search(rf"\$\{{{variable}:-([^}}]*)\}}", " ".join(text(path) for path in COMPOSE_FILES))
    assert match is not None, variable
    return match[1]


BASE_USER: str = compose("compose.yaml")["services"]["gateway"]["user"]
