"""From a plan to its source."""

from __future__ import annotations

from collections.abc import Sequence

from zcframe.framework.ring import Undo

from .backends import BACKENDS
from .base import Source
from .plan import LivePlan, SeveralPlan
from .several import Several
from .soft82576 import ReplayPlan, Soft82576

SourcePlan = ReplayPlan | LivePlan | SeveralPlan


def _open_live(plan: LivePlan) -> Source:
    source: Source = BACKENDS[plan.backend].load()(plan)
    return source


def _open_several(plans: Sequence[LivePlan]) -> Source:
    with Undo() as undo:
        parts = [undo.closing(_open_live(plan)) for plan in plans]
        several = Several(parts)
        undo.pop_all()
    return several


def open_source(plan: SourcePlan) -> Source:
    """The source of a plan, not started. Raises ZcframeError as each does."""
    if isinstance(plan, ReplayPlan):
        return Soft82576(plan)
    return _open_several(plan.parts) if isinstance(plan, SeveralPlan) else _open_live(plan)
