"""Source text that is written at run time, as a module: a file in the cache, so that numba keeps what it compiles."""

from __future__ import annotations

import linecache
import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from zcframe.framework.errors import CacheError

from .cache import cache_directory, give_up, least_used, mark_used, private_directory

# Files that stay in the cache.
KEPT = 64


def _drop_old(folder: Path) -> None:
    for old in least_used(folder.glob("*.py"), KEPT):
        old.unlink(missing_ok=True)


def _write(text: str, folder: Path, name: str) -> Path:
    """Write the generated file in one step: another run may be writing the same one. Raises OSError."""
    path = folder / f"{name}.py"
    mark_used(path)
    if not path.exists():
        _drop_old(folder)
        with tempfile.NamedTemporaryFile("w", dir=folder, delete=False) as file:
            try:
                file.write(text)
                file.flush()
                os.replace(file.name, path)
            except OSError:
                os.unlink(file.name)
                raise
    return path


def place(text: str, name: str) -> Path:
    """The file of a text; where none can be written, a name of no file, by which tracebacks still find the text."""
    root = cache_directory()
    try:
        if root is not None:
            return _write(text, private_directory(root / "chains"), name)
    except (CacheError, OSError) as error:
        give_up(error)
    linecache.cache[f"<{name}>"] = len(text), None, text.splitlines(keepends=True), f"<{name}>"
    return Path(f"<{name}>")


def generate(text: str, name: str, names: dict[str, Any]) -> tuple[ModuleType, Path]:
    """The module of a text, in which these names are known, and its file. name: with a hash of all that goes in."""
    path = place(text, name)
    module = ModuleType(name)
    module.__dict__.update(names)
    # numba's cache looks the module of a cached function up by name.
    sys.modules[name] = module
    exec(compile(text, path, "exec"), module.__dict__)
    return module, path
