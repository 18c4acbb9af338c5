"""Figures and tables of loads made by hand."""

from typing import Any

from bench.load_test.client import Result
from bench.load_test.loops import Measured
from bench.load_test.summary import Table, as_text, remarks, summary, tables

STAGES = {"tokenize": 1.0, "queue": 2.0, "infer": 30.0, "decode": 0.5, "total": 34.0}
# Latencies 100 and 250 ms in time, 3,000 ms after the last was sent; one refused, one lost.
MEASURED = Measured(
    [
        Result("/qa", 100, 0.0, 0.0, 0.1, "200", 64, STAGES),
        Result("/classify", 300, 0.5, 0.52, 0.75, "200", 200, {**STAGES, "infer": 60.0}),
        Result("/qa", 20_000, 1.0, 1.0, 1.1, "429", message="The queue is full."),
        Result("/qa", 256, 1.5, 1.5, 1.6, "connection lost"),
        Result("/qa", 1023, 2.0, 2.0, 5.0, "200", 700, STAGES),
    ],
    seconds=2.0,
    cpu_share=0.25,
)


def flat(value: float) -> dict[str, float]:
    return {"p50": value, "p90": value, "p99": value}


def test_all_figures() -> None:
    assert summary(MEASURED, 300.0) == {
        "sent": 5,
        "answered": 3,
        "unfinished": 0,
        "interrupted": False,
        "seconds": 2.0,
        "requests_per_s": 1.0,
        "tokens_per_s": 132.0,
        "objective_ms": 300.0,
        "goodput_per_s": 1.0,
        "good_share": 0.4,
        "statuses": {"200": 3, "429": 1, "connection lost": 1},
        "errors": {"429": "The queue is full."},
        "latency_ms": {"p50": 250.0, "p90": 3000.0, "p99": 3000.0},
        "stages_ms": {
            "tokenize": flat(1.0),
            "queue": flat(2.0),
            "infer": {"p50": 30.0, "p90": 60.0, "p99": 60.0},
            "decode": flat(0.5),
            "total": flat(34.0),
        },
        "endpoints": {
            "/classify": {"statuses": {"200": 1}, "tokens": 200, "latency_ms": flat(250.0)},
            "/qa": {
                "statuses": {"200": 2, "429": 1, "connection lost": 1},
                "tokens": 764,
                "latency_ms": {"p50": 100.0, "p90": 3000.0, "p99": 3000.0},
            },
        },
        "lengths": [
            {"from_characters": 0, "below_characters": 256, "sent": 1, "answered": 1, "latency_ms": flat(100.0)},
            {
                "from_characters": 256,
                "below_characters": 1024,
                "sent": 3,
                "answered": 2,
                "latency_ms": {"p50": 250.0, "p90": 3000.0, "p99": 3000.0},
            },
            {
                "from_characters": 16384,
                "below_characters": None,
                "sent": 1,
                "answered": 0,
                "latency_ms": {"p50": None, "p90": None, "p99": None},
            },
        ],
        "client": {"late_p99_ms": 20.0, "cpu_share": 0.25, "keeps_up": False},
    }


def test_whether_a_client_keeps_up_depends_on_its_delay_and_its_core() -> None:
    def keeps_up(objective_ms: float, cpu_share: float) -> Any:
        return summary(Measured(MEASURED.results, 2.0, cpu_share), objective_ms)["client"]["keeps_up"]

    assert [keeps_up(400.0, 0.9), keeps_up(399.0, 0.9), keeps_up(400.0, 0.91)] == [True, False, False]


def test_nothing_measured() -> None:
    figures = summary(Measured([], 0.0, unfinished=2, interrupted=True), 300.0)
    none = {"p50": None, "p90": None, "p99": None}
    assert (figures["sent"], figures["answered"], figures["good_share"]) == (2, 0, None)
    assert (figures["requests_per_s"], figures["goodput_per_s"], figures["latency_ms"]) == (0.0, 0.0, none)
    assert remarks(figures) == ["Interrupted; 2 requests in flight count only in `sent`."]
    assert len(tables(figures)) == 4


def test_the_report_in_words() -> None:
    figures = summary(MEASURED, 300.0)
    assert "\n\n".join(map(as_text, tables(figures))) == "\n".join(
        [
            "sent        5 requests in 2.0 s",
            "answered    200: 3, 429: 1, connection lost: 1",
            "throughput  1.00 requests/s, 132 tokens/s",
            "goodput     1.00 requests/s within 300 ms (40.0% of those sent)",
            "",
            "milliseconds      p50        p90        p99",
            "client          250.0    3,000.0    3,000.0",
            "tokenize          1.0        1.0        1.0",
            "queue             2.0        2.0        2.0",
            "infer            30.0       60.0       60.0",
            "decode            0.5        0.5        0.5",
            "total            34.0       34.0       34.0",
            "",
            "milliseconds at the client, by endpoint    sent      p50        p90        p99",
            "/classify                                     1    250.0      250.0      250.0",
            "/qa                                           4    100.0    3,000.0    3,000.0",
            "",
            "milliseconds at the client, by characters    sent      p50        p90        p99",
            "below 256                                       1    100.0      100.0      100.0",
            "256 to 1,023                                    3    250.0    3,000.0    3,000.0",
            "16,384 and more                                 1        –          –          –",
        ]
    )
    assert remarks(figures) == [
        "429: The queue is full.",
        "The client could not keep up (p99 of its delay 20.0 ms, 25% of a core): latencies include its own delay. "
        "Run it on a separate machine, or on several.",
        "3 answers: the 99th percentile is the slowest of them.",
    ]


def test_columns_are_as_wide_as_their_cells() -> None:
    assert as_text(Table("t", ("a",), [("long name", "1"), ("x", "1,000")])) == (
        "t                a\nlong name        1\nx            1,000"
    )
