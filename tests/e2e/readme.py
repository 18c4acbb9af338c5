"""The outputs that the READMEs show, made by doing what they say: requests to a server, commands, recorded figures.

    python -m tests.e2e.readme URL     rewrites README.md and README.ja.md; URL is a running `nagayomi serve`

An output stands between `<!-- output: NAME -->` and `<!-- /output -->`. `test_readme.py` makes all of them again and
compares, so that no README shows what the shipped models do not say.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
READMES = ("README.md", "README.ja.md")
# What the table of models shows; the cards have every figure.
SHOWN = (
    *("f1", "em"),
    *("accuracy", "macro_f1", "majority.accuracy"),
    *("bigram_f1", "lead.bigram_f1", "oracle.bigram_f1"),
)
QUESTION = "工事の責任者に選ばれたのは誰ですか"
_OUTPUT = re.compile(r"(<!-- output: (?P<name>[a-z-]+) -->)(?P<shown>.*?)(<!-- /output -->)", re.DOTALL)


def outputs(url: str) -> dict[str, str]:
    """Every output by name, as it stands between its markers."""
    sample = (ROOT / "app/static/sample.txt").read_text(encoding="utf-8")
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:

        def post(path: str, body: dict[str, Any]) -> str:
            return client.post(path, json=body).text

        summary = json.loads(post("/summarize", {"text": sample, "max_sentences": 2}))
        summary["sentences"] = [sentence for sentence in summary["sentences"] if sentence["selected"]]
        answers = {
            "qa": post("/qa", {"question": QUESTION, "context": sample, "top_k": 2}),
            "summarize": json.dumps(summary, ensure_ascii=False, separators=(",", ":")),
            "classify": post("/classify", {"text": sample, "top_k": 3}),
            "error": post("/qa", {"question": "いつ", "context": " "}),
            "qa-short": post(
                "/qa",
                {
                    "question": "富士山の高さは何メートルですか",
                    "context": "富士山は静岡県と山梨県にまたがる火山である。高さは3776メートルで、日本で最も高い。",
                },
            ),
        }
    made = {name: f"\n```json\n{answer}\n```\n" for name, answer in answers.items()}
    made["command-line"] = f"\n```console\n{_command_line()}\n```\n"
    made["models"] = _models()
    made["sample-characters"] = f"{len(sample):,}"
    # Too long to do again: the last lines of the commands, as they were written to these files.
    for file in sorted((ROOT / "docs/measurements").glob("*.json")):
        made[file.stem] = f"\n```json\n{file.read_text(encoding='utf-8').strip()}\n```\n"
    made["ten-questions"] = _ten_questions(ROOT / "docs/measurements/ten-questions.json")
    return made


def _ten_questions(file: Path) -> str:
    lines = ["| article | characters | question | answer | |", "|---|---|---|---|---|"]
    for item in json.loads(file.read_text(encoding="utf-8"))["questions"]:
        verdict = "right" if item["right"] else f"wrong: {item['wanted']}"
        cells = (item["article"], f"{item['characters']:,}", item["question"], item["given"], verdict)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n" + "\n".join(lines) + "\n"


def _command_line() -> str:
    commands = (
        ["nagayomi", "qa", QUESTION, "app/static/sample.txt"],
        ["nagayomi", "summarize", "--max-sentences", "2", "app/static/sample.txt"],
        ["nagayomi", "classify", "--top-k", "3", "app/static/sample.txt"],
    )
    lines = []
    for command in commands:
        done = subprocess.run(
            [sys.executable, "-m", "app.cli", *command[1:]], cwd=ROOT, check=True, capture_output=True, text=True
        )
        lines += [f"$ {' '.join(command)}", done.stdout.rstrip()]
    return "\n".join(lines)


def _models() -> str:
    lines = ["| model | task | on | result | command |", "|---|---|---|---|---|"]
    for file in sorted((ROOT / "model_store").glob("*/manifest.json")):
        manifest = json.loads(file.read_text(encoding="utf-8"))
        for metric in manifest["metrics"]:
            values = ", ".join(f"{name} {metric['values'][name]:.3f}" for name in SHOWN if name in metric["values"])
            cells = (f"`{manifest['name']}`", manifest["task"], metric["dataset"], values, f"`{metric['command']}`")
            lines.append(f"| {' | '.join(cells)} |")
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
