"""The supervisor's side of AF_XDP: puts a program on an interface, takes its queues, and gives everything back."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from zcframe.framework.errors import NicError, XdpError
from zcframe.framework.nic import Interface, hashes_by, link_state, read_spread
from zcframe.framework.nic.ethtool.offload import stamps_frames, takes_tags_off
from zcframe.framework.nic.link.hardware import link_type_of
from zcframe.framework.nic.link.netdev import metadata_features
from zcframe.framework.nic.link.promiscuous import listen_to_all
from zcframe.framework.nic.link.route import default_carriers
from zcframe.framework.nic.report.queues import receive_queues
from zcframe.framework.rss.toeplitz import toeplitz_tables
from zcframe.framework.sources.live import LiveSource
from zcframe.framework.sources.settings import down_line, spread_over, symmetry_line

from .drops import InterfaceDrops
from .metadata import CLOCK, HASH, TIME, VLAN
from .pull import warm_up
from .refusal import check_capabilities
from .ring import XdpRing
from .share import Share
from .socket import COPY
from .steering import Steering
from .umem import Umem, chunk_size_for

REPORTED: Final = {TIME: "timestamps", HASH: "hashes", VLAN: "VLAN tags"}


class Xdp(LiveSource[XdpRing]):
    """One XSK a worker on an interface, whose traffic they take from the stack.

    Making it pins the memory and takes nothing yet. Raises XdpError, NicError, RingError.
    """

    backend = "xdp"

    def _make(self) -> None:
        self._foreign = 0
        self._index = Interface(self.plan.ifname).index
        self._examine()
        self._make_rings()

    def _examine(self) -> None:
        """Refuse an interface that xdp must not take, or cannot."""
        name = self.plan.ifname
        if link_type_of(name, Interface(name).type) != "ETHERNET":
            raise XdpError(f"{name} has no Ethernet frames, which AF_XDP steers and captures: use --backend packet")
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

    def _make_rings(self) -> None:
        """One UMEM a queue, one ring a worker. The first worker of a queue comes before the others."""
        tables = toeplitz_tables(self.plan.rss.key)
        umems: list[Umem] = []
        for queue in range(self.share.queues):
            workers = len(self.share.workers_of(queue))
            umems.append(self._undo.closing(Umem(queue, workers, self.plan.ring_slots, self._chunk_size)))
        for worker in range(self.plan.queues):
            queue = self.share.queue_of(worker)
            first = self.rings[queue] if worker != queue else None
            self.rings.append(XdpRing(self.plan, self.share.seat_of(worker), umems[queue], tables, first))
        self.rings[0].foreign = self._foreign_drops

    def _foreign_drops(self) -> int:
        """Drops of the interface, less those that sockets count as well: a driver counts frames that no socket took."""
        dropped = self._drops.read()
        known = sum(ring.statistics().lost for ring in self.rings) if self._steering.mode == "native" else 0
        self._foreign = max(self._foreign, dropped - known)
        return self._foreign

    def _take(self) -> None:
        """Put the program on the interface and take the queues; all frames pass to the stack until `go()`."""
        self._steering = self._undo.closing(Steering(self.share, self._index, self._wanted()))
        # What is set while the program is there may need it to be put back: a veth has no NAPI without. Taking it away
        # resets some drivers, so that their settings are looked at again behind it.
        self._undo.callback(self._settings.undo_early)
        for ring in self.rings:
            ring.bind(self._index, COPY if self._steering.mode == "generic" else 0)
        try:
            if self.promiscuous:
                self._undo.closing(listen_to_all(self._index))
            self._watch_link(self._index)
        except OSError as error:
            raise XdpError(f"{self.plan.ifname} is gone: {error.strerror or error}") from error
        self._set_rss()
        self._from_card = self._trusted(self._steering.reported)
        for ring in self.rings:
            ring.reported = self._from_card
        if self.plan.verify:
            self._verify()
        if self.share.queues > 1:
            self._warn(symmetry_line(self.plan.ifname))

    def _verify(self) -> None:
        """Have workers compare queues, and the card's hashes where it tells them. Raises NicError where none can."""
        spread = replace(read_spread(self.plan.ifname), hashes=bool(self._from_card & HASH))
        for ring in self.rings:
            ring.spread = spread

    def _wanted(self) -> int:
        """The bits to ask the driver for: those that it can report, times if it has a clock, hashes if ours; CLOCK."""
        wanted = metadata_features(self._index)
        if not stamps_frames(self.plan.ifname):
            wanted &= ~TIME
        if self.plan.stamped:
            wanted |= CLOCK
        return wanted if self._sets_rss else self._trusted(wanted)

    def _trusted(self, reported: int) -> int:
        """`reported` without hashes where the card does not hash by our key and fields."""
        return reported if hashes_by(self.plan.ifname, self.plan.rss) else reported & ~HASH

    @property
    def _sets_rss(self) -> bool:
        return self.plan.set_rss and self.share.queues > 1

    def _set_rss(self) -> None:
        """Have the card spread frames over its queues by our key, where the user asked for it."""
        if not self._sets_rss:
            return
        try:
            self._settings.spread(spread_over(self.plan.rss, self.share.queues))
        except NicError as error:
            self._warn(f"{error}; its queues are chosen as it likes")
        self._warn(*self._settings.restored())

    def ready(self) -> None:
        """Compile what the workers call."""
        warm_up()

    def _let_come(self) -> None:
        """Take the traffic."""
        # After the program is attached, which makes some drivers reset their settings.
        self._tune()
        self._drops.begin()
        for ring in self.rings:
            self._steering.send_to(ring.seat.worker, ring.socket.fileno())
        self._warn(self._announcement())
        if not self._from_card & VLAN and takes_tags_off(self.plan.ifname):
            self._warn(
                f"{self.plan.ifname} may take VLAN tags off: ethtool -K {self.plan.ifname} rxvlan off keeps them"
            )
        state = link_state(self._index)
        if state is not None and not state.up:
            self._warn(down_line(self.plan.ifname))

    def _announcement(self) -> str:
        how = "in the driver, " + ("without a copy" if self.rings[0].socket.zero_copy else "with one copy")
        if self._steering.mode == "generic":
            how = f"in generic mode, since {self._steering.reason}"
        names = [name for what, name in REPORTED.items() if self._from_card & what]
        how += f"; from the card, where it tells them: {', '.join(names)}" if names else ""
        return f"{self.plan.ifname}: AF_XDP takes all traffic from this machine's own stack, {how}"

    def _let_no_more_come(self) -> None:
        """Have the traffic pass to the stack again."""
        self._steering.let_pass()
        self._drops.end()
