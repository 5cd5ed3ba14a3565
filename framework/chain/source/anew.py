"""Modules of authors, read again from their files while the process goes on."""

from __future__ import annotations

import importlib
import linecache
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Final

from .digest import own_modules

# A folder that is not there: byte code is found by the time and size of a file, which an edit may leave as they were.
NOWHERE: Final = "/nonexistent"
OURS: Final = ("zcframe", "__main__")


def modules_of(names: Iterable[str]) -> dict[str, ModuleType]:
    """The modules of these names, and what they import of the authors'; nothing of zcframe or installed strangers."""
    seen: set[str] = set()
    found = [module for name in names if name in sys.modules for module in own_modules(sys.modules[name], seen)]
    return {each.__name__: each for each in found if each.__name__.partition(".")[0] not in OURS}


@contextmanager
def read_anew(names: Iterable[str]) -> Iterator[None]:
    """While the block runs, these modules, and what they import of the authors', are imported from their files again.

    Where it raises, the modules are those from before.
    """
    before = modules_of(names)
    for name in before:
        del sys.modules[name]
    importlib.invalidate_caches()
    linecache.checkcache()
    prefix, sys.pycache_prefix = sys.pycache_prefix, NOWHERE
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    except BaseException:
        sys.modules.update(before)
        raise
    finally:
        sys.pycache_prefix, sys.dont_write_bytecode = prefix, writes
