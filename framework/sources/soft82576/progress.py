"""How far the replay is, in memory that the NIC writes and the supervisor reads: no system call, no lock."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from zcframe.framework import abi
from zcframe.framework.ring import Mapping, Undo, make_memory, seal_writes

# Rows for link types that are not read.
ODD_TYPES: Final = 16
POSITION: Final = ("done", "frames", "file", "round")
PROGRESS: Final = np.dtype(
    [
        *((name, "u8") for name in POSITION),
        ("turn", "u8"),
        ("odd_types", "u8", (ODD_TYPES,)),
        ("odd_counts", "u8", (ODD_TYPES,)),
    ]
)
TURN: Final = abi.offset_of(PROGRESS, "turn")


class Progress:
    """One page. `fields` (PROGRESS, shape (1,)): bytes of input that are done, frames, file, round; the turn, odd while
    frames are being published to several rings; link types that are not read, and how many records each had.

    Made before the fork; the child calls `writable()`, and then the parent `seal()`.
    """

    def __init__(self) -> None:
        with Undo() as undo:
            self._fd = undo.fd(make_memory("zc-progress", abi.PAGE_SIZE))
            mapping = undo.closing(Mapping(self._fd, abi.PAGE_SIZE, writable=False))
            self.fields: np.ndarray[Any, Any] = mapping.view(PROGRESS)
            self._undo = undo.pop_all()

    def writable(self) -> np.ndarray[Any, Any]:
        """The same fields, writable."""
        self._writer = Mapping(self._fd, abi.PAGE_SIZE, writable=True)
        return self._writer.view(PROGRESS)

    @property
    def turn(self) -> tuple[int, int]:
        """(file descriptor, offset) of the turn."""
        return self._fd, TURN

    def seal(self) -> None:
        """Refuse further writable mappings to every process that inherits the descriptor."""
        seal_writes(self._fd)

    def close(self) -> None:
        del self.fields
        self._undo.close()
