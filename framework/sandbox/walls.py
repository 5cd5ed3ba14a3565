"""The walls around a process of the run, raised by itself while it runs nothing but code of ours.

walls = Walls(...)      what it shares with others at this moment was inherited; it unmaps nothing from here on
...                     it maps what is its own
walls.close(...)        what was inherited and is not named is lost, for good
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from zcframe.framework import log as funnel

from .descriptors import STDERR, STDIN, STDOUT, close_all_but, part_from_streams
from .limits import set_limits
from .memory import cut_off, shared_memory
from .seccomp import Rule, forbid, restrict

log = logging.getLogger(__name__)

STREAMS: Final = (STDIN, STDOUT, STDERR)


@contextmanager
def _as_far_as_possible() -> Iterator[None]:
    """Where a container refuses limits and filters, the other walls stand all the same."""
    try:
        yield
    except (OSError, ValueError) as error:
        log.debug("not all of the sandbox stands: %s", error)


class Walls:
    """Those of one process. up: False with --no-sandbox, then nothing here does anything. Raises OSError."""

    def __init__(self, *, up: bool = True) -> None:
        self._up = up
        self._inherited = shared_memory() if up else []

    def close(self, rules: Iterable[Rule], kept: Iterable[range] | None = (), fds: Iterable[int] = ()) -> None:
        """Keep this memory, all of it where None is said, these descriptors beside stderr and the log's, these calls.

        Raises OSError.
        """
        if not self._up:
            return
        if kept is not None:
            cut_off(self._inherited, kept)
        part_from_streams()
        close_all_but((*STREAMS, *funnel.descriptors(), *fds))
        with _as_far_as_possible():
            set_limits()
            restrict(rules)

    def forbid(self, rules: Iterable[Rule]) -> None:
        """Refuse what these describe, to forks as well, in a process that cannot name all calls that it makes."""
        if self._up:
            with _as_far_as_possible():
                forbid(rules)
