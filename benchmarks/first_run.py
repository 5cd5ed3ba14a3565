"""How long the command compiles before its first packet, with nothing in its cache and with a part of it."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import zcframe.plugins.dns

from .bench import Bench
from .rounds import Spread, in_turns
from .table import Row

ZCFRAME = (sys.executable, "-m", "zcframe")
TIMEOUT_S = 600
OTHERS = ("flows", "sizes", "talkers", "synflood")
# Compiles what every run needs, and little else.
SMALL = ("synflood",)
# An expression of the filter: code that changes is compiled, a comment is not.
EDITED = "sport == PORT or dport == PORT"
_number = itertools.count()


def environment(cache: Path | None = None) -> dict[str, str]:
    """The command's own surroundings: with its .pyc files, as it is installed, and with this cache."""
    ours = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return ours if cache is None else {**ours, "XDG_CACHE_HOME": str(cache)}


def _seconds(cache: Path, *plugins: str) -> float:
    """Seconds of the command for one packet of the bundled trace; no plugins: the default ones."""
    command = [*ZCFRAME, "run", "--json", "--loop", "1", "--speed", "max", "--count", "1"]
    chosen = [word for plugin in plugins for word in ("--plugin", plugin)]
    start = time.perf_counter()
    subprocess.run([*command, *chosen], env=environment(cache), capture_output=True, check=True, timeout=TIMEOUT_S)
    return time.perf_counter() - start


@contextmanager
def _fresh() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="zcframe-first-") as cache:
        yield Path(cache)


def _cold(*plugins: str) -> float:
    with _fresh() as cache:
        return _seconds(cache, *plugins)


def _without_plugins() -> float:
    """The default run where the cache has what all runs need."""
    with _fresh() as cache:
        _seconds(cache, *SMALL)
        return _seconds(cache)


def _edited(cache: Path, source: Path) -> float:
    """Five plugins of which one has changed since the last run."""
    _seconds(cache, *OTHERS, str(source))
    text = source.read_text()
    assert text.count(EDITED) == 1
    source.write_text(text.replace(EDITED, f"{EDITED} and proto != {1000 + next(_number)}"))
    return _seconds(cache, *OTHERS, str(source))


def first_rows(bench: Bench) -> list[Row]:
    """Seconds from the command to the end of a run of one packet."""
    with _fresh() as cache:
        source = cache / "dns.py"
        source.write_bytes(Path(zcframe.plugins.dns.__file__).read_bytes())
        cold, five, kept, edited = in_turns(
            bench.rounds,
            _cold,
            partial(_cold, *OTHERS, "dns"),
            _without_plugins,
            partial(_edited, cache, source),
        )
    return [
        Row("first run, nothing in the cache", "s", Spread(cold), None, 5.0, True),
        Row("first run of five plugins, nothing in the cache", "s", Spread(five), None, 8.0, True),
        Row("first run, all but the plugins in the cache", "s", Spread(kept), None, None, True),
        Row("five plugins of which dns was edited", "s", Spread(edited), None, 6.0, True),
    ]
