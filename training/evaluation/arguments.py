"""The arguments of `nagayomi evaluate`, what contradicts what among them, and the command that they stand for.

This module does not know data or models.
"""

import argparse
import shlex
from pathlib import Path

from app.arguments import add_model_store, positive_integer
from app.errors import InvalidInput
from training.config import HELD_OUT_PERCENT

READING_SET = "reading-set"
# The readers of each task; without --reader, the first.
READERS = {
    "qa": ("squad", READING_SET),
    "classify": ("labelled", "kyoto-categories", "livedoor"),
    "summarize": ("summaries", "kyoto-leads", READING_SET),
}
# Readers of data sets without a split: --held-out-percent says which part is scored.
SPLIT_READERS = ("labelled", "kyoto-categories", "livedoor", "summaries", "kyoto-leads")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--suite",
        choices=("jglue",),
        help="score an encoder of any kind, fine-tuned on the tasks of this benchmark",
    )
    parser.add_argument(
        "--served",
        action="store_true",
        help="with --suite: export each fine-tuned model, and ask the service instead of the encoder in torch",
    )
    parser.add_argument(
        "--model",
        required=True,
        help="name of a model in the model store; with --suite, the folder of the fine-tuned models",
    )
    add_model_store(parser)
    parser.add_argument("--task", choices=("qa", "classify", "summarize"))
    parser.add_argument(
        "--data",
        type=Path,
        help="SQuAD JSON (file or folder), JSONL or CSV; with --suite, the folder of data sets (default: data)",
    )
    parser.add_argument(
        "--context",
        choices=("paragraph", "article"),
        default="paragraph",
        help="the text that a question is asked about; article: all paragraphs of a title, joined",
    )
    parser.add_argument(
        "--reader",
        choices=list(dict.fromkeys(reader for readers in READERS.values() for reader in readers)),
        help="format of --data; default: SQuAD JSON, JSONL or CSV of {text, label}, or JSONL of {sentences or text, "
        "summary}, scored whole. reading-set: documents with answerable and unanswerable questions, and with marked "
        "sentences",
    )
    parser.add_argument(
        "--held-out-percent",
        type=positive_integer,
        metavar="PERCENT",
        help="with a --reader of a data set without a split: the share that training held out, which is scored "
        f"(default: {HELD_OUT_PERCENT})",
    )
    parser.add_argument(
        "--min-characters",
        type=int,
        default=0,
        metavar="N",
        help="score only documents of at least this many characters",
    )
    parser.add_argument(
        "--limit",
        type=positive_integer,
        metavar="N",
        help="score only a sample of this many items, always the same sample",
    )
    parser.add_argument(
        "--null",
        action="store_true",
        help="also ask every question about another document of similar length, for the AUROC of the null score",
    )
    parser.add_argument("--baselines", action="store_true", help="also score simple methods on the same data")
    parser.add_argument(
        "--fit-temperature",
        action="store_true",
        help="fit the temperature of the scores on half of the documents and write it into the model's manifest",
    )
    parser.add_argument(
        "--fit-answerability",
        action="store_true",
        help="on half of the documents, fit the threshold of score_diff above which a text is taken not to answer, and "
        "write it into the model's manifest; /info shows it, and clients may send it as null_score_diff_threshold",
    )
    parser.add_argument(
        "--record",
        metavar="DATASET",
        help="write the figures and this command into the model's manifest and card, under this name for the data",
    )
    parser.add_argument("--report", type=Path, metavar="DIR", help="write figures, plots and failures into this folder")
    parser.add_argument("--failures", type=Path, metavar="FILE", help="write the worst answers as JSONL")


# Arguments that change a figure, in the order in which they are shown.
_MEASURED_BY = (
    "model", "task", "data", "context", "reader", "held_out_percent", "min_characters", "limit", "null", "baselines",
)  # fmt: skip


def command(args: argparse.Namespace) -> str:
    """The command that reproduces a recorded figure."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    words = ["nagayomi", "evaluate"]
    for name in _MEASURED_BY:
        value = getattr(args, name)
        if value != parser.get_default(name):
            words += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    return shlex.join(words)


def data_name(data: Path) -> str:
    """The name of data in a manifest: the last two parts of its path."""
    return "/".join(data.resolve().parts[-2:])


# Arguments that an evaluation with --suite takes.
_OF_A_SUITE = ("suite", "served", "model", "data", "limit")


def check_suite(args: argparse.Namespace) -> None:
    """Refuse arguments that --suite would ignore."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    given = [
        f"--{action.dest.replace('_', '-')}"
        for action in parser._actions
        if action.dest not in ("help", *_OF_A_SUITE) and getattr(args, action.dest) != action.default
    ]
    if given:
        raise InvalidInput(f"--suite does not take {', '.join(given)}.")


def check(args: argparse.Namespace) -> None:
    """Refuse arguments that contradict each other, before anything is read."""
    if args.served:
        raise InvalidInput("--served goes with --suite: a model of the store is asked through the service anyway.")
    if args.task is None or args.data is None:
        raise InvalidInput("--task and --data are needed, or --suite.")
    if args.reader not in (None, *READERS[args.task]):
        raise InvalidInput(
            f"--reader {args.reader} has no examples for the task {args.task}; "
            f"allowed are {', '.join(READERS[args.task])}."
        )
    if args.held_out_percent is not None and args.reader not in SPLIT_READERS:
        raise InvalidInput(
            f"--held-out-percent goes with --reader {', '.join(SPLIT_READERS)}: other readers hold nothing out."
        )
    if args.context == "article" and (args.task != "qa" or args.reader == READING_SET):
        raise InvalidInput("--context article is for SQuAD JSON: other readers give whole documents.")
    for option in ("null", "fit_answerability"):
        if getattr(args, option) and args.task != "qa":
            raise InvalidInput(f"--{option.replace('_', '-')} is for --task qa: only answers have a null score.")
    if args.fit_temperature and args.task == "summarize":
        raise InvalidInput(
            "--fit-temperature is for qa and classify: sentences of a summary are neither right nor wrong."
        )
