"""The Pythons at hand: the oldest and the newest that pyproject.toml promises, and those between.

What runs on them may import the standard library and app/arguments.py, app/cli.py: nothing is installed there.
"""

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

_OLDEST, _NEWEST = 11, 16
_PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
_UV = Path.home() / ".local/share/uv/python"


@functools.cache
def pythons() -> tuple[str, ...]:
    """The paths of one Python for each minor version found, this one first."""
    found = {sys.version_info[1]: sys.executable}
    for minor in range(_OLDEST, _NEWEST):
        candidates = [shutil.which(f"python3.{minor}"), *_unpacked(minor)]
        for path in candidates:
            if minor not in found and path is not None and _runs(path, minor):
                found[minor] = path
    return tuple(found.values())


def _unpacked(minor: int) -> list[str]:
    """Those that pyenv and uv have unpacked, which need not be on the PATH."""
    found = [*_PYENV.glob(f"versions/3.{minor}.*/bin/python3"), *_UV.glob(f"cpython-3.{minor}.*/bin/python3")]
    return [str(path) for path in sorted(found)]


def _runs(path: str, minor: int) -> bool:
    """A shim of pyenv stands on the PATH also where its Python is not chosen."""
    code = f"import sys; sys.exit(sys.version_info[:2] != (3, {minor}))"
    return subprocess.run([path, "-c", code], capture_output=True, timeout=60, check=False).returncode == 0
