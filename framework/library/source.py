"""From a plugin's class to its text: the class, and what its functions name, found where they were written.

A module can be imported by the process of a run, so that a class of one travels by name. A class of a script, of a
notebook's cell or of a function has no such name. Then its text is taken from the file, or the cell, and with it what
it names: helper functions and constants.
"""

from __future__ import annotations
import __future__

import ast
import builtins
import inspect
import linecache
import os
import symtable
from collections.abc import Iterator, Sequence
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final

from zcframe.framework.chain.plugin import PluginClass

from .carried import Carried, Piece
from .errors import RunError
from .origin import literal, module_name, pickled, place

USAGE: Final = 2
Definition = ast.ClassDef | ast.FunctionDef


def _functions(cls: type) -> list[FunctionType]:
    """The functions that were written in a class."""
    members = (value.__func__ if isinstance(value, staticmethod) else value for value in vars(cls).values())
    inside = f"{cls.__qualname__}."
    return [value for value in members if inspect.isfunction(value) and value.__qualname__.startswith(inside)]


def _first_line(node: Definition) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def _cut_out(lines: Sequence[str], node: Definition, file: str) -> Piece:
    first = _first_line(node)
    text = "".join(lines[first - 1 : node.end_lineno])
    # What stands in a function keeps its indentation: to take it off would change text in quotes.
    return Piece(f"if True:\n{text}", file, first - 1) if text[:1].isspace() else Piece(text, file, first)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _essence(code: CodeType) -> tuple[str, bytes, str]:
    """What a function does, wherever it stands."""
    constants = [constant for constant in code.co_consts if not isinstance(constant, CodeType)]
    return code.co_name, code.co_code, repr((code.co_names, constants))


def global_names(text: str) -> list[str]:
    """The names that statements use and do not define, in the order of their first use in a scope."""
    found: dict[str, None] = {}

    def look(table: symtable.SymbolTable) -> None:
        for symbol in table.get_symbols():
            at_top = table.get_type() == "module" and not symbol.is_assigned()
            if symbol.is_referenced() and (symbol.is_global() or at_top):
                found[symbol.get_name()] = None
        for child in table.get_children():
            look(child)

    tree = symtable.symtable(text, "", "exec")
    look(tree)
    defined = {symbol.get_name() for symbol in tree.get_symbols() if symbol.is_assigned()}
    return [name for name in found if name not in defined]


class Collector:
    """Collects the text of one plugin; `pieces` are in the order in which they have to run."""

    def __init__(self, plugin: str) -> None:
        self.plugin = plugin
        self.pieces: list[Piece] = []
        self._taken: dict[str, Any] = {}

    def _refuse(self, what: str) -> RunError:
        return RunError(f"plugin {self.plugin} cannot be sent to the run: {what}", USAGE)

    def collect_class(self, cls: type) -> None:
        """The class, behind what it needs. Raises RunError."""
        functions = _functions(cls)
        if not functions:
            raise self._refuse(f"class {cls.__name__} has no function, by which its text is found: put it in a module")
        self._taken[cls.__name__] = cls
        self._collect(cls.__name__, ast.ClassDef, functions[0], functions)

    def _collect(self, name: str, kind: type[Definition], first: FunctionType, functions: list[FunctionType]) -> None:
        """A definition: `first` is, or stands in, it; functions: all that do."""
        piece = self._piece(name, kind, first)
        self._require_same(piece, functions)
        scope = dict(first.__globals__)
        for function in functions:
            scope |= _closed_over(function)
        for needed in global_names(piece.text):
            if needed in scope and needed != name:
                self._take(needed, scope[needed], piece)
        self.pieces.append(piece)

    def _piece(self, name: str, kind: type[Definition], function: FunctionType) -> Piece:
        file, line = function.__code__.co_filename, function.__code__.co_firstlineno
        linecache.checkcache(file)
        lines = linecache.getlines(file, function.__globals__)
        if not lines:
            raise self._refuse(f"there is no text of {name} ({file}): put it in a file, or in the cell of a notebook")
        try:
            nodes = [node for node in ast.walk(ast.parse("".join(lines))) if isinstance(node, kind)]
        except SyntaxError:
            nodes = []
        around = [node for node in nodes if node.name == name and _first_line(node) <= line <= (node.end_lineno or 0)]
        if not around:
            raise self._changed(name, file)
        return _cut_out(lines, around[-1], file)

    def _changed(self, name: str, file: str) -> RunError:
        return self._refuse(f"{file} is no longer the text of {name}: it was edited since, run it again")

    def _require_same(self, piece: Piece, functions: list[FunctionType]) -> None:
        """Refuse a file that was edited since it ran: what is in memory is what was meant."""
        known = [_essence(code) for code in _codes(compile(piece.text, piece.file, "exec", dont_inherit=True))]
        for function in functions:
            code = function.__code__
            if code.co_filename == piece.file and not code.co_freevars and _essence(code) not in known:
                raise self._changed(code.co_name, piece.file)

    def _take(self, name: str, value: Any, user: Piece) -> None:
        """Have `name` mean `value` there, too. Raises RunError for what cannot travel."""
        if self._is_known(name, value, user) or getattr(builtins, name, self) is value:
            return
        statement = _imported(name, value) or _constant(name, value)
        if statement:
            self.pieces.append(Piece(statement, f"<{name} of {self.plugin}>"))
            return
        kind, functions = _written(value)
        if not functions:
            raise self._refuse(f"{_kind(value)} {name}, which {user.file}:{user.line} names, cannot travel: {_ADVICE}")
        own = value.__name__ if kind is ast.ClassDef else functions[0].__name__
        if own == name or not self._is_known(own, value, user):
            self._collect(own, kind, functions[0], functions)
        if own != name:
            self.pieces.append(Piece(f"{name} = {own}", f"<{name} of {self.plugin}>"))

    def _is_known(self, name: str, value: Any, user: Piece) -> bool:
        """Whether `name` means that already; it does from now on. Raises RunError where it means something else."""
        before = self._taken.setdefault(name, self)
        if before is self:
            self._taken[name] = value
            return False
        if before is not value and not (literal(value) and literal(value) == literal(before)):
            raise self._refuse(f"{name} means two things in it, in {user.file} and elsewhere: rename one")
        return True


