"""Where a value can be had again by another process: as a name of a module, as a literal, or as a pickle."""

from __future__ import annotations

import ast
import pickle
import sys
from types import ModuleType
from typing import Any, Final

import zcframe

LITERALS: Final = (bool, int, float, complex, str, bytes, tuple, list, dict, set, frozenset, type(None), type(...))


def importable(name: str) -> bool:
    """Whether another process finds a module of this name; `__main__` is another one there."""
    first = name.partition(".")[0]
    if name == "__main__" or not isinstance(sys.modules.get(name), ModuleType):
        return False
    if first in sys.builtin_module_names:
        return True
    return any(finder.find_spec(first, None) is not None for finder in sys.meta_path)


def module_name(value: ModuleType) -> str:
    """The name by which this module is imported; "" where there is none."""
    name = value.__name__
    return name if sys.modules.get(name) is value and importable(name) else ""


def _attribute(module: Any, path: str) -> Any:
    for name in path.split("."):
        module = getattr(module, name, None)
    return module


def place(value: Any) -> tuple[str, str]:
    """(module, name in it) of a function, class or other thing that knows where it is from; ("", "") for others."""
    for name in zcframe.__all__:
        if name != "__version__" and getattr(zcframe, name) is value:
            return "zcframe", name
    module = getattr(value, "__module__", None)
    path = getattr(value, "__qualname__", None) or getattr(value, "__name__", None) or getattr(value, "_name", None)
    if not (isinstance(module, str) and isinstance(path, str) and importable(module)):
        return "", ""
    return (module, path) if _attribute(sys.modules[module], path) is value else ("", "")


def literal(value: Any) -> str:
    """Python's text of numbers, text, and lists, tuples, sets and dicts of them; "" for what has none."""
    if type(value) not in LITERALS:
        return ""
    text = repr(value)
    try:
        return text if repr(ast.literal_eval(text)) == text else ""
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return ""


def pickled(value: Any) -> str:
    """An expression that makes the value again by pickle; "" for what cannot be, or is of a class of `__main__`."""
    try:
        data = pickle.dumps(value)
    except Exception:
        # A class may raise what it likes.
        return ""
    return "" if b"__main__" in data else f"__import__('pickle').loads({data!r})"
