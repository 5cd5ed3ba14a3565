"""The plugin that is checked, its traffic, and what a check says."""

from __future__ import annotations

import os
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from zcframe.framework.chain.bound import BoundPlugin
from zcframe.framework.chain.spec import PluginSpec
from zcframe.framework.stats import Fault
from zcframe.framework.supervisor.change.rig import Rig
from zcframe.framework.terminal import clean
from zcframe.framework.workbench.frames import Frames
from zcframe.framework.workbench.trial import Result, chain_of, result_of, rss_of, settled

from .watch import watched

OK: Final = "ok"
FAILED: Final = "failed"
SKIPPED: Final = "skipped"

OURS: Final = os.sep + os.path.join("zcframe", "framework") + os.sep


@dataclass(frozen=True)
class Finding:
    """What a check says: its name, OK, FAILED or SKIPPED, and in words what was found, where, and what to do."""

    check: str
    outcome: str
    text: str = ""

    def as_json(self) -> dict[str, str]:
        return {"check": self.check, "outcome": self.outcome, "text": self.text}


class Failure(Exception):
    """The plugin does not pass a check; its text says what, where, and what to do."""


class Skipped(Exception):
    """A check that says nothing of this plugin, and why."""


def author_error(error: BaseException) -> str:
    """An exception of the author's Python in one line, with the place in the author's file."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if OURS not in frame.filename] or frames[-1:]
    where = f" ({os.path.basename(theirs[-1].filename)}:{theirs[-1].lineno})" if theirs else ""
    return clean(f"{type(error).__name__}: {error}{where}")


def fault_text(faults: tuple[Fault, ...], total: int) -> str:
    """What was raised most often, for how many packets, and the first of them."""
    first = faults[0]
    more = f", and {len(faults) - 1} other reasons" if len(faults) > 1 else ""
    return (
        f"{first.packets} of {total} packets faulted: {first.reason}{more}; the first is packet"
        f" {first.first.number + 1}: {first.first.frame[:64].hex()}; guard the filter against such packets"
    )


@dataclass(frozen=True)
class Subject:
    """spec: of the plugin. traffic: packets to run it over. seed: of all that is drawn at random."""

    spec: PluginSpec
    traffic: Frames
    seed: int = 0

    def bound(self, queues: int = 1) -> BoundPlugin:
        return settled(self.spec, queues)

    def run(self, frames: Frames, queues: int = 1) -> Result:
        """The plugin over these frames. Raises PluginCompileError, RingError."""
        plugin = self.bound(queues)
        with Rig(chain_of(plugin), rss_of(plugin, queues)) as rig:
            with watched(rig):
                rig.feed(frames)
                rig.finish()
            return result_of(rig)

    @cached_property
    def whole(self) -> Result:
        """Over all traffic, by one queue."""
        return self.run(self.traffic)

    def report(self, result: Result) -> Mapping[str, Any]:
        """Its report. Raises Failure with what the author's merge or report raised."""
        try:
            return result.report
        except Exception as error:
            raise Failure(f"merge or report failed: {author_error(error)}") from error
