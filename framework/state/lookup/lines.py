"""Files that lists are read from, line by line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from zcframe.framework.errors import DeclarationError

# One line of a file, or one entry of a list: where it stands, for people, and what.
Entry = tuple[str, Any]


def lines_of(path: str | os.PathLike[str]) -> Iterator[Entry]:
    """The lines of a file as (where, bytes), without those that are blank or begin with #. Raises DeclarationError."""
    name = os.fsdecode(path)
    if not name:
        raise DeclarationError("a file is needed: none is named")
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                line = line.rstrip(b"\r\n")
                if line.strip() and not line.startswith(b"#"):
                    yield f"{name}:{number}", line
    except OSError as error:
        raise DeclarationError(f"{name}: cannot be read: {error.strerror}") from None
