import json

import pytest

from bench import forward

FIGURES = {
    "ours_s",
    "transformers_block_sparse_s",
    "transformers_full_s",
    "ratio_block_sparse",
    "ratio_full",
    "tokens",
}


def test_the_last_line_holds_the_figures(capsys: pytest.CaptureFixture[str]) -> None:
    assert forward.main(["--layers", "1", "--hidden", "64", "--repeats", "1", "--threads", "1"]) == 0
    captured = capsys.readouterr()
    figures = json.loads(captured.out.splitlines()[-1])
    assert figures.keys() == FIGURES | {
        "at_1024",
        "dense_products_s",
        "weights_bytes",
        "peak_above_weights_bytes",
        "growth",
    }
    assert figures["at_1024"].keys() == FIGURES
    for part, tokens in ((figures, 4096), (figures["at_1024"], 1024)):
        assert part["tokens"] == tokens
        for name in FIGURES - {"tokens"}:
            assert isinstance(part[name], float)
            assert part[name] > 0
    # A vocabulary of 32,000 and 4,096 positions, 64 wide, in fp32.
    assert figures["weights_bytes"] > 4 * 64 * (32_000 + 4_096)
    assert isinstance(figures["peak_above_weights_bytes"], int)
    assert figures["growth"].keys() == {"from_tokens", "to_tokens", "time", "memory"}
    assert figures["growth"]["time"] > 0
    assert figures["growth"]["memory"] > 0
    assert "forward passes" in captured.err


def test_report_divides_what_it_should() -> None:
    medians = {
        ("ours", 1024): 1.0,
        ("ours", 2048): 2.0,
        ("ours", 4096): 5.0,
        ("block_sparse", 1024): 3.0,
        ("block_sparse", 4096): 15.0,
        ("original_full", 1024): 4.0,
        ("original_full", 4096): 50.0,
        ("dense_products", 4096): 4.0,
    }
    memory = {2048: {"before": 100, "peak": 150}, 4096: {"before": 100, "peak": 210}}
    figures = forward.report(medians, memory, weights_bytes=60)
    assert (figures["ratio_block_sparse"], figures["ratio_full"]) == (3.0, 10.0)
    assert figures["at_1024"]["ratio_full"] == 4.0
    assert figures["dense_products_s"] == 4.0
    assert figures["peak_above_weights_bytes"] == 150
    assert figures["growth"] == {"from_tokens": 2048, "to_tokens": 4096, "time": 2.5, "memory": 2.2}


def test_documents_have_one_question() -> None:
    document = forward.document(1024)
    assert document.question_length == 20
    assert (document.input_ids == forward.SEP).sum() == 1
    assert document.token_type_ids.sum() == 1004


def test_another_family_is_timed_at_the_lengths_it_reads(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--family", "bert", "--layers", "1", "--hidden", "64", "--repeats", "1", "--threads", "1"]
    assert forward.main(arguments) == 0
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures.keys() == {"family", "layers", "hidden", "at_512"}
    assert figures["at_512"].keys() == {
        "ours_s",
        "transformers_eager_s",
        "transformers_sdpa_s",
        "ratio_eager",
        "ratio_sdpa",
    }
    assert all(value > 0 for value in figures["at_512"].values())
