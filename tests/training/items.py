"""Scored items made by hand."""

from typing import Any

from training.evaluation.predictions import Scored


def item(given: str = "答", wanted: str | tuple[str, ...] = "答", **changes: Any) -> Scored:
    """An item, right when `given` is the wanted answer, with probability `score`; the null score has the rest.

    A question that its text does not answer wants `()`.
    """
    score = changes.pop("score", 0.5)
    fields: dict[str, Any] = {
        "asked": "問",
        "wanted": (wanted,) if isinstance(wanted, str) else wanted,
        "given": given,
        "measure": float(given == wanted),
        "right": given == wanted,
        "document": "文書",
        "characters": 100,
        "probabilities": (score, 1 - score),
    }
    return Scored(**(fields | changes))
