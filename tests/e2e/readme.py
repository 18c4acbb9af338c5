"""The outputs in the READMEs, made with the commands next to them: requests to a server, commands, recorded figures.

    python -m tests.e2e.readme URL     rewrites README.md and README.ja.md; URL is a running `nagayomi serve`

An output stands between `<!-- output: NAME -->` and `<!-- /output -->`. `test_readme.py` makes all of them again and
compares, so that no README shows what the shipped models do not say.
"""

import contextlib
import io
import json
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from app import cli
from tests.e2e.checkpoints import make_checkpoints

ROOT = Path(__file__).parents[2]
READMES = ("README.md", "README.ja.md", "docs/measurements.md", "docs/operations.md")
# What the table of models shows of each task: the measure, and in words what it means. The cards have every figure.
SHOWN = {
    "qa": (
        ("em", "{:.0%} of the answers exactly right"),
        ("f1", "F1 {:.2f}"),
        ("answerability_auroc", "AUROC of “not stated” {:.2f}"),
    ),
    "summarize": (
        ("marks_found", "finds {:.0%} of the sentences that a reader marked"),
        ("lead.marks_found", "the first sentences: {:.0%}"),
    ),
    "classify": (("accuracy", "{:.0%} of the labels right"), ("macro_f1", "macro-F1 {:.2f}")),
}
QUESTION = "工事の責任者に選ばれたのは誰ですか"
PDF = ROOT / "tests/app/files/data/libreoffice-horizontal.pdf"
QUESTION_OF_PDF = "一人何冊まで借りられますか"
_OUTPUT = re.compile(r"(<!-- output: (?P<name>[a-z-]+) -->)(?P<shown>.*?)(<!-- /output -->)", re.DOTALL)


def outputs(url: str) -> dict[str, str]:
    """Every output by name, as it stands between its markers."""
    sample = (ROOT / "app/static/samples/history.txt").read_text(encoding="utf-8")
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:

        def post(path: str, body: dict[str, Any]) -> Any:
            return client.post(path, json=body).json()

        qa = post("/qa", {"question": QUESTION, "context": sample, "top_k": 2})
        summary = post("/summarize", {"text": sample, "max_sentences": 2})
        short = post(
            "/qa",
            {
                "question": "富士山の高さは何メートルですか",
                "context": "富士山は静岡県と山梨県にまたがる火山である。高さは3776メートルで、日本で最も高い。",
            },
        )
        with PDF.open("rb") as pdf:
            in_file = client.post("/qa", data={"question": QUESTION_OF_PDF}, files={"file": pdf}).json()
        answers = {
            "files": [in_file["results"][0]["answers"][0]],
            "qa": [qa["results"][0]],
            "summarize": [sentence for sentence in summary["sentences"] if sentence["selected"]],
            "error": [post("/qa", {"question": "いつ", "context": " "})],
            "qa-short": [short["results"][0]],
        }
    made = {}
    for name, objects in answers.items():
        lines = [json.dumps(_rounded(one), ensure_ascii=False, separators=(",", ":")) for one in objects]
        made[name] = "\n".join(["", "```json", *lines, "```", ""])
    made["command-line"] = f"\n```console\n{_command_line()}\n```\n"
    made["checkpoints"] = f"\n```console\n{_checkpoints()}\n```\n"
    made["models"] = _models()
    made["sample-characters"] = f"{len(sample):,}"
    # Too long to do again: the last lines of the commands, as they were written to these files.
    for file in sorted((ROOT / "docs/measurements").glob("*.json")):
        made[file.stem] = f"\n```json\n{file.read_text(encoding='utf-8').strip()}\n```\n"
    made["ten-questions"] = _ten_questions(ROOT / "docs/measurements/ten-questions.json")
    return made


def _rounded(value: Any) -> Any:
    """The value with numbers of three decimals, and without nulls."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return round(value, 3) if isinstance(value, float) else value


def _ten_questions(file: Path) -> str:
    lines = ["| document | question | answer | |", "|---|---|---|---|"]
    for item in json.loads(file.read_text(encoding="utf-8"))["questions"]:
        verdict = "right" if item["right"] else f"wrong: {item['wanted'] or 'not stated'}"
        cells = (item["document"], item["question"], item["given"] or "(not stated)", verdict)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n" + "\n".join(lines) + "\n"


def _command_line() -> str:
    commands = (
        ["nagayomi", "qa", QUESTION, "app/static/samples/history.txt"],
        ["nagayomi", "qa", QUESTION_OF_PDF, str(PDF.relative_to(ROOT))],
        ["nagayomi", "qa", "賃料は月額いくらですか", "app/static/samples"],
        ["nagayomi", "summarize", "--max-sentences", "2", "app/static/samples/history.txt"],
        ["nagayomi", "classify", "--top-k", "3", "app/static/samples/history.txt"],
    )
    lines = []
    for command in commands:
        done = subprocess.run(
            [sys.executable, "-m", "app.cli", *command[1:]], cwd=ROOT, check=True, capture_output=True, text=True
        )
        lines += [f"$ {' '.join(command)}", done.stdout.rstrip()]
    return "\n".join(lines)


def _checkpoints() -> str:
    """Exports of tiny checkpoints, in a folder of their own; what is said of one that leaves something open as well."""
    export = "nagayomi export --checkpoint checkpoints"
    commands = (
        f"{export}/bert-base-japanese-v3 --task classify --out model_store/topics",
        f"{export}/modernbert-reranker --task rerank --out model_store/reranker",
        f"{export}/roberta-base --task qa --out model_store/reader",
        f"{export}/roberta-base --task qa --out model_store/reader --special-tokens '[CLS]' '[SEP]' --first-position 0",
    )
    lines = []
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        make_checkpoints(Path("checkpoints"))
        for command in commands:
            said = io.StringIO()
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                cli.main(shlex.split(command)[1:])
            lines += [f"$ {command}", said.getvalue().rstrip()]
    return "\n".join(lines)


def _models() -> str:
    lines = ["| model | on | result |", "|---|---|---|"]
    for file in sorted((ROOT / "model_store").glob("*/manifest.json")):
        manifest = json.loads(file.read_text(encoding="utf-8"))
        for metric in manifest["metrics"]:
            values = metric["values"]
            words = ", ".join(form.format(values[name]) for name, form in SHOWN[manifest["task"]] if name in values)
            lines.append(f"| `{manifest['name']}` | {metric['dataset']} | {words} |")
    return "\n" + "\n".join(lines) + "\n"


def shown(readme: str) -> dict[str, str]:
    """The outputs that a README shows, by name."""
    text = (ROOT / readme).read_text(encoding="utf-8")
    return {match["name"]: match["shown"] for match in _OUTPUT.finditer(text)}


def replaced(text: str, made: Callable[[str], str]) -> str:
    return _OUTPUT.sub(lambda match: match[1] + made(match["name"]) + match[4], text)


def main() -> int:
    (url,) = sys.argv[1:]
    made = outputs(url)
    for name in READMES:
        file = ROOT / name
        file.write_text(replaced(file.read_text(encoding="utf-8"), lambda output: made[output]), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
