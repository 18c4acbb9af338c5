"""Ten questions about the sample documents of the web page, answered by a served model.

    python -m bench.ten_questions [--model nagayomi-small-ja-qa]

The questions were written before any model had answered them, and stay even when an answer is wrong. One of them has
no answer in its document. They are an example, not a measurement: `nagayomi evaluate` measures. The last line is JSON:
`right`, and each question with its document, the right answer and the given answer.
"""

import argparse
import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.schemas import QaRequest
from app.service import Service
from app.settings import Settings
from app.streams import run_module
from app.tasks.qa import QA
from training.metrics import best_over_references

SAMPLES = Path(__file__).parents[1] / "app" / "static" / "samples"
NOT_STATED = ""


@dataclass(frozen=True)
class Question:
    """A question about a sample, and its right answers; none where the document does not answer it."""

    document: str
    text: str
    wanted: tuple[str, ...]


QUESTIONS = (
    Question("contract", "賃料は月額いくらですか", ("8,800円",)),
    Question("contract", "契約期間は何年間ですか", ("２年間",)),
    Question(
        "contract",
        "敷金の残額はいつまでに返してもらえますか",
        ("本契約が終了し本駐車場の明渡しを受けた日から30日以内", "明渡しを受けた日から30日以内", "30日以内"),
    ),
    Question("contract", "連帯保証人は誰ですか", ()),
    Question("minutes", "夏祭りの会場はどこに変わりましたか", ("青葉台小学校の校庭", "青葉台小学校")),
    Question("minutes", "防犯灯の工事はいつ始まりますか", ("７月22日",)),
    Question("minutes", "ごみの収集枠は１台いくらですか", ("28,600円",)),
    Question("manual", "充電にはどのくらい時間がかかりますか", ("約３時間30分", "３時間30分")),
    Question("manual", "フィルターはどのくらいの頻度で洗いますか", ("月に１回",)),
    Question("manual", "保証期間はどのくらいですか", ("１年間", "お買い上げの日から１年間")),
)


async def answers(model_store: Path, model: str) -> list[dict[str, Any]]:
    """Each question with the answer of the served model; empty where the model finds no answer."""
    found = []
    async with Service.open(Settings(model_store=model_store), tasks=["qa"]) as service:
        for question in QUESTIONS:
            context = (SAMPLES / f"{question.document}.txt").read_text(encoding="utf-8")
            response = await service.answer(QA, QaRequest(question=question.text, context=context, model=model))
            (result,) = response.results
            best = result.answers[0]
            given = best.text if best.score >= result.null_score else NOT_STATED
            found.append(
                {
                    "document": question.document,
                    "question": question.text,
                    "wanted": question.wanted[0] if question.wanted else NOT_STATED,
                    "given": given,
                    "right": best_over_references(given, question.wanted)[0] == 1.0,
                }
            )
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.ten_questions",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model-store", type=Path, default=Path("model_store"))
    parser.add_argument("--model", default="nagayomi-small-ja-qa")
    args = parser.parse_args(arguments)
    given = asyncio.run(answers(args.model_store, args.model))
    print(json.dumps({"right": sum(item["right"] for item in given), "questions": given}, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    run_module(main)
