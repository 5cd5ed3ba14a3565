"""Interfaces as the kernel tells them by rtnetlink: those of this process's network namespace, and no others.

(rtnetlink(7), Documentation/netlink/specs/rt-link.yaml) pyroute2 reads the same, and takes 0.2 s to import: each start
of the command would pay for it.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from zcframe.framework.errors import NicError

RTMGRP_LINK: Final = 1
NLMSG_ERROR, NLMSG_DONE = 2, 3
RTM_NEWLINK, RTM_GETLINK = 16, 18
NLM_F_REQUEST, NLM_F_DUMP, NLM_F_DUMP_INTR = 0x1, 0x300, 0x10
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER, IFLA_LINKINFO, IFLA_STATS64 = 1, 3, 4, 5, 10, 18, 23
IFLA_NUM_RX_QUEUES, IFLA_CARRIER, IFLA_LINK_NETNSID, IFLA_PHYS_PORT_NAME = 32, 33, 37, 38
IFLA_PROP_LIST, IFLA_ALT_IFNAME, IFLA_PARENT_DEV_NAME, IFLA_PARENT_DEV_BUS_NAME = 52, 53, 56, 57
IFLA_INFO_KIND: Final = 1
# Flags in the type of an attribute.
NLA_TYPE_MASK: Final = 0x3FFF
# With its end: the longest alternative name.
ALTIFNAMSIZ: Final = 128
IFF_UP, IFF_RUNNING = 0x1, 0x40
# struct nlmsghdr: length, type, flags, sequence, port. struct ifinfomsg: family, type, index, flags, change.
MESSAGE: Final = struct.Struct("=IHHII")
LINK: Final = struct.Struct("=BxHiII")
# struct rtattr: length, type; then its content, in steps of four bytes.
ATTRIBUTE: Final = struct.Struct("=HH")
NUMBER: Final = struct.Struct("=I")
ERRNO: Final = struct.Struct("=i")
# struct rtnl_link_stats64, up to rx_missed_errors: the places of what we read.
STATISTICS: Final = struct.Struct("=16Q")
RX_DROPPED, RX_FIFO_ERRORS, RX_MISSED_ERRORS = 6, 14, 15
# More than the kernel puts into one answer, or one part of a long one.
LARGEST: Final = 1 << 16
# A list that changes while it is read is read again, so often.
ATTEMPTS: Final = 10


@dataclass(frozen=True)
class Counters:
    """Frames that came in and were lost, since boot or since the driver last began to count."""

    dropped: int = 0
    fifo: int = 0
    missed: int = 0


@dataclass(frozen=True)
class Link:
    """One interface at one moment.

    type: ARPHRD_*; carrier: whether its driver sees a link; lower: index of the interface below it, or of its peer, 0
    without one; elsewhere: whether that one is in another network namespace; master: index of the bridge or bond that
    it is in; kind: "veth", "vlan"..., "" for hardware; parent, bus: its device, such as ("0000:02:00.0", "pci"), "" for
    a virtual interface; rx_queues: as many as its driver has made, in use or not.
    """

    index: int
    name: str
    type: int = 1
    flags: int = 0
    mac: str = ""
    mtu: int = 0
    carrier: bool = False
    altnames: tuple[str, ...] = ()
    lower: int = 0
    elsewhere: bool = False
    master: int = 0
    kind: str = ""
    parent: str = ""
    bus: str = ""
    port: str = ""
    rx_queues: int = 0
    counters: Counters = field(default_factory=Counters)


def _attributes(packed: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and content of each attribute of a netlink message."""
    while len(packed) >= ATTRIBUTE.size:
        size, kind = ATTRIBUTE.unpack_from(packed)
        yield kind & NLA_TYPE_MASK, packed[ATTRIBUTE.size : size]
        packed = packed[max(-(-size // 4) * 4, ATTRIBUTE.size) :]


def _text(content: bytes) -> str:
    return os.fsdecode(content.rstrip(b"\0"))


def _counters(content: bytes) -> Counters:
    if len(content) < STATISTICS.size:
        return Counters()
    counts = STATISTICS.unpack_from(content)
    return Counters(counts[RX_DROPPED], counts[RX_FIFO_ERRORS], counts[RX_MISSED_ERRORS])


def _link(message: bytes) -> Link:
    """The interface that the body of an RTM_NEWLINK tells of."""
    _, kind, index, flags, _ = LINK.unpack_from(message)
    found = dict(_attributes(message[LINK.size :]))

    def number(attribute: int) -> int:
        return NUMBER.unpack(found[attribute])[0] if attribute in found else 0

    def text(attribute: int) -> str:
        return _text(found.get(attribute, b""))

    names = (content for what, content in _attributes(found.get(IFLA_PROP_LIST, b"")) if what == IFLA_ALT_IFNAME)
    return Link(
        index=index,
        name=text(IFLA_IFNAME),
        type=kind,
        flags=flags,
        mac=found.get(IFLA_ADDRESS, b"").hex(":"),
        mtu=number(IFLA_MTU),
        carrier=found.get(IFLA_CARRIER, b"\0") != b"\0",
        altnames=tuple(map(_text, names)),
        lower=number(IFLA_LINK),
        elsewhere=IFLA_LINK_NETNSID in found,
        master=number(IFLA_MASTER),
        kind=_text(dict(_attributes(found.get(IFLA_LINKINFO, b""))).get(IFLA_INFO_KIND, b"")),
        parent=text(IFLA_PARENT_DEV_NAME),
        bus=text(IFLA_PARENT_DEV_BUS_NAME),
        port=text(IFLA_PHYS_PORT_NAME),
        rx_queues=number(IFLA_NUM_RX_QUEUES),
        counters=_counters(found.get(IFLA_STATS64, b"")),
    )


def _refused(body: bytes) -> None:
    """Raises the OSError of an NLMSG_ERROR; its number is 0 where the kernel only acknowledges."""
    number = -ERRNO.unpack_from(body)[0]
    if number:
        raise OSError(number, os.strerror(number))


def _messages(kernel: socket.socket, *, many: bool) -> Iterator[tuple[int, bytes]]:
    """(flags, body) of each RTM_NEWLINK of an answer, up to its end. Raises OSError."""
    while True:
        packed = kernel.recv(LARGEST)
        while len(packed) >= MESSAGE.size:
            size, kind, flags, _, _ = MESSAGE.unpack_from(packed)
            body, packed = packed[MESSAGE.size : size], packed[max(-(-size // 4) * 4, MESSAGE.size) :]
            if kind == NLMSG_ERROR:
                _refused(body)
            if kind == NLMSG_DONE:
                return
            if kind == RTM_NEWLINK:
                yield flags, body
        if not many:
            return


def _ask(index: int, attributes: bytes = b"", *, many: bool = False) -> list[tuple[int, bytes]]:
    flags = NLM_F_REQUEST | (NLM_F_DUMP if many else 0)
    size = MESSAGE.size + LINK.size + len(attributes)
    request = MESSAGE.pack(size, RTM_GETLINK, flags, 0, 0) + LINK.pack(0, 0, index, 0, 0) + attributes
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as kernel:
            kernel.sendto(request, (0, 0))
            return list(_messages(kernel, many=many))
    except OSError as error:
        if error.errno == errno.ENODEV:
            return []
        raise NicError(f"cannot ask the kernel for interfaces (AF_NETLINK): {error.strerror or error}") from error


def _one(index: int, attributes: bytes = b"") -> Link | None:
    answer = _ask(index, attributes)
    return _link(answer[0][1]) if answer else None


def link_by_index(index: int) -> Link | None:
    """The interface with this index; None where this network namespace has none. Raises NicError.

    While an interface is renamed the kernel finds it by neither name: by its index it always does.
    """
    return _one(index) if index > 0 else None


def link_by_name(name: str) -> Link | None:
    """The interface that the kernel finds by one of its names, alternative ones too; None without. Raises NicError."""
    packed = os.fsencode(name) + b"\0"
    if not 1 < len(packed) <= ALTIFNAMSIZ:
        return None
    size = ATTRIBUTE.size + len(packed)
    return _one(0, ATTRIBUTE.pack(size, IFLA_ALT_IFNAME) + packed + bytes(-size % 4))


def links() -> list[Link]:
    """All interfaces of this network namespace, by index. Raises NicError where the kernel may not be asked."""
    for _ in range(ATTEMPTS):
        answer = _ask(0, many=True)
        if not any(flags & NLM_F_DUMP_INTR for flags, _ in answer):
            break
    return [_link(body) for _, body in answer]
