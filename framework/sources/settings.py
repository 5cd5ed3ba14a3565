"""The settings that a run makes on its interface, and puts back: RSS where it is asked for, interrupts, --tune."""

from __future__ import annotations

import contextlib
import logging
from typing import Any

from zcframe.framework.abi import MAX_QUEUES
from zcframe.framework.errors import NicError
from zcframe.framework.nic import Hold, apply_rss, hold, verdict_of
from zcframe.framework.rss import RssConfig

from .plan import LivePlan

log = logging.getLogger(__name__)


class Settings:
    """Settings of one interface. Nothing is held, and no right is needed, before something is changed.

    Methods return lines for the operator.
    """

    def __init__(self, plan: LivePlan) -> None:
        self._plan = plan
        self._hold: Hold | None = None
        self._tuned: dict[str, Any] = {}

    def hold(self) -> Hold:
        """The right to change the interface, taken once. Raises NicError where another run has it."""
        if self._hold is None:
            self._hold = hold(self._plan.ifname)
        return self._hold

    def restored(self) -> list[str]:
        """Lines about settings that a former run had left, and that were put back; each is returned once."""
        lines = [self._hold.restored] if self._hold is not None and self._hold.restored else []
        if self._hold is not None:
            self._hold.restored = ""
        return lines

    def spread(self, rss: RssConfig) -> None:
        """Have the card spread by this key, table and fields. Raises NicError where it cannot."""
        apply_rss(self.hold(), rss)

    def tune(self) -> list[str]:
        """Make the plan's changes; returns a line with the reason for each that could not be made."""
        self._tuned = {change.name: change.after for change in self._plan.changes()}
        if not self._tuned:
            return []
        refused = self.hold().change_all(self._tuned).values()
        return [f"--tune: {reason}; it stays as it is" for reason in dict.fromkeys(refused)]

    def untune(self) -> None:
        """Undo these changes while the interface is up: interrupts of an interface that is down stay where they are."""
        if self._hold is not None:
            self._hold.put_back(self._tuned)

    def undo_early(self) -> None:
        """Put back what can be now, before something goes that a setting needs; `undo()` looks again."""
        if self._hold is not None:
            with contextlib.suppress(OSError, NicError):
                self._hold.put_back_early()

    def undo(self) -> None:
        """Put back all settings that are not yet; may be called again. What remains is on file, and is logged."""
        held, self._hold = self._hold, None
        if held is not None:
            # Nobody reads the news of a source that is being closed.
            try:
                held.undo()
            except (OSError, NicError) as error:
                log.warning("%s", error)


def spread_over(rss: RssConfig, queues: int) -> RssConfig:
    """The same key and fields with an even table over this many queues of a card, MAX_QUEUES at most."""
    queues = min(queues, MAX_QUEUES)
    return rss.with_reta([bucket % queues for bucket in range(len(rss.reta))], queues)


def down_line(ifname: str) -> str:
    """The line for an interface that is down when the capture starts."""
    return f"{ifname} is down: nothing comes until somebody brings it up"


def symmetry_line(ifname: str) -> str:
    """The line that says, before the first frame, whether the card keeps both directions of a flow together."""
    return f"{ifname}: do both directions of a flow come to one queue? {verdict_of(ifname)}"
