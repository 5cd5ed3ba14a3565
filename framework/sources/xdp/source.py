"""The supervisor's side of AF_XDP: puts a program on an interface, takes its queues, and gives everything back."""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from zcframe.framework.errors import NicError, XdpError
from zcframe.framework.nic import Interface, LinkWatch, hashes_by, link_state, read_spread
from zcframe.framework.nic.ethtool.offload import stamps_frames, takes_tags_off
from zcframe.framework.nic.link.promiscuous import listen_to_all
from zcframe.framework.nic.link.route import default_carriers
from zcframe.framework.rss.toeplitz import toeplitz_tables
from zcframe.framework.sources.base import SourceEvent
from zcframe.framework.sources.plan import LivePlan
from zcframe.framework.sources.settings import Settings, spread_over, symmetry_line
from zcframe.framework.sysfs import CLASS_NET

from .drops import InterfaceDrops
from .metadata import HASH, TIME, VLAN
from .netdev import metadata_features
from .privilege import check_capabilities
from .pull import warm_up
from .ring import Seat, XdpRing
from .share import Share
from .socket import COPY
from .steering import Steering
from .umem import Umem, chunk_size_for

TELLING: Final = {TIME: "timestamps", HASH: "hashes", VLAN: "VLAN tags"}


def receive_queues(ifname: str, root: Path = CLASS_NET) -> int:
    """How many the driver uses now."""
    return max(1, len(list((root / ifname / "queues").glob("rx-*"))))


