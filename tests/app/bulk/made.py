"""Lines made for tests of bulk work."""

from typing import Any


def questions(count: int) -> list[dict[str, Any]]:
    """Texts of many lengths, each with an answer of its own."""
    return [
        {"id": f"q{number}", "question": "何?", "context": "前" * (number * 37 % 400) + f"《{number}》" + "後。"}
        for number in range(count)
    ]
