"""The supervisor's side of AF_PACKET: sockets of an interface in one group, whose frames come from `go()` on."""

from __future__ import annotations

import errno
import time
from dataclasses import replace
from typing import Final

from zcframe.framework.config import ANY
from zcframe.framework.errors import PacketError
from zcframe.framework.filters.program import Program
from zcframe.framework.nic import Interface, LinkChange, link_state, read_channels, read_spread
from zcframe.framework.nic.link.hardware import ARPHRD_LOOPBACK, link_type_of
from zcframe.framework.nic.link.promiscuous import be_promiscuous
from zcframe.framework.sources.live import LiveSource
from zcframe.framework.sources.settings import down_line, spread_over, symmetry_line
from zcframe.framework.sources.xdp.occupant import occupant_of

from .fanout import Group, in_order
from .losses import EVERY, Losses
from .pull import warm_up
from .ring import RETIRE_MS, PacketRing, Shape
from .socket import bind

# How often the end looks whether all is settled: a block that is not full waits for its timer.
LOOK_NS: Final = RETIRE_MS * 1_000_000 // 2
# How often a group is tried to be formed once its interface is up, and for how long.
JOIN_AGAIN_NS: Final = 10_000_000
JOIN_S: Final = 1.0


class Packet(LiveSource[PacketRing]):
    """All traffic of an interface, or of ANY, shared out among as many packet sockets as workers; it only looks on.

    Making it takes the memory and lets nothing in yet. Raises PacketError, LinkTypeError, RingError.
    """

    backend = "packet"
    look_ns = LOOK_NS

    def _make(self) -> None:
        self._examine()
        if self.plan.verify:
            # What cannot be verified is refused before anything is changed.
            read_spread(self.plan.ifname)
        self._losses = Losses(self._index)
        self._join_until, self._joined, self._going = 0.0, False, False
        for number in in_order(range(self.plan.queues), self.plan.fanout):
            self.rings.append(PacketRing(self.plan, number, self._shape, self._losses if number == 0 else None))
        self.rings.sort(key=lambda ring: ring.queue)

    def _examine(self) -> None:
        """Look what the interface's frames begin with. Raises NicError, LinkTypeError."""
        if self.plan.ifname == ANY:
            self._index, self.link_types, self._shape = EVERY, ("LINUX_SLL2",), Shape(mixed=True)
            return
        interface = Interface(self.plan.ifname)
        self._index, hardware = interface.index, interface.type
        self.link_types = (link_type_of(self.plan.ifname, hardware),)
        self._shape = Shape(hardware == ARPHRD_LOOPBACK, self.link_types != ("ETHERNET",))

    @property
    def promiscuous(self) -> bool:
        """Loopback shows all there is anyway; and there is no such mode for what is named by ANY, as with tcpdump."""
        return self.plan.promiscuous and self._index != EVERY and not self._shape.loopback

    def _take(self) -> None:
        """Bind the sockets and put them into one group; their gates stay shut."""
        # Before the sockets are bound: a group may have to wait for the news that the interface came up.
        if self._index != EVERY:
            self._watch_link(self._index)
        for ring in self.rings:
            bind(ring.socket, self.plan.ifname)
        if self.promiscuous:
            be_promiscuous(self.rings[0].socket, self._index)
        self._group = Group([ring.socket for ring in self.rings], self.plan.fanout)
        self._joined = self._join()
        self._watch_errors(ring.socket.fileno() for ring in self.rings)
        if self.plan.set_rss:
            self._spread()
        if self.plan.verify:
            self._verify()
        else:
            self._filter_in_kernel(self.plan.program)
        self._warn_of_state()

    def _filter_in_kernel(self, program: Program | None) -> None:
        """Programs are for Ethernet headers. All frames are verified, those too that do not match."""
        if not self.plan.verify and not self._shape.mixed:
            for ring in self.rings:
                ring.filter_in_kernel(program)

    def refuse(self, program: Program | None) -> None:
        """Have the kernel refuse by another program, from one frame to the next."""
        self._filter_in_kernel(program)
        if self._going and self._joined and self._end is None:
            self._open_gates()

    def _warn_of_state(self) -> None:
        """Report before the first frame what keeps frames away: symmetry, state, somebody else's XDP program."""
        name = self.plan.ifname
        if found := occupant_of(name, self._index):
            seen = f"only what it lets pass is seen; {found.remedy} takes it off"
            self._warn(f"{name} has an XDP program, number {found}: {seen}")
        if self.plan.fanout == "qm" and len(self.rings) > 1:
            self._warn(symmetry_line(self.plan.ifname))
        state = link_state(self._index)
        if state is not None and not state.up:
            self._warn(down_line(self.plan.ifname))

    def _spread(self) -> None:
        """Have the card's queues share out by the key and fields that the user gave."""
        # A tun that nobody holds open has no queue.
        self._settings.spread(spread_over(self.plan.rss, max(1, read_channels(self.plan.ifname).queues)))
        self._warn(*self._settings.restored())

    def _verify(self) -> None:
        """Have workers compare the queue that the card chose. Raises NicError where its driver does not tell enough."""
        spread = read_spread(self.plan.ifname)
        # Frames of queue q come to ring q modulo the number of rings.
        table = tuple(queue % len(self.rings) for queue in spread.table)
        for ring in self.rings:
            ring.spread = replace(spread, table=table)

    def _join(self) -> bool:
        """Form the group, or leave it until the interface is up, where the kernel (before 6.13) asks for that."""
        try:
            self._group.join()
            return True
        except OSError as error:
            if error.errno != errno.EINVAL or not self._may_wait():
                raise PacketError(f"cannot share out the frames of {self.plan.ifname}: {error.strerror}") from error
            return False

    def _may_wait(self) -> bool:
        """Whether a group may be formed later: the interface is down, or its sockets do not know yet that it is up."""
        state = link_state(self._index)
        return state is not None and (not state.up or time.monotonic() < self._join_until)

    def _join_late(self) -> None:
        """The interface came up: try until its sockets are let in."""
        self._joined = self._join()
        if not self._joined:
            self._alarm.start(JOIN_AGAIN_NS)
        elif self._going:
            self._open_gates()

    def ready(self) -> None:
        """Compile what every worker calls."""
        warm_up(self._shape.mixed)

    def _let_come(self) -> None:
        self._going = True
        self._tune()
        self._losses.begin()
        if self._joined:
            self._open_gates()

    def _open_gates(self) -> None:
        for ring in self.rings:
            ring.open_gate()

    def _let_no_more_come(self) -> None:
        for ring in self.rings:
            ring.close_gate()

    def _settled(self) -> bool:
        """Whether the workers have fetched what came before the gates were shut."""
        return all(ring.settle() for ring in self.rings)

    def _look(self) -> None:
        for ring in self.rings:
            ring.clear_error()
        if self._join_until and not self._joined and self._end is None:
            self._join_late()

    def _hear(self, change: LinkChange) -> None:
        super()._hear(change)
        if change.kind == "gone":
            self._let_no_more_come()
        elif change.kind in ("up", "down"):
            self._join_until = time.monotonic() + JOIN_S if change.kind == "up" else 0.0
