"""Workers are replaced one by one by those of another version; each hands over between two bursts."""

from __future__ import annotations

import time

from zcframe.framework.supervisor.crew import Crew
from zcframe.framework.supervisor.member import Member, Version


class Swap:
    """The replacement of all workers of a crew that have not finished; `step()` is called until `done`.

    workers: those that were replaced so far; packets: what they had taken by then.
    """

    def __init__(self, crew: Crew, version: Version) -> None:
        crew.version = version
        self._crew, self._rest = crew, list(crew.members)
        self._current: Member | None = None
        self._asked_ns = self.workers = self.packets = 0

    @property
    def done(self) -> bool:
        return self._current is None and not self._rest

    def step(self) -> None:
        """Go on to the next worker, once the last one has a successor that takes packets."""
        if self._current is not None and not self._settled(self._current):
            return
        self._current = None
        while self._rest and self._current is None:
            member = self._rest.pop(0)
            if not member.finished:
                self._current, self._asked_ns = member, time.monotonic_ns()
                self._crew.replace(member)

    def _settled(self, member: Member) -> bool:
        """Whether the worker has left, or will never, and its successor is there."""
        if member.leaving:
            return member.finished
        if not member.finished and member.post.ready_ns <= self._asked_ns:
            return False
        self.workers += 1
        self.packets += member.taken
        return True
