"""Locals that may have no value where they are used: compiled code would take whatever lies there, without a word."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

from numba.core import compiler, config, ssa
from numba.core.errors import NumbaWarning

from .syntax import lines_that_read

DETECTED = re.compile(r"Detected uninitialized variable ([A-Za-z_]\w*)\n.*?line (\d+)", re.DOTALL)


class Unbound(NamedTuple):
    line: int
    name: str


def first_unbound(function: Callable[..., Any]) -> Unbound | None:
    """The first local of `function` that is used on a path on which it was not assigned; None where there is none.

    The paths are those of numba's own form with one assignment a name (SSA). What numba cannot take is left to it.
    """
    shown = config.ALWAYS_WARN_UNINIT_VAR
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", NumbaWarning)
        config.ALWAYS_WARN_UNINIT_VAR = 1
        try:
            ssa.reconstruct_ssa(compiler.run_frontend(function))
        except Exception:
            return None
        finally:
            config.ALWAYS_WARN_UNINIT_VAR = shown
    found = [DETECTED.search(str(warning.message)) for warning in told]
    return min((_used(function, match[1], int(match[2])) for match in found if match), default=None)


def _used(function: Callable[..., Any], name: str, joined: int) -> Unbound:
    """joined: the line on which the paths meet, one with the assignment and one without it."""
    return Unbound(next((line for line in lines_that_read(function, name) if line >= joined), joined), name)
