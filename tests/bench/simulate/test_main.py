"""The command: its output, and costs fitted to the answers of a service."""

import json
from pathlib import Path

import pytest

from app.errors import InvalidInput
from bench.simulate.__main__ import main
from bench.simulate.measured import Answered, as_outcome, as_requests, costs_of
from bench.simulate.simulation import Costs, Request


def test_a_given_engine(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    picture = tmp_path / "load.png"
    arguments = ["--batch-ms", "8", "--token-us", "50", "--rate", "2", "--duration", "30", "--target-rate", "40"]
    assert main([*arguments, "--plot", str(picture)]) == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["answered"] > 30
    assert report["costs"] == {"batch_s": 0.008, "token_s": 5e-5, "request_s": 0.001, "text_token_s": 2e-6}
    assert report["p50_ms"] <= report["p99_ms"]
    assert report["replicas"] > 1
    assert [point["rate"] for point in report["sweep"]] == sorted(point["rate"] for point in report["sweep"])
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_an_engine_must_be_named() -> None:
    with pytest.raises(SystemExit, match="--batch-ms and --token-us"):
        main(["--rate", "2"])
    with pytest.raises(SystemExit, match="--check needs the address"):
        main(["--check"])


@pytest.mark.parametrize("option", [["--target-rate", "40"], ["--plot", "x.png"], ["--check"]])
def test_recorded_arrivals_go_with_nothing_that_draws_its_own(
    option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["--batch-ms", "8", "--token-us", "50", "--arrivals", "x.csv", *option])
    assert f"{option[0]} draws arrivals of its own; --arrivals does not go with it." in capsys.readouterr().err


def test_recorded_arrivals_that_are_none_are_said_in_words(tmp_path: Path) -> None:
    file = tmp_path / "arrivals.csv"
    file.write_text("0.5,100\nsoon,100\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match="line 2: expected seconds,tokens, found 'soon,100'"):
        main(["--batch-ms", "8", "--token-us", "50", "--arrivals", str(file)])


def test_without_an_answer_there_is_no_latency(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "arrivals.csv"
    file.write_text("0.5,100\n", encoding="utf-8")
    main(["--batch-ms", "5000", "--token-us", "50", "--request-timeout-s", "1", "--arrivals", str(file)])
    report = json.loads(capsys.readouterr().out.splitlines()[-1], parse_constant=pytest.fail)
    assert (report["answered"], report["expired"], report["p50_ms"]) == (0, 1, None)


def test_costs_are_fitted_exactly_to_exact_times() -> None:
    costs = Costs(batch_s=0.01, token_s=1e-4, request_s=0.002, text_token_s=1e-5)

    def answered(tokens: int, padded: int) -> Answered:
        infer_s = costs.batch_s + costs.token_s * padded
        around = costs.request_s + costs.text_token_s * tokens
        return Answered(0.0, infer_s + around + 0.5, 0.5, infer_s, (tokens,))

    fitted = costs_of([answered(10, 64), answered(100, 128), answered(1000, 1024), answered(4000, 4032)])
    assert (fitted.batch_s, fitted.token_s, fitted.request_s, fitted.text_token_s) == pytest.approx(
        (costs.batch_s, costs.token_s, costs.request_s, costs.text_token_s)
    )


def test_a_real_run_in_the_terms_of_the_simulation() -> None:
    run = [Answered(2.0, 1.0, 0.0, 0.9, (10, 10)), Answered(1.0, 4.0, 0.0, 0.9, (30,))]
    assert as_requests(run) == [Request(1.0, (30,)), Request(2.0, (10, 10))]
    outcome = as_outcome(run)
    assert (outcome.latencies_s, outcome.seconds, outcome.tokens) == ([4.0, 1.0], 4.0, 50)
