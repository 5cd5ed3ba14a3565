"""A name for compiled functions, made of all that is compiled, and of nothing else.

What `report` does, a comment says or another plugin of the file needs is no part of it. Of values outside of the
functions, those that are plain count by themselves. For all others, such as a module of the author's or an array, the
text of all files counts that they may come from.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final

from .lines import codes_of
from .names import FOREIGN, names_of

Function = Callable[..., Any]

PLAIN: Final = (int, float, complex, str, bytes, type(None))


def _is_foreign(module: ModuleType, package: str) -> bool:
    """Whether the module is Python's own, or installed and of another package than the plugin."""
    foreign = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib"))
    file = str(module.__file__)
    return module.__name__.partition(".")[0] != package and file.startswith(foreign)


def own_modules(module: ModuleType, seen: set[str], package: str = "") -> Iterator[ModuleType]:
    """The module and its imports, as far as they belong to its package or are not installed; those not `seen` yet."""
    package = package or module.__name__.partition(".")[0]
    if module.__name__ in seen or not getattr(module, "__file__", None) or ".framework." in module.__name__:
        return
    seen.add(module.__name__)
    if _is_foreign(module, package):
        return
    yield module
    for value in list(vars(module).values()):
        name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
        if isinstance(name, str) and name in sys.modules:
            yield from own_modules(sys.modules[name], seen, package)


def _files(module: ModuleType | None) -> bytes:
    """The text of a module and of all that it imports of the author's."""
    if module is None or not getattr(module, "__file__", None):
        return b""
    return b"".join(Path(str(each.__file__)).read_bytes() for each in own_modules(module, set()))


def _code(code: CodeType) -> list[Any]:
    """All of a code that numba looks at, without what is within it."""
    consts = [repr(each) for each in code.co_consts if not isinstance(each, CodeType)]
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    flags = (code.co_name, code.co_filename, code.co_argcount, code.co_kwonlyargcount, code.co_flags)
    return [code.co_code, code.co_linetable, code.co_exceptiontable, consts, names, flags]


def _plain(value: Any) -> str:
    """A value that is no more than its text; "" for any other."""
    if isinstance(value, tuple):
        parts = [_plain(each) for each in value]
        return f"({', '.join(parts)},)" if all(parts) else ""
    if type(value) in PLAIN or isinstance(value, bool):
        return f"{type(value).__name__} {value!r}"
    if isinstance(value, Enum) and _plain(value.value):
        return f"{type(value).__module__}.{type(value).__qualname__} {_plain(value.value)}"
    return ""


def _foreign(value: Any) -> str:
    """The name of what zcframe, Python or numba bring along; "" for what is the author's."""
    if inspect.ismodule(value):
        return value.__name__ if value.__name__.partition(".")[0] in FOREIGN else ""
    module, name = getattr(value, "__module__", None) or "", getattr(value, "__qualname__", "")
    known = module.partition(".")[0] in FOREIGN or module.startswith("zcframe.framework.")
    return f"{module}:{name}" if known and name else ""


def digest_of(functions: Sequence[Function], codes: Sequence[CodeType], module: str) -> str:
    """24 hex digits. functions: all that are compiled, also those that others call; codes: of each, with counted lines.

    module: name of the plugin's.
    """
    places = {function: f"function {place}" for place, function in enumerate(functions)}
    digest, opaque = hashlib.sha256(), False
    for function, code in zip(functions, codes, strict=True):
        digest.update(repr([_code(each) for each in codes_of(code)]).encode())
        outside = [*names_of(function), ("", function.__defaults__ or ()), *(function.__kwdefaults__ or {}).items()]
        for name, value in outside:
            told = (inspect.isfunction(value) and places.get(value)) or _plain(value) or _foreign(value)
            digest.update(repr((name, told)).encode())
            opaque |= not told
    if opaque:
        digest.update(_files(sys.modules.get(module)))
    return digest.hexdigest()[:24]