class Xdp:
    """One XSK a worker on an interface, whose traffic they take from the stack.

    Making it pins the memory and takes nothing yet. Raises XdpError, NicError, RingError.
    """

    backend: Final = "xdp"
    kind: Final = "iface"
    link_types: Final = ("ETHERNET",)
    pid: Final = None

    def __init__(self, plan: LivePlan) -> None:
        self.plan, self.names = plan, (plan.ifname,)
        self._settings = Settings(plan)
        self._undo: list[Callable[[], object]] = [self._settings.undo]
        self._news: list[SourceEvent] = []
        self._told_end, self._foreign = False, 0
        self.rings: list[XdpRing] = []
        self._index = Interface(plan.ifname).index
        self._examine()
        try:
            self._stopped = self._counter()
            self._told = self._counter()
            self._make_rings()
        except BaseException:
            self.close()
            raise

    def _examine(self) -> None:
        """Refuse what must not or cannot be captured so."""
        name = self.plan.ifname
        if not self.plan.force and name in default_carriers():
            raise XdpError(
                f"{name} carries this machine's default route, and AF_XDP would take all of its traffic: use"
                " --backend packet, or --force"
            )
        check_capabilities()
        if self.plan.verify:
            read_spread(name)
        self.share = Share(name, receive_queues(name), self.plan.queues)
        state = link_state(self._index)
        self._chunk_size = chunk_size_for(name, state.mtu if state else 0)
        self._drops = InterfaceDrops(self._index)

    def _counter(self) -> int:
        fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._undo.append(lambda: os.close(fd))
        return fd

    def _make_rings(self) -> None:
        """One UMEM a queue, one ring a worker. The first worker of a queue comes before the others."""
        tables = toeplitz_tables(self.plan.rss.key)
        umems: list[Umem] = []
        for queue in range(self.share.queues):
            workers = len(self.share.workers_of(queue))
            umems.append(Umem(queue, workers, self.plan.ring_slots, self._chunk_size))
            self._undo.append(umems[-1].close)
        for worker in range(self.plan.queues):
            queue = self.share.queue_of(worker)
            first = self.rings[queue] if worker != queue else None
            seat = Seat(worker, queue, self.share.number_of(worker))
            self.rings.append(XdpRing(self.plan, seat, umems[queue], tables, first))
        self.rings[0].foreign = self._foreign_drops

    def _foreign_drops(self) -> int:
        """What the interface dropped, less what sockets count, too: a driver counts what it could not hand to one."""
        dropped = self._drops.read()
        known = sum(ring.statistics().lost for ring in self.rings) if self._steering.mode == "native" else 0
        self._foreign = max(self._foreign, dropped - known)
        return self._foreign

    @property
    def events_fd(self) -> int:
        """To poll for input: news of the link, what the operator should know at the start, the end."""
        return self._events.fileno()

    def start(self) -> None:
        """Put the program on the interface and take the queues; all frames pass to the stack until `go()`."""
        self._steering = Steering(self.share, self._index, self._wanted())
        self._undo.append(self._steering.close)
        for ring in self.rings:
            ring.bind(self._index, COPY if self._steering.mode == "generic" else 0)
        try:
            self._undo.append(listen_to_all(self._index).close)
            self._watch = LinkWatch(self._index)
        except OSError as error:
            raise XdpError(f"{self.plan.ifname} is gone: {error.strerror or error}") from error
        self._undo.append(self._watch.close)
        self._events = select.epoll()
        self._undo.append(self._events.close)
        for source in (self._stopped, self._told, self._watch):
            self._events.register(source, select.EPOLLIN)
        self._set_rss()
        self._from_card = self._trusted(self._steering.told)
        for ring in self.rings:
            ring.told = self._from_card
        if self.plan.verify:
            self._verify()
        if self.share.queues > 1:
            self._tell(symmetry_line(self.plan.ifname))

    def _verify(self) -> None:
        """Have workers compare queues, and the card's hashes where it tells them. Raises NicError where none can."""
        spread = replace(read_spread(self.plan.ifname), hashes=bool(self._from_card & HASH))
        for ring in self.rings:
            ring.spread = spread

    def _wanted(self) -> int:
        """What the driver is to be asked of each frame: what it can tell, times if there is a clock, hashes if ours."""
        wanted = metadata_features(self._index)
        if not stamps_frames(self.plan.ifname):
            wanted &= ~TIME
        return wanted if self._sets_rss else self._trusted(wanted)

    def _trusted(self, told: int) -> int:
        """`told` without hashes where the card does not hash by our key and fields."""
        return told if hashes_by(self.plan.ifname, self.plan.rss) else told & ~HASH

    @property
    def _sets_rss(self) -> bool:
        return self.plan.set_rss and self.share.queues > 1

    def _set_rss(self) -> None:
        """Where somebody wishes so, have the card spread frames over its queues by our key."""
        if not self._sets_rss:
            return
        try:
            self._settings.spread(spread_over(self.plan.rss, self.share.queues))
        except NicError as error:
            self._tell(f"{error}; its queues are chosen as it likes")
        for text in self._settings.told():
            self._tell(text)

    def ready(self) -> None:
        """Compile what the workers call."""
        warm_up()

    def go(self) -> None:
        """Take the traffic."""
        # With the program attached, since that makes some drivers begin anew.
        for text in self._settings.tune():
            self._tell(text)
        self._drops.begin()
        for ring in self.rings:
            self._steering.send_to(ring.seat.worker, ring.socket.fileno())
        self._tell(self._announcement())
        if not self._from_card & VLAN and takes_tags_off(self.plan.ifname):
            self._tell(
                f"{self.plan.ifname} may take VLAN tags off: ethtool -K {self.plan.ifname} rxvlan off keeps them"
            )
        state = link_state(self._index)
        if state is not None and not state.up:
            self._tell(f"{self.plan.ifname} is down: nothing comes until somebody brings it up")

    def _announcement(self) -> str:
        how = "in the driver, " + ("without a copy" if self.rings[0].socket.zero_copy else "with one copy")
        if self._steering.mode == "generic":
            how = f"in generic mode, since its driver takes no program ({self._steering.reason})"
        told = [name for what, name in TELLING.items() if self._from_card & what]
        how += f"; from the card, where it tells them: {', '.join(told)}" if told else ""
        return f"{self.plan.ifname}: AF_XDP takes all traffic from this machine's own stack, {how}"

    def _tell(self, text: str) -> None:
        self._news.append(SourceEvent("warning", text))
        os.eventfd_write(self._told, 1)

    def stop(self) -> None:
        """Have the traffic pass to the stack again. What has come by then is in the rings when it returns."""
        self._steering.let_pass()
        self._drops.end()
        os.eventfd_write(self._stopped, 1)

    def poll_events(self) -> list[SourceEvent]:
        """What the operator should know, then the end, once: stopped as ordered, or the interface is gone."""
        if self._told_end:
            return []
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._told)
        for change in self._watch.changes():
            self._news.append(SourceEvent("failed" if change.kind == "gone" else "warning", change.text))
        if dict(self._events.poll(0)).get(self._stopped):
            self._news.append(SourceEvent("finished", f"{self.plan.ifname} stopped"))
        told, self._news = self._news, []
        ends = [place for place, event in enumerate(told) if event.kind != "warning"]
        if ends:
            self._told_end = True
            os.eventfd_write(self._stopped, 1)
            return told[: ends[0] + 1]
        return told

    def progress(self) -> tuple[int, int]:
        """No end is known."""
        return 0, 0

    def close(self) -> None:
        """Let the traffic pass, give the queues back; may be called again."""
        while self.rings:
            self.rings.pop().close()
        while self._undo:
            # An interface that is gone needs nothing undone.
            with contextlib.suppress(OSError, NicError):
                self._undo.pop()()
