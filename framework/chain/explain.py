"""What the author of a plugin that does not compile needs to know: which plugin, which line, why, in one paragraph."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numba
from numba.core import types
from numba.core.errors import NumbaWarning, UnsupportedError

from zcframe.framework.errors import PluginCompileError, ZcframeError
from zcframe.framework.packet.value import packet_type
from zcframe.framework.state.compiled import StateType

from .attempt import is_verdict
from .bound import BoundPlugin
from .inline import Inliner
from .note import words_of
from .reasons import NO_VALUE, Scope, kind, reason
from .syntax import Construct, counted_from_end, lines_of_name, unsupported
from .unbound import first_unbound

Function = Callable[..., Any]
Place = tuple[str, int]

LOCATION = re.compile(r'(?:File "(?P<file>[^"]+)", line (?P<line>\d+))|(?:(?P<short>[\w.-]+\.py) \((?P<at>\d+)\))')

MORE = " (more with -v)"

# Lines of numba's text that say where it was, not what was wrong.
NOISE = re.compile(
    r"Failed in|During:? |There are |- Of which|Overload |With argument|<source|>>>|def |Rejected as|- Resolution"
)


def _extent(function: Function) -> tuple[str, int, int]:
    """(file, first line, last line)."""
    code = inspect.unwrap(function).__code__
    last = max((line for _, _, line in code.co_lines() if line), default=code.co_firstlineno)
    return code.co_filename, code.co_firstlineno, last


def _places(text: str, functions: Sequence[Function]) -> list[Place]:
    """Every place in numba's text that lies in one of the functions, the innermost first."""
    extents = [_extent(function) for function in functions]
    found = []
    for match in LOCATION.finditer(text):
        file, line = (match["file"] or match["short"]).rpartition("/")[2], int(match["line"] or match["at"])
        for path, start, end in extents:
            if path.rpartition("/")[2] == file and start <= line <= end:
                found.append((path, line))
    return found


def _place(text: str, function: Function, functions: Sequence[Function]) -> Place:
    """Where it went wrong: as numba says it, else where the name that numba complains of is used."""
    places = _places(text, functions)
    named = re.search(r"(?:name|attribute) '(\w+)'|\.(\w+) = ", text)
    if named and (not places or "NameError" in text):
        for function in functions:
            lines = lines_of_name(function, named[1] or named[2])
            if lines:
                return _extent(function)[0], lines[0]
    return places[0] if places else _extent(function)[:2]


def _construct(error: Exception, functions: Sequence[Function], at: Place) -> tuple[Place, str] | None:
    """A construct that compiled code lacks: on the line of the error, or anywhere where that is the kind of error."""
    anywhere = isinstance(error, UnsupportedError) or not isinstance(error, numba.core.errors.NumbaError)
    for function in functions:
        for found in unsupported(function):
            place = (_extent(function)[0], found.line)
            if place == at or anywhere:
                return place, found.reason
    return None


def _sentences(text: str) -> str:
    """The lines of numba's text that say what was wrong, where nothing better is known."""
    lines = [line.strip() for line in text.splitlines()]
    useful = [line for line in lines if line and not NOISE.match(line) and not LOCATION.search(line)]
    return " ".join(line for line in useful if re.search(r"\w{3}", line))[:300] or "numba could not compile it"


def _scope(plugin: BoundPlugin, function: Function) -> Scope:
    return Scope(plugin.layout, tuple(plugin.params), tuple(inspect.unwrap(function).__globals__))


def _returned(plugin: BoundPlugin, inliner: Inliner, function: Function, *more: types.Type) -> types.Type:
    """What this function returns, compiled alone. Raises numba's errors."""
    declared = plugin.declared
    state = StateType(plugin.layout, "state", function in (declared.filter, declared.tick))
    dispatcher = inliner.compiled(function)
    params = numba.typeof(plugin.params_tuple(inliner.names))
    ticks = function is declared.tick
    dispatcher.compile((state, types.int64, params) if ticks else (packet_type, state, params, *more))
    return dispatcher.nopython_signatures[0].return_type  # type: ignore[no-any-return]


def _refusal(plugin: BoundPlugin, inliner: Inliner, function: Function) -> Exception | str:
    """numba's error for this function alone, what is wrong with what it returns, or ""."""
    declared = plugin.declared
    try:
        found = [_returned(plugin, inliner, declared.ahead)] if declared.ahead and function is declared.filter else []
        returned = _returned(plugin, inliner, function, *found)
        if function is declared.ahead:
            words_of(returned)
    except Exception as error:
        return error
    if function is declared.tick and returned != types.none:
        return f"tick returns {kind(str(returned))}: it returns nothing"
    if function is not declared.filter or is_verdict(returned):
        return ""
    what = kind(str(returned))
    if what.startswith("None"):
        return "filter ends without a return on some path: return PASS or DROP"
    return f"filter {'yields' if 'generator(' in str(returned) else f'returns {what}'}: return PASS or DROP"


def _explain(plugin: BoundPlugin, inliner: Inliner, function: Function, found: Exception | str) -> str:
    """The message for what `_refusal` found."""
    functions = inliner.functions
    at, why = _extent(function)[:2], str(found)
    if isinstance(found, Exception):
        text = str(found)
        at = _place(text, function, functions)
        construct = _construct(found, functions, at)
        known = reason(text, _scope(plugin, function))
        if construct and (not known or not isinstance(found, numba.core.errors.TypingError)):
            at, why = construct
        else:
            why = known or _sentences(text)
    return f"plugin {plugin.name} does not compile: {at[0]}:{at[1]}: {why}{MORE}"


def _details(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _told(plugins: Sequence[BoundPlugin], error: Exception) -> PluginCompileError:
    """Find the function that numba does not take by compiling each alone: the chain's text hides it."""
    for plugin in plugins:
        inliner = Inliner(plugin.name, counts=False)
        declared = plugin.declared
        for function in (declared.ahead, declared.filter, declared.prefetch, declared.tick):
            found = _refusal(plugin, inliner, function) if function is not None else ""
            if found:
                assert function is not None
                cause = found if isinstance(found, Exception) else error
                return PluginCompileError(_explain(plugin, inliner, function, found), details=_details(cause))
    return PluginCompileError(f"the chain does not compile: {_sentences(str(error))}{MORE}", details=_details(error))


def _misread(function: Function) -> Construct | None:
    """What numba takes without a word, and means otherwise than Python does."""
    unbound = first_unbound(function)
    if unbound is not None:
        return Construct(unbound.line, f"{unbound.name} {NO_VALUE}")
    return next(iter(counted_from_end(function)), None)


def require_meant(plugins: Sequence[BoundPlugin], inliners: Sequence[Inliner]) -> None:
    """Raises PluginCompileError for what would run, and do something else than its author means."""
    for plugin, inliner in zip(plugins, inliners, strict=True):
        for function in inliner.functions:
            found = _misread(function)
            if found is not None:
                at = f"{_extent(function)[0]}:{found.line}"
                raise PluginCompileError(f"plugin {plugin.name} does not compile: {at}: {found.reason}")


@contextmanager
def explained(plugins: Sequence[BoundPlugin]) -> Iterator[None]:
    """Turn numba's errors into PluginCompileError, its own text their `details`. Its warnings are left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NumbaWarning)
        try:
            yield
        except ZcframeError:
            raise
        except Exception as error:
            raise _told(plugins, error) from error
