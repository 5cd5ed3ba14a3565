"""The answer of a command on stdout: one JSON document with --json, else lines of text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any


def answer(document: Callable[[], Mapping[str, Any]], lines: Callable[[], Iterable[str]], *, json: bool) -> None:
    """Print the document or the lines; only what is asked for is made."""
    if json:
        from zcframe.framework.outputs.document import one_line

        print(one_line(document()))
    else:
        print("\n".join(lines()))
