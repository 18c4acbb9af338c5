import json
import re

import pytest

from export import check_families
from export.check_families import LENGTHS, together
from export.check_parity import main


def test_one_family_of_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """On one head and short documents; the whole of it takes minutes."""
    monkeypatch.setattr(check_families, "FAMILIES", {"luke": type("Luke", (), {"architectures": ("qa",)})})
    assert main(["--family", "luke", "--hidden", "64", "--layers", "1", "--longest", "65"]) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (figures["family"], figures["heads"], figures["lengths"]) == ("luke", ["qa"], [1, 63, 64, 65])
    assert figures["cases"] == 2 * 4 + 2 * (2 + 2 + 3)
    assert 0 < figures["max_abs_diff"] <= 1e-4
    assert figures["batch_invariance"] <= 1e-5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--family", "bert", "--heads", "evidence", "qa"], "the heads qa, .*, rerank, .*; not evidence"),
        (["--heads", "rerank"], "big_bird is compared with the heads .*; not rerank"),
        (["--family", "bert", "--pooling", "mean"], "--pooling goes with --family modernbert and open_provence"),
    ],
)
def test_what_a_family_does_not_have_is_refused(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(options)
    assert re.search(message, capsys.readouterr().err)


def test_every_length_is_packed_with_others() -> None:
    for most in (1, 2, 3, 4, 7, len(LENGTHS)):
        groups = together(LENGTHS[:most])
        assert {length for group in groups for length in group} == set(LENGTHS[:most])
