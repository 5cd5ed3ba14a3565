"""File descriptors that a fork inherits, and how it loses them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

STDIN, STDOUT, STDERR = 0, 1, 2
# close_range(2) does not mind that none is so high.
BEYOND: Final = (1 << 31) - 1


def close_all_but(kept: Iterable[int]) -> None:
    """Close every descriptor that is not among these."""
    low = 0
    for fd in sorted({fd for fd in kept if fd >= 0}):
        if fd > low:
            os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, BEYOND)


def part_from_streams() -> None:
    """Read nothing, and have what is printed go where messages go: the document on stdout is the supervisor's."""
    with suppress(OSError):  # whoever started us closed some of them
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, STDIN, inheritable=False)
        os.dup2(STDERR, STDOUT, inheritable=False)
