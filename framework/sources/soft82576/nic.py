"""The NIC's process, from its mappings to its last message."""

from __future__ import annotations

from collections.abc import Sequence

from zcframe.framework.errors import ZcframeError
from zcframe.framework.ring import RingEnd
from zcframe.framework.sandbox import WRITING, Walls
from zcframe.framework.sources.base import SourceEvent

from .channel import MAPPED, READY, ChildEnd, Stopped
from .feed import Nic, NicOrders
from .in_place import InPlaceNic
from .progress import Progress
from .queues import close_queues


def make_nic(orders: NicOrders, ends: Sequence[RingEnd], channel: ChildEnd, progress: Progress) -> Nic:
    """The NIC for these orders, with its writable mappings."""
    fields = progress.writable()
    if orders.pool is None:
        return Nic(orders, ends, channel, fields)
    return InPlaceNic(orders, ends, channel, fields, orders.pool)


def nic_main(orders: NicOrders, channel: ChildEnd, progress: Progress) -> None:
    """Body of the NIC's process: map, wait for the order to go, replay, tell how it ended."""
    ends = [ring.producer() for ring in orders.rings]
    nic = make_nic(orders, ends, channel, progress)
    channel.tell(MAPPED)
    try:
        nic.prepare()
        # From here on it reads files. Compiled code is on disk by now, but for what only some later file needs.
        Walls(up=orders.plan.sandbox).forbid(WRITING)
        channel.tell(READY)
        channel.await_go()
        nic.run()
        event = nic.damage.end(f"{nic.arrived} frames replayed")
    except Stopped:
        event = nic.damage.end(f"stopped after {nic.arrived} frames")
    except ZcframeError as error:
        event = SourceEvent("failed", str(error))
    finally:
        nic.close()
    close_queues(ends)
    channel.tell(event)


def run_nic(orders: NicOrders, channel: ChildEnd, progress: Progress) -> None:
    """Run `nic_main`, and report to the supervisor what goes wrong in it."""
    try:
        nic_main(orders, channel, progress)
    except Exception as error:
        channel.tell(SourceEvent("failed", f"the software NIC failed: {type(error).__name__}: {error}"))
        raise
