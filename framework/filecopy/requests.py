"""What somebody asks of a copy that runs, by signals: its end, or its counts so far."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any, Final

ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGXCPU)
COUNTS: Final = signal.SIGUSR1


class Requests:
    """While entered, signals are noted; one that is ignored stays ignored.

    Before `listen()` a request for the end raises KeyboardInterrupt: what takes long then can be taken back.
    """

    def __init__(self) -> None:
        self._listens = False
        self._ends = 0
        self._counts = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Requests:
        for number in (*ENDING, COUNTS):
            if number == COUNTS or signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == COUNTS:
            self._counts = self._listens
            return
        if not self._listens:
            raise KeyboardInterrupt
        self._ends += 1

    def listen(self) -> None:
        """Interrupt no more."""
        self._listens = True

    @property
    def ended(self) -> bool:
        """Whether the end was asked for."""
        return self._ends > 0

    @property
    def hurried(self) -> bool:
        """Whether it was asked for again."""
        return self._ends > 1

    def take_counts(self) -> bool:
        """Whether the counts were asked for since the last call."""
        asked, self._counts = self._counts, False
        return asked
