"""A plugin's functions together with the plain functions that they call.

numba calls only what is compiled itself. An author writes `def helper(x)` beside the class, as anywhere in Python: here
each function that the code names is compiled and inlined too, and so is what it calls in turn.
"""

from __future__ import annotations

import dis
import inspect
import sys
from collections.abc import Callable, Iterator
from types import CellType, CodeType, FunctionType
from typing import Any

from zcframe.framework.errors import PluginCompileError
from zcframe.framework.jit.compiler import inlined

Function = Callable[..., Any]

# What these offer is either known to numba or not to be compiled at all.
FOREIGN = {*sys.stdlib_module_names, "numba", "numpy"}


def codes_of(code: CodeType) -> Iterator[CodeType]:
    """The code and that of functions defined within it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from codes_of(constant)


def _names(function: FunctionType) -> Iterator[tuple[str, Any]]:
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


def _is_own(value: Any) -> bool:
    if not inspect.isfunction(value):
        return False
    module = value.__module__ or ""
    return module.partition(".")[0] not in FOREIGN and not module.startswith("zcframe.framework.")


def names_of(function: Any, seen: frozenset[Any] = frozenset()) -> set[str]:
    """Every name that a function uses, or one of its helpers, behind a dot too."""
    found = {name for code in codes_of(function.__code__) for name in code.co_names}
    helpers = {value for _, value in _names(function) if _is_own(value)} - seen
    return found.union(*(names_of(helper, seen | helpers | {function}) for helper in helpers - {function}))


def _is_opaque(value: Any) -> bool:
    """Whether it is code, or has some, that is not looked into: compiled elsewhere, or behind the name of a module."""
    if inspect.ismodule(value):
        return value.__name__.partition(".")[0] not in FOREIGN
    return hasattr(value, "py_func") and not value.__module__.startswith("zcframe.framework.")


def _rebound(function: FunctionType, replaced: dict[str, Any]) -> FunctionType:
    """The same code with other values behind some of its names."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    closure = tuple(CellType(replaced[name]) if name in replaced else cell for name, cell in cells)
    scope = {**function.__globals__, **replaced}
    copy = FunctionType(function.__code__, scope, function.__name__, function.__defaults__, closure)
    copy.__kwdefaults__, copy.__qualname__ = function.__kwdefaults__, function.__qualname__
    return copy


class Inliner:
    """Compiles functions of one plugin; `functions` are all that it met, the called before the callers."""

    def __init__(self, plugin: str) -> None:
        self.plugin = plugin
        self.functions: list[Function] = []
        # Whether they may do what their own code does not show.
        self.opaque = False
        self._compiled: dict[Function, Any] = {}
        self._open: list[Function] = []

    @property
    def names(self) -> set[str]:
        """Every name that the functions use, behind a dot too."""
        codes = (code for function in self.functions for code in codes_of(function.__code__))
        return {name for code in codes for name in code.co_names}

    @property
    def size(self) -> int:
        """Bytes of Python's code in all functions."""
        return sum(len(code.co_code) for function in self.functions for code in codes_of(function.__code__))

    def compiled(self, function: Any) -> Any:
        """`function` for numba, with its helpers. Raises PluginCompileError for one that calls itself."""
        if function in self._open:
            raise self._endless(function)
        if function not in self._compiled:
            self._open.append(function)
            named = dict(_names(function))
            self.opaque |= any(map(_is_opaque, named.values()))
            replaced = {name: self.compiled(value) for name, value in named.items() if _is_own(value)}
            self._open.pop()
            self._compiled[function] = inlined(_rebound(function, replaced) if replaced else function)
            self.functions.append(function)
        return self._compiled[function]

    def _endless(self, function: FunctionType) -> PluginCompileError:
        where = f"{function.__code__.co_filename}:{function.__code__.co_firstlineno}"
        return PluginCompileError(
            f"plugin {self.plugin} does not compile: {where}: {function.__name__} calls itself, and what is inlined"
            " cannot; write a loop with a bound"
        )
