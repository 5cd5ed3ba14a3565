"""`tap:NAME`: frames come in on a tap of the kernel's, where any program that captures live takes them.

The supervisor makes taps and keeps their queues open. They vanish with the last process that has them open, whatever it
dies of; a tap that was there before is used as it is, and stays.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final

from zcframe.framework.errors import NicError, OutputError, refusal
from zcframe.framework.nic.link.listeners import listeners
from zcframe.framework.nic.link.netlink import IFF_UP, Link, link_by_index, link_by_name
from zcframe.framework.nic.link.tap import DEVICE, KIND, LEAST_MTU, MOST_MTU, open_queue, set_up_tap
from zcframe.framework.outputs.options import count
from zcframe.framework.outputs.output import Input, OutputSpec, Streams
from zcframe.framework.outputs.sink import Sink

from .frames import FrameSink
from .interface import InterfaceOutput

MOST_QUEUES: Final = 128
# A program that captures opens its sockets some time before it takes the first frame.
SETTLE_S: Final = 0.5
# libpcap hands a block of its ring to tcpdump when it is full, or after a second.
LINGER_S: Final = 1.25
NAP_S: Final = 0.02
ETHERNET_MTU: Final = 1500
# Where frames come from files, of which nobody knows how long they are.
JUMBO_MTU: Final = 9000
REASONS: Final = {
    errno.ENOENT: f"{DEVICE} is missing: modprobe tun, or --device {DEVICE} for a container",
    errno.ENODEV: f"{DEVICE} has no driver: modprobe tun",
    errno.EACCES: f"{DEVICE} must not be opened: run as root",
    errno.EPERM: "CAP_NET_ADMIN is missing: run as root, or have it made for you (ip tuntap add mode tap user NAME)",
    errno.EBUSY: "it is in use by another program: name another",
}


def queues(text: str) -> int:
    number = count(text)
    if number > MOST_QUEUES:
        raise ValueError(f"{MOST_QUEUES} are possible")
    return number


def mtu(text: str) -> int:
    number = count(text)
    if not LEAST_MTU <= number <= MOST_MTU:
        raise ValueError(f"{LEAST_MTU} to {MOST_MTU} are possible")
    return number


class TapSink(FrameSink):
    """A queue of a tap. index: of the interface."""

    def __init__(self, name: str, index: int, fd: int) -> None:
        super().__init__(name, fd)
        self._index = index

    def read(self) -> bool:
        """Whether a packet socket listens, or the tap is in a bridge."""
        if any(listeners(self._index)):
            return True
        link = link_by_index(self._index)
        return link is not None and link.master != 0


class Tap(InterfaceOutput):
    """A tap for each share, or one with a queue for each."""

    options: ClassVar[Mapping[str, Callable[[str], Any]]] = {"queues": queues, "mtu": mtu}

    def __init__(self, spec: OutputSpec, streams: Streams, inputs: Sequence[Input], number: int) -> None:
        super().__init__(spec, streams, inputs, number)
        self._made: list[int] = []
        self._settled_at = 0.0

    @classmethod
    def streams_in(cls, spec: OutputSpec) -> int:
        return int(spec.options.get("queues", 0))

    @property
    def _queues(self) -> int:
        """Of each tap."""
        return self.streams.number // len(self.names)

    def open_interface(self, name: str) -> int:
        link = link_by_name(name)
        if link is not None:
            self._check(link)
        try:
            for _ in range(self._queues):
                self._fds.append(open_queue(name, several="queues" in self.spec.options))
        except OSError as error:
            raise OutputError(f"{self.prefix}{name}: {self._reason(error)}") from error
        found = link or link_by_name(name)
        if found is None:
            raise OutputError(f"{self.prefix}{name} was removed by somebody while it was made")
        if link is None:
            self._made.append(found.index)
            self._set_up(name, found.index)
        return found.index

    def _check(self, link: Link) -> None:
        """That an interface can be used which is there already."""
        self.refuse_loop(link)
        if link.kind != KIND:
            raise self.refuse(f"{link.name} is there and is no tap: name another, or send on it by iface:{link.name}")
        if not link.flags & IFF_UP:
            raise self.refuse(f"{link.name} is down: ip link set {link.name} up")

    def _reason(self, error: OSError) -> str:
        if error.errno == errno.EINVAL:
            several = "several queues: ip tuntap add mode tap multi_queue" if self._queues > 1 else "one queue"
            return f"it is there and is no tap of {several}"
        return REASONS.get(error.errno or 0) or refusal(error)

    def _set_up(self, name: str, index: int) -> None:
        try:
            set_up_tap(name, index, self._mtu())
        except NicError as error:
            raise OutputError(f"{self.prefix}{error}") from error

    def _mtu(self) -> int:
        """What holds the longest frame of the interfaces that the capture reads."""
        if chosen := self.spec.options.get("mtu"):
            return int(chosen)
        links = [link_by_name(name) for name in {one.name for one in self.inputs}]
        known = [link.mtu for link in links if link is not None]
        return min(max(ETHERNET_MTU, *known), MOST_MTU) if known else JUMBO_MTU

    def sink(self, stream: int) -> Sink:
        index = self._indices[stream // self._queues]
        return TapSink(self.target_of(stream), index, self._fds[stream])

    def absent(self) -> Sequence[str]:
        """Taps without a packet socket for each queue, and for a moment those that have just got it."""
        absent = [
            name for name, index in zip(self.names, self._indices, strict=True) if listeners(index)[0] < self._queues
        ]
        now = time.monotonic()
        if absent or not self._settled_at:
            self._settled_at = now + SETTLE_S
        return absent or (self.names if now < self._settled_at else ())

    def finish(self) -> None:
        """What a reader has in its ring is lost to it when the tap vanishes: give it the time of a block's timeout."""
        until = time.monotonic() + LINGER_S
        while time.monotonic() < until and any(listeners(index)[0] for index in self._made):
            time.sleep(NAP_S)
        self.let_go()
