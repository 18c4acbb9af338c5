"""What the bounds of answers cost and bring: answers out of reach, and exact match with and without the rules.

    python -m bench.answer_bounds --data ../shared/data [--model model_store/NAME] [--contexts 300] [--questions 200]

Reads everyday/dev, JaQuAD's dev and JSQuAD's valid set, of each a sample that depends on nothing but its size.
`unreachable` is the share of questions with an answer of which no wanted answer is a span that the rules of
app/tasks/answer_bounds.py allow; `unreachable_by_blocks` is the same without them, where any two tokens of a block
bound an answer. Exact match and character F1 are those of the model, on one thread, on `--questions` of each set (0:
not measured), with the rules (`em`) and without (`em_by_blocks`). The last line is JSON.
"""

import argparse
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from app.manifest import TOKENIZER_FILE, Manifest
from app.schemas import QaRequest
from app.settings import Settings
from app.streams import run_module
from app.tasks.answer_bounds import AnswerBounds
from app.tasks.answers import best_answers
from app.tasks.base import documents_of
from app.tasks.qa import bounds_in_turn
from app.text.structure import structure_of
from app.text.tokenizer import Tokenizer
from app.text.windows import question_windows
from app.worker.session import Session
from training.data import QuestionExample
from training.finetune.examples import question_examples
from training.metrics import best_over_references

SETS = {
    "everyday": ("reading-set", "everyday/dev"),
    "jaquad": ("squad", "jaquad/dev"),
    "jsquad": ("squad", "jglue/jsquad-v1.3/valid-v1.3.json"),
}
MAX_ANSWER_TOKENS: int = QaRequest.model_fields["max_answer_length"].default
_EDGES = " \t\n\u3000。"  # what exact match does not count, at the edge of an answer


def sample(examples: Sequence[QuestionExample], contexts: int) -> list[QuestionExample]:
    """The questions with an answer about some of the contexts, all of these questions together."""
    texts = list(dict.fromkeys(example.context for example in examples if example.answers))
    chosen = set(random.Random(0).sample(texts, min(contexts, len(texts))))
    return [example for example in examples if example.answers and example.context in chosen]


def is_reachable(example: QuestionExample, bounds: AnswerBounds) -> bool:
    """Whether one of the wanted answers is a span that the bounds allow."""
    first = {int(start): place for place, start in reversed([*enumerate(bounds.starts)]) if bounds.begins[place]}
    last = {int(stop): place for place, stop in enumerate(bounds.stops) if bounds.ends[place]}
    for answer, at in example.answers:
        start = at + len(answer) - len(answer.lstrip(_EDGES))
        stop = at + len(answer.rstrip(_EDGES))
        if start in first and stop in last and bounds.parts_at_start[first[start]] == bounds.parts_at_stop[last[stop]]:
            return True
    return False


class BoundsMeasurement:
    """The contexts of a set, tokenized once each, and a model that answers about them."""

    def __init__(self, model: Path) -> None:
        self._manifest = Manifest.read(model)
        self._tokenizer = Tokenizer.load(
            model / TOKENIZER_FILE, normaliser=self._manifest.normaliser, segmenter=self._manifest.segmenter
        )
        self._model = model
        self._session: Session | None = None

    def measure(self, examples: Sequence[QuestionExample], questions: int, what: str) -> dict[str, float]:
        """The figures of one set."""
        asked = {example.id for example in random.Random(1).sample(examples, min(questions, len(examples)))}
        read: dict[str, tuple[Any, AnswerBounds, AnswerBounds]] = {}
        unreachable, right, f1 = [0, 0], [0.0, 0.0], [0.0, 0.0]
        for example in tqdm(examples, desc=what, unit="question"):
            if example.context not in read:
                structure = structure_of(example.context)
                tokens = self._tokenizer.encode(example.context, structure)
                segmented = self._manifest.segmenter != "none"
                rules, blocks = bounds_in_turn(structure, tokens, segmented=segmented)
                read[example.context] = (tokens, rules, blocks)
            tokens, *both = read[example.context]
            for place, bounds in enumerate(both):
                unreachable[place] += not is_reachable(example, bounds)
            if example.id in asked:
                given = self._answers(example, tokens, both)
                for place, answer in enumerate(given):
                    scores = best_over_references(answer, [text for text, _ in example.answers])
                    right[place] += scores[0]
                    f1[place] += scores[1]
        figures: dict[str, float] = {"questions": len(examples), "asked": len(asked)}
        for place, name in enumerate(("", "_by_blocks")):
            figures[f"unreachable{name}"] = round(unreachable[place] / len(examples), 4)
            if asked:
                figures[f"em{name}"] = round(right[place] / len(asked), 4)
                figures[f"f1{name}"] = round(f1[place] / len(asked), 4)
        return figures

    def _answers(self, example: QuestionExample, tokens: Any, both: Sequence[AnswerBounds]) -> list[str]:
        """The best answer with the rules, and the best one without."""
        manifest = self._manifest
        if self._session is None:
            self._session = Session(self._model, manifest, Settings(intra_op_threads=1))
        windows = question_windows(
            self._tokenizer.encode(example.question),
            tokens,
            template=self._tokenizer.template,
            max_tokens=manifest.max_tokens,
            doc_stride=manifest.doc_stride,
            overlap_token_type=manifest.overlap_token_type,
        )
        outputs = [self._session.run(self._session.pack([document]))[0] for document in documents_of(windows)]
        answers = []
        for bounds in (both, both[1:]):  # as the service, which falls back to blocks; and blocks alone
            best = best_answers(
                [example.context],
                [bounds],
                [windows],
                [[output["start_logits"] for output in outputs]],
                [[output["end_logits"] for output in outputs]],
                max_answer_tokens=MAX_ANSWER_TOKENS,
                temperature=manifest.temperature,
            )
            answers.append(example.context[best.spans[0].start : best.spans[0].end] if best.spans else "")
        return answers


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.answer_bounds", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with everyday/, jaquad/ and jglue/")
    parser.add_argument("--model", type=Path, default=Path("model_store/nagayomi-small-ja-qa"))
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--contexts", type=int, default=300, help="of each set, whose questions are looked at")
    parser.add_argument("--questions", type=int, default=200, help="of each set, which the model answers; 0: none")
    args = parser.parse_args(arguments)
    reader = BoundsMeasurement(args.model)
    result = {}
    for name in args.sets:
        kind, path = SETS[name]
        examples = sample(question_examples(kind, args.data / path, "paragraph"), args.contexts)
        result[name] = reader.measure(examples, args.questions, name)
    print(json.dumps(result))


if __name__ == "__main__":
    run_module(main)
