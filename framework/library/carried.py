"""A plugin's class as text: what a host sends, and what the process of a run makes the class of again."""

from __future__ import annotations

import ast
import hashlib
import linecache
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType


@dataclass(frozen=True)
class Piece:
    """Statements: their text, and where they stand, for tracebacks. file: a path, or the name of a notebook's cell."""

    text: str
    file: str
    line: int = 1

    def run(self, module: ModuleType, flags: int) -> None:
        tree = compile(self.text, self.file, "exec", flags | ast.PyCF_ONLY_AST, dont_inherit=True)
        ast.increment_lineno(tree, self.line - 1)
        exec(compile(tree, self.file, "exec", flags, dont_inherit=True), module.__dict__)


@dataclass(frozen=True)
class Carried:
    """A class and all that it needs, in order. flags: of the compiler, for `from __future__` of its module.

    files: whole text of the cells, by name, so that messages can show their lines.
    """

    member: str
    pieces: tuple[Piece, ...]
    flags: int = 0
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """All pieces as one text, by which compiled code is kept."""
        return "\n".join(piece.text for piece in self.pieces)

    @property
    def module(self) -> str:
        """The name of its module: the same for the same text, so that compiled code is found again."""
        return "zcframe_plugin_" + hashlib.sha256(f"{self.flags} {self.text}".encode()).hexdigest()[:12]

    def load(self, path: str) -> None:
        """Make its module, and leave it in sys.modules. path: of a file with its text, "" for none.

        Raises what the statements raise.
        """
        for name, text in self.files.items():
            linecache.cache.setdefault(name, (len(text), None, text.splitlines(keepends=True), name))
        module = ModuleType(self.module)
        if path:
            module.__file__ = path
        sys.modules[self.module] = module
        for piece in self.pieces:
            piece.run(module, self.flags)
