"""The clock of a request's stages, in virtual time."""

from app.telemetry import StageClock


def test_stages_add_up() -> None:
    now = 0.0
    clock = StageClock(lambda: now)
    now = 1.0
    clock.lap("tokenize")
    now = 4.5
    clock.ran(queue_s=2.0, infer_s=1.0)  # half a second was the way there and back
    now = 5.0
    clock.lap("decode")
    timings = clock.timings()
    assert timings.model_dump() == {
        "tokenize_ms": 1000, "queue_ms": 2000, "infer_ms": 1000, "decode_ms": 500, "total_ms": 5000,
    }  # fmt: skip