def _written(value: Any) -> tuple[type[Definition], list[FunctionType]]:
    """What stands in the text of a class, or of a function, also a decorated one; nothing for what has none."""
    if inspect.isclass(value):
        return ast.ClassDef, _functions(value)
    function = inspect.unwrap(getattr(value, "py_func", value)) if callable(value) else None
    if not inspect.isfunction(function) or function.__name__ == "<lambda>":
        return ast.FunctionDef, []
    return ast.FunctionDef, [function]


_ADVICE: Final = "functions, constants, what pickle takes and what modules have can; put the rest in a module"


def _kind(value: Any) -> str:
    if isinstance(value, ModuleType):
        return "the module"
    if isinstance(value, FunctionType):
        return "the lambda"
    return "the class" if inspect.isclass(value) else f"the {type(value).__name__}"


def _closed_over(function: FunctionType) -> dict[str, Any]:
    """What a function took along from where it was defined."""
    found = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            continue  # not assigned yet
    return found


def _imported(name: str, value: Any) -> str:
    """The statement that has `name` mean a module, or what one has; "" where none does."""
    if isinstance(value, ModuleType):
        found = module_name(value)
        return f"import {found} as {name}" if found else ""
    module, path = place(value)
    first, _, rest = path.partition(".")
    if not first:
        return ""
    return f"from {module} import {first} as {name}" + (f"; {name} = {name}.{rest}" if rest else "")


def _constant(name: str, value: Any) -> str:
    if isinstance(value, ModuleType | FunctionType) or inspect.isclass(value) or hasattr(value, "py_func"):
        return ""
    expression = literal(value) or pickled(value)
    return f"{name} = {expression}" if expression else ""


def _flags(function: FunctionType) -> int:
    """The flags of the compiler by which the function was compiled, as far as they change what a statement means."""
    return function.__code__.co_flags & __future__.annotations.compiler_flag


def named(cls: type) -> str:
    """`module:Class` for a class that the process of a run can import; "" for others."""
    module, path = place(cls)
    return f"{module}:{path}" if module and "." not in path else ""


def carry(cls: type) -> Carried:
    """The text of a class marked with @plugin. Raises RunError, which names what cannot travel."""
    declared: PluginClass = cls.__zcframe__  # type: ignore[attr-defined]
    assert inspect.isfunction(declared.filter)
    collector = Collector(declared.name)
    collector.collect_class(cls)
    files = {piece.file for piece in collector.pieces}
    cells = {file: "".join(linecache.getlines(file)) for file in files if not os.path.exists(file)}
    return Carried(cls.__name__, tuple(collector.pieces), _flags(declared.filter), cells)
