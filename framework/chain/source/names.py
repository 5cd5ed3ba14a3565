"""What a function uses of all that is outside of it."""

from __future__ import annotations

import dis
import inspect
import sys
from collections.abc import Iterator
from typing import Any, Final

from .lines import codes_of

# What these offer is either known to numba or not to be compiled at all.
FOREIGN: Final = {*sys.stdlib_module_names, "numba", "numpy"}


def names_of(function: Any) -> Iterator[tuple[str, Any]]:
    """(name, value) of everything outside the function that its code refers to by a name of its own."""
    for code in codes_of(function.__code__):
        for step in dis.get_instructions(code):
            if step.opname in ("LOAD_GLOBAL", "LOAD_NAME") and step.argval in function.__globals__:
                yield step.argval, function.__globals__[step.argval]
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:
            continue  # not assigned yet


def is_own(value: Any) -> bool:
    """Whether it is a plain function of an author's, which is compiled with what calls it."""
    if not inspect.isfunction(value):
        return False
    module = value.__module__ or ""
    return module.partition(".")[0] not in FOREIGN and not module.startswith("zcframe.framework.")


def words_of(function: Any, seen: frozenset[Any] = frozenset()) -> set[str]:
    """Every name in the code of a function and of its helpers, behind a dot too."""
    found = {name for code in codes_of(function.__code__) for name in code.co_names}
    helpers = {value for _, value in names_of(function) if is_own(value)} - seen
    return found.union(*(words_of(helper, seen | helpers | {function}) for helper in helpers - {function}))
