"""Copies the state of a worker while packets flow, without letting its ring overflow.

The worker pauses for the copy, but for no longer than its ring has room: after PAUSE_S of copying it goes on, and
pauses again later for the rest. A shard, the unit of state, is therefore consistent: a row of a table never shows half
a packet, and a flow is of one moment. Two buckets may be some milliseconds apart.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from zcframe.framework.state.layout import StateLayout
from zcframe.framework.state.shared import StateMemory
from zcframe.framework.worker.post import Post

from .member import Member

PATIENCE_S = 0.05
# A ring of 4096 frames does not overflow in this time at 4 Mpps.
PAUSE_S = 1e-3
# Between two pauses the worker has this many times as long to catch up.
CATCH_UP = 3


def shards_of(layout: StateLayout, post: Post) -> list[int]:
    """The shards of a plugin that the worker of this post writes."""
    if layout.per_worker:
        return [post.number]
    return [post.ring.domain * layout.shards + bucket for bucket in post.ring.buckets]


def _stand_still(member: Member) -> bool:
    """Pause the worker between two bursts; False where it does not in time (busy, or being replaced)."""
    member.post.pause()
    deadline = time.monotonic() + PATIENCE_S
    while not member.post.parked and member.process is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(50e-6)
    return True


def _copy_some(member: Member, state: StateMemory, shards: Sequence[tuple[int, int]]) -> int:
    """Copy shards in one pause; how many, 0 where the worker does not stand still."""
    copied = 0
    try:
        if _stand_still(member):
            end = time.monotonic() + PAUSE_S
            while copied < len(shards) and (not copied or time.monotonic() < end):
                state.copy(*shards[copied])
                copied += 1
    finally:
        member.post.resume()
    return copied


def copy_live(member: Member, state: StateMemory, shards: Sequence[tuple[int, int]]) -> bool:
    """Copy these (plugin, shard) of a worker, pause by pause; False where it would not stand still."""
    at = 0
    while at < len(shards):
        if member.finished:
            state.copy(*shards[at])
            at += 1
            continue
        start = time.monotonic()
        copied = _copy_some(member, state, shards[at:])
        at += copied
        if not copied:
            return False
        if at < len(shards):
            time.sleep(CATCH_UP * (time.monotonic() - start))
    return True
