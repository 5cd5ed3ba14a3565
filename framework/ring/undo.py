"""A list of things to give back, in the order opposite to that of their taking."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import Protocol, TypeVar


class Closable(Protocol):
    def close(self) -> object:
        """Give it back."""


T = TypeVar("T", bound=Closable)


class Undo(ExitStack):
    """An ExitStack with names for the two things that sources take: descriptors, and objects with a `close()`.

    A class that takes several things takes them under `with Undo() as undo:` and keeps `undo.pop_all()`: where one of
    them is refused, those before it are given back.
    """

    def fd(self, fd: int) -> int:
        """Have this file descriptor closed; returns it."""
        self.callback(os.close, fd)
        return fd

    def closing(self, thing: T) -> T:
        """Have `thing.close()` called; returns the thing."""
        self.callback(thing.close)
        return thing
