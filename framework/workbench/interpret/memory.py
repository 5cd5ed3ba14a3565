"""A shard in the memory of a run's state, and the journal, which keeps what a packet changes until the next one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numba.core import types

from zcframe.framework.jit.address import copy_bytes
from zcframe.framework.jit.compiler import fleeting, precompile
from zcframe.framework.state.journal import JOURNAL_SIZE, NOW, OVERFLOW, SECRETS, USED, enter, reserve, roll_back
from zcframe.framework.state.shared import StateMemory
from zcframe.framework.supervisor.change.rig import SECRETS as KNOWN

WORD: Final = 8

Octets = np.ndarray[Any, np.dtype[np.uint8]]


def _compiled(function: Any) -> Callable[[int, int, int], None]:
    made: Any = fleeting(function)
    precompile(made, *[types.int64] * 3)
    return made  # type: ignore[no-any-return]


def _keep(journal, address, size):  # type: ignore[no-untyped-def]
    entry, used = reserve(journal, address, size)
    copy_bytes(entry, address, size)
    enter(journal, used)


def _undo(journal, low, high):  # type: ignore[no-untyped-def]
    roll_back(journal, 0, low, high)


class Journal:
    """A worker's journal of changes to `state`. A packet is a transaction of its own."""

    def __init__(self, state: StateMemory) -> None:
        self._octets = np.zeros(JOURNAL_SIZE, np.uint8)
        self._words = self._octets.view(np.int64)
        self._octets[SECRETS : SECRETS + len(KNOWN)] = memoryview(KNOWN)
        self._words[OVERFLOW // WORD] = state.overflow
        self._low, self._high = state.low, state.high
        self._keep, self._undo = _compiled(_keep), _compiled(_undo)
        self.address = self._octets.ctypes.data

    def begin(self, now: int) -> None:
        """A packet comes. now: its time."""
        self._words[USED // WORD], self._words[NOW // WORD] = 0, now

    @property
    def used(self) -> int:
        """Bytes that the packet has kept so far."""
        return int(self._words[USED // WORD])

    def keep(self, address: int, size: int) -> None:
        """Keep bytes that are about to change. Raises JournalFullError."""
        self._keep(self.address, address, size)

    def roll_back(self) -> None:
        """Undo what the packet changed."""
        self._undo(self.address, self._low, self._high)


class Memory:
    """A shard. octets: uint8 from its beginning on; address: of the first of them.

    written: whether a packet has ever changed it.
    """

    def __init__(self, octets: Octets, journal: Journal) -> None:
        self.octets = octets
        self.address = self.octets.ctypes.data
        self.journal = journal
        self.written = False

    def keep(self, at: int, size: int) -> None:
        """Keep bytes at an offset that are about to change. Raises JournalFullError."""
        self.journal.keep(self.address + at, size)

    def settle(self, *, void: bool) -> None:
        """The packet is done. void: it has raised, and what it changed is undone."""
        self.written |= self.journal.used > 0
        if void:
            self.journal.roll_back()
