"""Who may import whom, room by room. A room is a folder with an `__init__.py`, or a module at the top of its package.

A file in the wrong room breaks this table: either its imports reach where the room may not, or the rooms that import it
may not reach it there. A new room needs a line here. `app.http` and `app.files` count with the folders inside them.
"""

import ast
import functools
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("app", "bench", "export", "training")

# What everybody in app/ may import.
_BASE = "app app.types app.errors app.validation app.settings app.atomic_write"

MAY_IMPORT = {
    # app, from the ground up
    "app": "",
    "app.types": "",
    "app.arguments": "",
    "app.errors": "",
    "app.atomic_write": "",
    "app.streams": "app.errors",
    "app.text": "app.types app.errors",
    "app.files": "app.types app.errors app.streams app.text",
    "app.jobs": "app.errors",
    "app.validation": "app.errors app.text",
    "app.settings": "app.types app.errors app.validation app.files",
    "app.manifest": "app.types app.errors app.validation app.atomic_write",
    "app.block_tables": "app.types app.errors",
    "app.packing": "app.types app.errors app.block_tables",
    "app.schemas": "app.types app.text app.files app.jobs",
    "app.engine": f"{_BASE} app.manifest app.packing",
    "app.worker": f"{_BASE} app.manifest app.packing app.block_tables app.engine",
    "app.tasks": f"{_BASE} app.manifest app.packing app.schemas app.text app.files",
    "app.telemetry": f"{_BASE} app.packing app.schemas app.engine",
    "app.store": f"{_BASE} app.manifest app.packing app.schemas app.text app.engine",
    "app.lifecycle": f"{_BASE} app.packing app.schemas app.text app.engine app.telemetry app.store",
    "app.service": f"{_BASE} app.packing app.schemas app.tasks app.telemetry app.store app.lifecycle",
    "app.asking": f"{_BASE} app.files app.schemas app.tasks app.service",
    "app.http": f"{_BASE} app.manifest app.schemas app.tasks app.telemetry app.store app.service"
    " app.files app.jobs app.asking",
    "app.main": f"{_BASE} app.engine app.telemetry app.service app.http app.files app.jobs",
    "app.heads": "",
    "app.serve": f"{_BASE} app.streams app.engine app.telemetry app.service app.http app.main app.heads",
    "app.ray": f"{_BASE} app.telemetry app.service app.http app.main",
    "app.bulk": f"{_BASE} app.arguments app.files app.text app.tasks app.store app.service app.asking",
    "app.terminal": f"{_BASE} app.files app.schemas app.text app.tasks",
    "app.task_commands": f"{_BASE} app.arguments app.files app.tasks app.store app.service app.terminal",
    "app.cli": f"{_BASE} app.arguments app.streams app.http app.serve app.task_commands",
    # export, training and bench may import any room of app, and these
    "export": "",
    "training": "export",
    "training.runs": "export training",
    "training.finetune": "export training training.runs training.jglue",
    "training.pretrain": "export training training.runs",
    "training.jglue": "export training training.runs",
    "training.evaluation": "export training training.finetune training.jglue",
    "bench": "export training training.evaluation training.finetune",
    "bench.load_test": "bench",
    "bench.simulate": "bench bench.load_test",
    "bench.soak": "bench",
}

# Libraries, and the rooms that may import them, with the rooms inside.
MAY_IMPORT_LIBRARY = {
    "onnxruntime": "app.worker export bench",
    "torch": "export training bench",
    "transformers": "export training bench",
    "onnx": "export",
    "sklearn": "training",
    "ray": "app.ray app.bulk",
    "fastapi": "app.http app.main app.ray",
    "uvicorn": "app.serve app.heads app.telemetry bench",
    "prometheus_client": "app.telemetry app.http bench",
    "fugashi": "app.text",
    "tokenizers": "app.text export training bench",
    "regex": "app.text",
}


@functools.cache
def all_imports() -> dict[str, list[str]]:
    """Every module of the four packages, and the modules that it imports."""
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    sources = {
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file.read_text("utf-8")
        for file in files
    }
    return {module: list(_imports(source, sources.keys())) for module, source in sources.items()}


