"""Where frames come from. Each source fills descriptor rings of one layout; a plan says which one, and how."""

from __future__ import annotations

from .base import Source
from .soft82576 import ReplayPlan, Soft82576
from .zerocopy import CapturePlan

SourcePlan = ReplayPlan | CapturePlan


def open_source(plan: SourcePlan) -> Source:
    """The source of a plan, not started. Raises ZcframeError as each does."""
    if isinstance(plan, ReplayPlan):
        return Soft82576(plan)
    from .zerocopy.zerocopy import Zerocopy  # talks to netlink, which a replay has no use for

    return Zerocopy(plan)


__all__ = ["CapturePlan", "ReplayPlan", "Source", "SourcePlan", "open_source"]
