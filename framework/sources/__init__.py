"""Where frames come from. Each source fills descriptor rings of one layout; a plan says which one, and how."""

from __future__ import annotations

from collections.abc import Sequence

from zcframe.framework.sources.soft82576 import ReplayPlan, Soft82576

from .base import Source
from .plan import LivePlan, SeveralPlan

SourcePlan = ReplayPlan | LivePlan | SeveralPlan


def _open_live(plan: LivePlan) -> Source:
    """A live source; what it needs is imported here, since a replay has no use for it."""
    if plan.backend == "zerocopy":
        from zcframe.framework.sources.zerocopy.source import Zerocopy

        return Zerocopy(plan)
    if plan.backend == "packet":
        from zcframe.framework.sources.packet.source import Packet

        return Packet(plan)
    from zcframe.framework.sources.xdp.source import Xdp

    return Xdp(plan)


def _open_several(plans: Sequence[LivePlan]) -> Source:
    from .several import Several

    parts: list[Source] = []
    try:
        for plan in plans:
            parts.append(_open_live(plan))
        return Several(parts)
    except BaseException:
        while parts:
            parts.pop().close()
        raise


def open_source(plan: SourcePlan) -> Source:
    """The source of a plan, not started. Raises ZcframeError as each does."""
    if isinstance(plan, ReplayPlan):
        return Soft82576(plan)
    return _open_several(plan.parts) if isinstance(plan, SeveralPlan) else _open_live(plan)


__all__ = ["LivePlan", "ReplayPlan", "SeveralPlan", "Source", "SourcePlan", "open_source"]
