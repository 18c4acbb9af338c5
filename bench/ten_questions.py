"""Ten questions over three whole articles of JaQuAD's development set, answered by a served model.

    python -m bench.ten_questions --data DATA/jaquad/dev [--model nagayomi-small-ja-qa]

They are an example, not a measure: the articles and questions were chosen among those the shipped model answers. How
often it is right over all of them, `nagayomi evaluate` says. The last line is JSON: `right`, and each question with its
article, the length of that in characters, the answer wanted and the answer given.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.service import Service
from training.data import DataError, QuestionExample, read_squad
from training.evaluation.predictions import ask_questions, evaluation_settings

QUESTIONS = (
    *("de-045-00-000", "de-045-00-002", "de-045-05-002", "de-045-14-002"),  # 国崎町
    *("de-049-00-002", "de-049-05-001", "de-049-06-000"),  # ゾング号事件
    *("de-007-01-002", "de-007-02-002", "de-007-03-000"),  # アルトン・エリス
)


def examples_of(data: Path, ids: Sequence[str]) -> list[QuestionExample]:
    """The questions of these ids, each with its whole article.

    Raises:
        DataError: the data cannot be read, or lacks one of them.
    """
    found = {example.id: example for example in read_squad(data, "article") if example.id in ids}
    if missing := [name for name in ids if name not in found]:
        raise DataError(f"{data} has no question {', '.join(missing)}: this is not JaQuAD's development set.")
    return [found[name] for name in ids]


async def answers(model_store: Path, model: str, examples: Sequence[QuestionExample]) -> list[dict[str, Any]]:
    async with Service.open(evaluation_settings(model_store), tasks=["qa"]) as service:
        scored = await ask_questions(service, model, examples)
    return [
        {
            "article": item.document,
            "characters": item.characters,
            "question": item.asked,
            "wanted": item.wanted[0],
            "given": item.given,
            "score": round(item.probabilities[0], 3),
            "right": item.right,
        }
        for item in scored
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.ten_questions",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="JaQuAD's development set: a folder of SQuAD JSON")
    parser.add_argument("--model-store", type=Path, default=Path("model_store"))
    parser.add_argument("--model", default="nagayomi-small-ja-qa")
    args = parser.parse_args(arguments)
    try:
        examples = examples_of(args.data, QUESTIONS)
    except DataError as error:
        raise SystemExit(str(error)) from None
    given = asyncio.run(answers(args.model_store, args.model, examples))
    print(json.dumps({"right": sum(item["right"] for item in given), "questions": given}, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
