"""What people set for numba in their shells, or in a file of the working directory, has no effect on the command.

A developer's NUMBA_DISABLE_JIT makes every plugin impossible to compile, NUMBA_DEBUG fills stdout, NUMBA_CPU_NAME makes
code of another machine, and a value that is none is refused by numba while it is imported. One setting does no harm
anywhere, and is heeded: NUMBA_CPU_NAME=generic, for a cache that machines with different CPUs share.
"""

from __future__ import annotations

import importlib.util
import os
from typing import Final

PREFIX: Final = "NUMBA_"
HEEDED: Final = ("NUMBA_CPU_NAME", "generic")
FILE: Final = ".numba_config.yaml"


def shield_numba() -> None:
    """Forget numba's variables, for this process and its children; call it before numba is imported."""
    for name, value in list(os.environ.items()):
        if name.startswith(PREFIX) and (name, value) != HEEDED:
            del os.environ[name]
    if os.path.isfile(FILE):
        _import_elsewhere()


def _import_elsewhere() -> None:
    """Import numba in a directory without its file, and have it never look for one: it does so at each compilation."""
    spec = importlib.util.find_spec("numba")
    if spec is None or not spec.submodule_search_locations:
        return
    here = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.chdir(spec.submodule_search_locations[0])
        from numba.core import config

        config._config_fname = ""
    finally:
        os.fchdir(here)
        os.close(here)