def _imports(source: str, modules: Collection[str]) -> Iterator[str]:
    """Imports inside functions and for types only count as well."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None
            assert node.level == 0, "imports are absolute"
            for name in node.names:
                inner = f"{node.module}.{name.name}"
                yield inner if inner in modules else node.module


def room_of(module: str) -> str:
    """The room that a module is in: the longest name of the table that it begins with."""
    rooms = [room for room in MAY_IMPORT if module == room or module.startswith(f"{room}.")]
    room = max(rooms, key=len)
    if room == "app" and module != "app":
        raise AssertionError(f"{module} is in no room of the table.")
    return room


def violations(modules: Mapping[str, Sequence[str]]) -> list[str]:
    """Every import that the tables do not allow."""
    found = []
    for module, imports in sorted(modules.items()):
        room = room_of(module)
        allowed = {room, *MAY_IMPORT[room].split()}
        for imported in imports:
            package = imported.partition(".")[0]
            if package in PACKAGES:
                of_app = package == "app" and not room.startswith("app")
                if not of_app and room_of(imported) not in allowed:
                    found.append(f"{module} imports {imported}")
            elif not any(f"{room}.".startswith(f"{one}.") for one in MAY_IMPORT_LIBRARY.get(package, room).split()):
                found.append(f"{module} imports {imported}")
    return found


def test_every_import_is_allowed() -> None:
    assert violations(all_imports()) == []


def test_the_table_allows_no_circle_in_app() -> None:
    rooms = [room for room in MAY_IMPORT if room.startswith("app")]
    for place, room in enumerate(rooms):
        above = set(MAY_IMPORT[room].split()) - set(rooms[:place])
        assert not above, f"{room} may import {above}, which stand above it"


@pytest.mark.parametrize(
    ("module", "wrong"),
    [
        ("app.worker.session", "app.engine.session"),  # imports ONNX Runtime
        ("app.tasks.qa", "app.text.qa"),  # knows manifests and schemas
        ("app.http.auth", "app.auth_keys"),  # a room that the table does not know
        ("app.http.middleware", "app.telemetry.middleware"),
        ("app.engine.protocol", "app.bulk.protocol"),  # the worker may not reach it there
        ("app.text.tokenizer", "app.tasks.tokenizer"),  # the store may not reach it there
        ("training.finetune.loop", "export.loop"),
        ("bench.load_test.client", "training.client"),
    ],
)
def test_a_file_in_the_wrong_room_is_found(module: str, wrong: str) -> None:
    names = {name: wrong if name == module else name for name in all_imports()}
    moved = {
        names[name]: [names.get(imported, imported) for imported in imports] for name, imports in all_imports().items()
    }
    try:
        found = violations(moved)
    except AssertionError as error:
        found = [str(error)]
    assert found, f"{module} could stand at {wrong}"


@pytest.mark.parametrize("room", [room for room in MAY_IMPORT if (ROOT / room.replace(".", "/")).is_dir()])
def test_every_room_says_what_it_is_for(room: str) -> None:
    """In its `__init__.py`: what it is for, what it does not know or never does, and which file to open first."""
    doc = ast.get_docstring(ast.parse((ROOT / room.replace(".", "/") / "__init__.py").read_text("utf-8")))
    assert doc is not None
    if "." in room:
        assert doc.count("\n") >= 2
        assert ".py" in doc


def test_the_room_of_ray_imports_nothing() -> None:
    """Ray ships app/ray/autoscaling.py to its controller with `app` and `app.ray` alone."""
    assert all_imports()["app.ray"] == []
    assert [name for name in all_imports()["app.ray.autoscaling"] if name.startswith("app")] == []


def test_the_service_needs_neither_torch_nor_ray() -> None:
    check = (
        "import sys, app.main, app.cli, app.bulk.command\n"
        "heavy = {'torch', 'transformers', 'onnx', 'optimum', 'sklearn', 'export', 'training', 'bench',\n"
        " 'ray', 'pyarrow', 'pandas'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", check], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
