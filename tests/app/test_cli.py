"""The command line on handmade models: files and standard input, output for people and machines, errors."""

import hashlib
import os
import pty
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest

from app import __version__
from app.cli import COMMANDS, main
from app.settings import Settings

TEXT = "前の文。ここに《答え》があります。後の文。"


@pytest.fixture(autouse=True)
def _settings_of_the_test(handmade_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAGAYOMI_MODEL_STORE", str(handmade_models))
    monkeypatch.setenv("NAGAYOMI_INTRA_OP_THREADS", "1")


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "document.txt"
    path.write_bytes(TEXT.encode())
    return path


def _run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        [sys.executable, "-m", "app.cli", *arguments],
        encoding="utf-8",
        timeout=60,
        **{"capture_output": True, **options},
    )


@pytest.mark.parametrize(
    "arguments",
    [[], ["translate"], ["qa"], ["summarize", "--ratio", "1", "--max-sentences", "1"]],
)
def test_impossible_command_lines_are_exit_code_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2


def test_a_store_without_models_is_exit_code_1(
    document: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["qa", "何?", str(document), "--model-store", str(tmp_path / "nowhere")]) == 1
    assert "is not a directory" in capsys.readouterr().err


def test_one_model_named_is_the_only_one_loaded(
    document: Path, handmade_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (handmade_store / "hand-qa-broken").mkdir()
    store = ["--model-store", str(handmade_store)]
    assert main(["qa", "何?", str(document), "--model", "hand-qa", *store]) == 0
    assert "【《答え》】" in capsys.readouterr().out


def test_colour_is_for_terminals_only(document: Path) -> None:
    assert "\x1b" not in _run("qa", "何?", str(document)).stdout
    assert "\x1b[1;30;43m《答え》\x1b[0m" in _output_on_a_terminal("qa", "何?", str(document))
    assert "【《答え》】" in _output_on_a_terminal("qa", "何?", str(document), NO_COLOR="1")


def _output_on_a_terminal(*arguments: str, **environment: str) -> str:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", **environment}
    result = _run(*arguments, stdout=theirs, stderr=subprocess.PIPE, capture_output=False, env=environment)
    os.close(theirs)
    assert result.returncode == 0, result.stderr
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        return terminal.read(100_000).decode()


def test_output_is_utf8_in_any_locale(document: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    result = _run("qa", "何?", str(document), "--json", env=environment)
    assert "《答え》" in result.stdout


def test_a_reader_that_leaves_is_no_traceback(document: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    result = _run("qa", "何?", str(document), stdout=writer, stderr=subprocess.PIPE, capture_output=False)
    os.close(writer)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "Exception" not in result.stderr


def test_the_version_needs_no_library() -> None:
    code = (
        "import sys, app.cli\n"
        "try: app.cli.main(['--version'])\n"
        "except SystemExit: print(sorted({'numpy', 'pydantic', 'onnxruntime', 'fastapi', 'torch'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.splitlines() == [f"nagayomi {__version__}", "[]"]


def test_asking_needs_neither_torch_nor_the_server(document: Path) -> None:
    code = (
        "import sys, app.cli\n"
        f"code = app.cli.main(['qa', '何?', {str(document)!r}])\n"
        "print(code, sorted({'torch', 'transformers', 'fastapi', 'uvicorn', 'export', 'training'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.splitlines()[-1] == "0 []"


@pytest.mark.parametrize(("command", "extra"), [("export", "export"), ("finetune", "train")])
def test_a_missing_package_names_the_extra(command: str, extra: str) -> None:
    code = f"import sys; sys.modules['torch'] = None; import app.cli; sys.exit(app.cli.main([{command!r}, '--help']))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 1
    assert result.stderr == (
        f"nagayomi: this command needs the package torch; install the extra `{extra}`: "
        f"pip install 'nagayomi[{extra}]', or pip install -e '.[{extra}]' in a clone.\n"
    )


def test_without_the_extra_files_the_servers_start_and_read_word_files() -> None:
    code = (
        "import sys\n"
        "for name in ('pypdfium2', 'selectolax', 'markdown_it', 'mdit_py_plugins'): sys.modules[name] = None\n"
        "import app.serve, app.ray.serve, app.bulk.command\n"
        "from app.files.formats import read_as\n"
        "from app.files.limits import FileLimits\n"
        "data = open('tests/app/files/data/minutes.docx', 'rb').read()\n"
        "print(read_as('docx', data, None, FileLimits()).text[12:21])\n"
        "try: read_as('html', b'<p>a</p>', None, FileLimits())\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.splitlines() == [
        "図書館協議会議事録",
        "UnsupportedFile Files of the kind html cannot be read here: the extra `files` is not installed (No module "
        "named 'selectolax.lexbor'; 'selectolax' is not a package).",
    ]


def test_other_packages_define_their_own_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.SimpleNamespace(
        add_arguments=lambda parser: parser.add_argument("--data", type=len),
        run=lambda args: args.data,
    )
    monkeypatch.setitem(sys.modules, "training.evaluation.command", module)
    assert main(["evaluate", "--data", "abc"]) == 3


def test_a_fault_in_our_own_packages_is_not_a_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "training.evaluation.command", None)
    with pytest.raises(ModuleNotFoundError, match=r"training\.evaluation\.command"):
        main(["evaluate"])


def test_every_setting_is_a_flag_of_serve(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["serve", "--help"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    for name in Settings.model_fields:
        assert f"--{name.replace('_', '-')} " in shown
        assert f"NAGAYOMI_{name.upper()}" in re.sub(r"\s+", "", shown)
    assert set(COMMANDS) == {
        *("serve", "keys", "qa", "summarize", "classify", "rerank", "evidence", "extract", "batch"),
        *("export", "engine", "evaluate", "pretrain", "finetune", "warm-start", "vocabulary"),
    }


def test_wrong_settings_are_named_as_they_were_given(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NAGAYOMI_TEXT_THREADS", "many")
    assert main(["serve", "--port", "99999", "--log-level", "loud"]) == 2
    error = capsys.readouterr().err
    assert "--port must be less than or equal to 65535" in error
    assert "--log-level must be 'debug', 'info', 'warning' or 'error'" in error
    assert "NAGAYOMI_TEXT_THREADS must be a valid integer" in error
    monkeypatch.delenv("NAGAYOMI_TEXT_THREADS")
    assert main(["serve", "--max-queue-tokens", "10"]) == 2
    assert "max_queue_tokens (10) must be at least" in capsys.readouterr().err


def test_keys_keeps_the_token_out_of_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    """As in `nagayomi keys web >> keys.txt`."""
    assert main(["keys", "web"]) == 0
    out, err = capsys.readouterr()
    assert re.fullmatch(r"web:[0-9a-f]{64}\n", out)
    token = err.removeprefix("The key, shown only once: ").strip()
    assert hashlib.sha256(token.encode()).hexdigest() == out.strip().partition(":")[2]
    assert main(["keys", "two words"]) == 2
    assert "letters, digits, dots, hyphens" in capsys.readouterr().err


def test_a_switch_needs_no_value(capsys: pytest.CaptureFixture[str]) -> None:
    """--allow-unauthenticated alone means true: the error is then another one."""
    assert main(["serve", "--host", "0.0.0.0"]) == 2
    assert "no key is required" in capsys.readouterr().err
    assert main(["serve", "--host", "0.0.0.0", "--allow-unauthenticated=false"]) == 2
    assert "no key is required" in capsys.readouterr().err
    missing = ["--api-keys-file", "missing.txt"]
    assert main(["serve", "--host", "0.0.0.0", "--allow-unauthenticated", *missing]) == 2
    assert "The keys file missing.txt cannot be read" in capsys.readouterr().err
