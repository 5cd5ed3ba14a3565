"""What the author of a plugin that does not compile needs to know: which plugin, which line, why, in one paragraph."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from numba.core.errors import NumbaError

from zcframe.framework.errors import PluginCompileError

from .bind import BoundPlugin

LOCATION = re.compile(r'(?:File "(?P<file>[^"]+)", line (?P<line>\d+))|(?:(?P<short>[\w.-]+\.py) \((?P<at>\d+)\))')

# Lines of numba's text that say where it was, not what was wrong.
NOISE = (
    "Failed in nopython",
    "During:",
    "During ",
    "There are ",
    "- Of which",
    "Overload ",
    "With argument",
    "<source",
    ">>>",
)


def _functions(plugin: BoundPlugin) -> list[tuple[str, int, int]]:
    """(file, first line, last line) of each compiled function of the plugin."""
    places = []
    for function in (plugin.declared.filter, plugin.declared.prefetch):
        if function is not None:
            lines, start = inspect.getsourcelines(function)
            places.append((inspect.getsourcefile(function) or "", start, start + len(lines) - 1))
    return places


def _locate(text: str, plugins: Sequence[BoundPlugin]) -> tuple[str, str, int]:
    """(plugin, file, line) of the last place in numba's text that lies in a plugin's function."""
    found = ("", "", 0)
    for match in LOCATION.finditer(text):
        file, line = match["file"] or match["short"], int(match["line"] or match["at"])
        for plugin in plugins:
            for path, start, end in _functions(plugin):
                if path.endswith(file.rsplit("/", 1)[-1]) and start <= line <= end:
                    found = (plugin.name, path, line)
    return found


def _reason(text: str) -> str:
    """The sentences of numba's text that say what was wrong."""
    lines = [line.strip() for line in text.splitlines()]
    useful = [
        line
        for line in lines
        if line and not line.startswith(NOISE) and not LOCATION.search(line) and not re.match(r"^[\^~\s]*$", line)
    ]
    return " ".join(useful[:4])[:400] or "numba could not compile it"


@contextmanager
def explained(plugins: Sequence[BoundPlugin]) -> Iterator[None]:
    """Turn numba's errors into PluginCompileError; numba's own text becomes its `details`."""
    try:
        yield
    except (NumbaError, NotImplementedError, TypeError) as error:
        text = str(error)
        name, file, line = _locate(text, plugins)
        where = f"plugin {name} does not compile: {file}:{line}" if name else "a plugin does not compile"
        raise PluginCompileError(f"{where}: {_reason(text)} (more with -v)", details=text) from error
