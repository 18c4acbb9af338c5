"""The Dockerfile, without an engine: what its two images share, and that nothing else of the tree gets into them."""

import re

import pytest

from app import __version__
from tests.docker.compose_files import BASE_USER, ROOT, SETTINGS, text

DOCKERFILE = text("docker/Dockerfile").replace("\\\n", " ")
_STAGE = re.compile(r"^FROM (\S+) AS (\S+)\n(.*?)(?=^FROM |\Z)", re.MULTILINE | re.DOTALL)
STAGES = {name: (base, body) for base, name, body in _STAGE.findall(DOCKERFILE)}
IMAGES = ("cpu", "gpu")


def test_without_a_target_the_image_that_runs_anywhere_is_built() -> None:
    assert list(STAGES)[-1] == "cpu"


def test_no_frontend_is_fetched() -> None:
    assert "syntax=" not in text("docker/Dockerfile")


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_runs_as_the_user_of_the_compose_file(image: str) -> None:
    base, body = STAGES[image]
    assert base == "runtime"
    assert re.findall(r"^USER (.*)$", body, re.MULTILINE) == [BASE_USER]
    assert f"useradd --uid {BASE_USER.partition(':')[0]} " in STAGES["runtime"][1]


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_holds_what_was_built_and_nothing_else(image: str) -> None:
    copied = re.findall(r"^COPY (.*)$", STAGES["runtime"][1] + STAGES[image][1], re.MULTILINE)
    assert copied == [
        f"--from=dependencies-{image} /opt/nagayomi /opt/nagayomi",
        "--from=project /models /models",
        "--from=project /opt/nagayomi /opt/nagayomi",
    ]


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_says_whether_it_is_ready(image: str) -> None:
    assert re.search(
        r'^HEALTHCHECK --start-period=\d+m .*CMD \["python", "/opt/nagayomi/healthcheck.py"\]$',
        STAGES[image][1],
        re.MULTILINE,
    )


def test_an_image_is_stopped_by_the_signal_that_drains() -> None:
    body = STAGES["runtime"][1]
    assert "STOPSIGNAL SIGTERM\n" in body
    assert 'ENTRYPOINT ["nagayomi"]\n' in body


def test_versions_and_variables_are_those_of_the_project() -> None:
    assert f"ARG VERSION={__version__}\n" in DOCKERFILE
    assert set(re.findall(r"NAGAYOMI_[A-Z_]+", DOCKERFILE)) <= SETTINGS


def test_only_what_is_copied_leaves_the_working_tree() -> None:
    lines = text(".dockerignore").splitlines()
    allowed = {line[1:] for line in lines if line.startswith("!")}
    copied = {
        source
        for _, body in STAGES.values()
        for arguments in re.findall(r"^COPY (?!--from)(.*)$", body, re.MULTILINE)
        for source in arguments.split()[:-1]
    }
    assert lines[1] == "*"
    assert allowed == copied
    assert all((ROOT / source).exists() for source in copied)
