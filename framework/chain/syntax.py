"""Constructs of Python that compiled code cannot have, found in the source of a function."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from typing import Any, NamedTuple

TEXT = "text belongs in report and lines; filter works on numbers"

STATEMENTS: dict[type[ast.AST], str] = {
    ast.With: "`with` does not exist in compiled code: files and locks belong in report",
    ast.Import: "an import stands at the top of the file, not in a compiled function",
    ast.ImportFrom: "an import stands at the top of the file, not in a compiled function",
    ast.Global: "`global` does not exist in compiled code: what changes belongs in state, as Array or Table",
    ast.Yield: "`yield` does not exist here: a function returns once a packet",
    ast.YieldFrom: "`yield` does not exist here: a function returns once a packet",
    ast.Await: "`await` does not exist in compiled code",
    ast.AsyncFor: "`async` does not exist in compiled code",
    ast.AsyncWith: "`async` does not exist in compiled code",
    ast.ClassDef: "a class cannot be made in compiled code",
    ast.Delete: "`del` of an item does not exist in compiled code",
    ast.GeneratorExp: "a generator expression does not exist in compiled code: write the loop",
    ast.SetComp: "a set comprehension does not exist in compiled code: write the loop",
    ast.DictComp: "a dict comprehension does not exist in compiled code: keep counts in a Table",
    ast.Starred: "an argument or value with * does not exist in compiled code",
    ast.JoinedStr: f"an f-string of this kind does not exist in compiled code: {TEXT}",
    ast.Dict: "a dict of this kind does not exist in compiled code: keep counts in a Table, constants in a tuple",
    ast.Set: "a set of this kind does not exist in compiled code: write `x in (1, 2, 3)`",
    ast.TryStar: "`except*` does not exist in compiled code",
}

EXCEPT = "compiled code has `except Exception:` only: no other class, no `as name`"


class Construct(NamedTuple):
    line: int
    reason: str


def _tree(function: Callable[..., Any]) -> tuple[ast.AST, int] | None:
    """(syntax tree of the function, the line before its first one); None where there is no source."""
    try:
        lines, start = inspect.getsourcelines(function)
        return ast.parse(textwrap.dedent("".join(lines))), start - 1
    except (OSError, SyntaxError):
        return None


def _is_odd(handler: ast.ExceptHandler) -> bool:
    plain = handler.type is None or (isinstance(handler.type, ast.Name) and handler.type.id == "Exception")
    return not plain or handler.name is not None


def unsupported(function: Callable[..., Any]) -> list[Construct]:
    """What may be wrong with `function`, in the order of its lines."""
    source = _tree(function)
    if source is None:
        return []
    tree, before = source
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and _is_odd(node):
            found.append(Construct(before + node.lineno, EXCEPT))
        elif type(node) in STATEMENTS:
            found.append(Construct(before + getattr(node, "lineno", 1), STATEMENTS[type(node)]))
    return sorted(found)


def _root(node: ast.AST) -> str:
    """The name in front of the dots and brackets; "" where there is none."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _negative(index: ast.AST) -> bool:
    constant = isinstance(index, ast.UnaryOp) and isinstance(index.op, ast.USub)
    return constant and isinstance(index.operand, ast.Constant)  # type: ignore[attr-defined]


def _parts_of(tree: ast.AST, names: set[str]) -> set[str]:
    """These names, and all that are assigned a part of what they stand for, by a dot or brackets."""
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Assign) and _root(node.value) in names]
    parts = [node for node in found if isinstance(node.value, ast.Attribute | ast.Subscript)]
    more = names | {target.id for node in parts for target in node.targets if isinstance(target, ast.Name)}
    return names if more == names else _parts_of(tree, more)


def counted_from_end(function: Callable[..., Any]) -> list[Construct]:
    """Indices of state, or of a view of a packet's bytes, that Python would count from the end."""
    found = _tree(function)
    if found is None:
        return []
    tree, before = found
    names = _parts_of(tree, set(inspect.signature(function).parameters))
    subscripts = [node for node in ast.walk(tree) if isinstance(node, ast.Subscript) and _negative(node.slice)]
    return [
        Construct(before + node.lineno, f"[{ast.unparse(node.slice)}]: indices count from the start, from 0 on")
        for node in subscripts
        if _root(node.value) in names
    ]


def lines_that_read(function: Callable[..., Any], name: str) -> list[int]:
    """The lines on which `function` uses the value of a local."""
    source = _tree(function)
    if source is None:
        return []
    tree, before = source
    nodes = list(ast.walk(tree))
    changed = [node.target for node in nodes if isinstance(node, ast.AugAssign)]
    names = [node for node in nodes if isinstance(node, ast.Name) and node.id == name]
    return sorted(before + node.lineno for node in names if isinstance(node.ctx, ast.Load) or node in changed)


def lines_of_name(function: Callable[..., Any], name: str) -> list[int]:
    """The lines on which `function` uses `name`, alone or behind a dot."""
    source = _tree(function)
    if source is None:
        return []
    tree, before = source
    found = []
    for node in ast.walk(tree):
        word = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
        if word == name:
            found.append(before + node.lineno)  # type: ignore[attr-defined]
    return sorted(found)
