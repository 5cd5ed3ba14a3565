"""A plugin's functions together with the plain functions that they call.

numba calls only what is compiled itself. An author writes `def helper(x)` beside the class, as anywhere in Python: here
each function that the code names is compiled and inlined too, and so is what it calls in turn.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import CellType, CodeType, FunctionType
from typing import Any, Final

from zcframe.framework.errors import PluginCompileError
from zcframe.framework.jit.compiler import inlined

from .source.lines import codes_of, counted, line_numbers
from .source.names import FOREIGN, is_own, names_of

Function = Callable[..., Any]

# Each function of a plugin has so many line numbers to itself: of compiled code, the number tells function and line.
LINES: Final = 100_000


def _is_opaque(value: Any) -> bool:
    """Whether it is code, or has some, that is not looked into: compiled elsewhere, or behind the name of a module."""
    if inspect.ismodule(value):
        return value.__name__.partition(".")[0] not in FOREIGN
    return hasattr(value, "py_func") and not value.__module__.startswith("zcframe.framework.")


def _rebound(function: FunctionType, replaced: dict[str, Any], code: CodeType) -> FunctionType:
    """A function of this code, which is its own but for the lines, with other values behind some of its names."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    closure = tuple(CellType(replaced[name]) if name in replaced else cell for name, cell in cells)
    scope = {**function.__globals__, **replaced}
    copy = FunctionType(code, scope, function.__name__, function.__defaults__, closure)
    copy.__kwdefaults__, copy.__qualname__ = function.__kwdefaults__, function.__qualname__
    return copy


class Inliner:
    """Compiles functions of one plugin; `functions` are all that it met, the called before the callers.

    counts: whether lines are counted, see source/lines.py; `lines` has the true line of each number. codes: what numba
    gets of each function.
    """

    def __init__(self, plugin: str, *, counts: bool = True) -> None:
        self.plugin, self._counts = plugin, counts
        self.lines: dict[int, int] = {}
        self.functions: list[Function] = []
        self.codes: list[CodeType] = []
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
            named = dict(names_of(function))
            self.opaque |= any(map(_is_opaque, named.values()))
            replaced = {name: self.compiled(value) for name, value in named.items() if is_own(value)}
            self._open.pop()
            code = self._code(function)
            self._compiled[function] = inlined(_rebound(function, replaced, code))
            self.functions.append(function)
            self.codes.append(code)
        return self._compiled[function]

    def _code(self, function: FunctionType) -> CodeType:
        if not self._counts:
            return function.__code__
        numbers = line_numbers(function.__code__, (len(self.functions) + 1) * LINES)
        self.lines.update((number, line) for line, number in numbers.items())
        return counted(function.__code__, numbers)

    def _endless(self, function: FunctionType) -> PluginCompileError:
        where = f"{function.__code__.co_filename}:{function.__code__.co_firstlineno}"
        return PluginCompileError(
            f"plugin {self.plugin} does not compile: {where}: {function.__name__} calls itself, and what is inlined"
            " cannot; write a loop with a bound"
        )
